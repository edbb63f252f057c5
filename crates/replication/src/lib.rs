//! Kafka's in-sync replica protocol for one partition: who leads, what may be read, which replies wait and what ends their wait.
//!
//! Pure: no file, socket, clock or runtime. A partition is told what happened (records appended, log synced, leadership assigned, a follower
//! asks) and returns [`Effect`]s for the shell to carry out after it has released its lock. It never sees a record, only offsets and sizes.
//!
//! Start with [`Partition`], then [`Leader`] for the rules of the high watermark and of the replicas in sync; `docs/replication.md` has the
//! whole picture. [`FetchSessionCache`] stands by itself.

mod acks;
mod assignment;
mod effect;
mod fetch_session;
mod fetch_session_cache;
mod follower;
mod follower_fetch;
mod in_sync;
mod leader;
pub mod limits;
pub mod mutant;
mod partition;
mod remote;
mod waiters;

pub use acks::Acks;
pub use assignment::{Assignment, Durability, EpochEnd, LogEnd, Rules};
pub use effect::Effect;
pub use fetch_session::{FetchPartition, PartitionKey, TopicRef};
pub use fetch_session_cache::{FetchPlan, FetchSessionCache, FinishedFetch, SessionRequest};
pub use follower_fetch::{FetchAnswer, FetchPosition, FetchToken, FollowerAnswer, FollowerFetch, FollowerStep};
pub use in_sync::{InSyncReplica, IsrProposal, IsrState};
pub use leader::Leader;
pub use partition::Partition;
pub use waiters::{ParkedFetch, Reader, WaitKey};
