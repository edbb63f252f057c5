//! Kafka's in-sync replica protocol for one partition: who leads, what may be read, which replies wait and what ends their wait.
//!
//! Pure: no file, socket, clock or runtime. A partition is told what happened (records appended, log synced, leadership assigned) and returns
//! [`Effect`]s for the shell to carry out after it has released its lock. It never sees a record, only offsets and sizes.
//!
//! Start with [`Partition`], then [`Leader`] for the rules of the high watermark; [`FetchSessionCache`] stands by itself.

mod acks;
mod effect;
mod fetch_session;
mod fetch_session_cache;
mod leader;
pub mod limits;
mod partition;
mod waiters;

pub use acks::Acks;
pub use effect::Effect;
pub use fetch_session::{FetchPartition, PartitionKey, TopicRef};
pub use fetch_session_cache::{FetchPlan, FetchSessionCache, FinishedFetch, SessionRequest};
pub use leader::{Durability, Leader};
pub use partition::{Assignment, LogEnd, Partition};
pub use waiters::{ParkedFetch, WaitKey};
