//! Consumer groups on this broker: the machines of `dohle_coordinator`, each over the log of one partition of `__consumer_offsets`.
//!
//! A group belongs to the partition that [`placement`] names, and whoever leads that partition coordinates the group. Its machine and the
//! requests that wait for it are one [`shard`]: under the shard's lock a request is decided, what was decided is appended as one batch, and
//! applied; the replies are parked at the partition until that batch is acknowledged. So a shard has no task of its own, only a timer while
//! somebody's session runs. A shard begins with what [`loader`] reads from the log, and one whose log could not be written is given up and
//! loaded again.
//!
//! Start with [`group_coordinator`], what the handlers ask.

pub(crate) mod client;
pub(crate) mod gauges;
pub(crate) mod group_coordinator;
mod journal;
mod loader;
mod offsets_topic;
pub(crate) mod parked_replies;
pub(crate) mod pending_reply;
mod placement;
mod shard;
mod shard_timer;
