//! Groups of consumers and their offsets, as a deterministic machine over the records of one partition of `__consumer_offsets`.
//!
//! Pure: no file, socket, clock or runtime; the time and a fresh id reach it as arguments. It never learns where its records are stored, or
//! which connection a [`ReplyToken`] stands for. The states, the records and who waits for what: `docs/groups.md`.
//!
//! The shell owns one [`GroupShard`] per partition that it leads:
//! 1. [`GroupShard::replay`] for every record of the log, then [`GroupShard::on_loaded`];
//! 2. [`GroupShard::decide`] for every request, [`GroupShard::on_timers`] at [`GroupShard::next_timer_ms`];
//! 3. of each [`Decision`]: append `records` as one batch (nothing, if there are none), `replay` each of them, before anything else is asked of
//!    the shard; carry out `effects` once everything that was appended so far is committed. An effect may answer a request of long ago, and one
//!    whose client has hung up: then it is dropped;
//! 4. if an append fails or leadership is lost: [`GroupShard::abandon`], and a new shard from the log.
//!
//! Start with [`GroupShard`]; `turn.rs` is what one decision may read and change; `group.rs` is the state of one group, and each request
//! has its file in `group/`, `offsets/` or `admin/`.

mod admin;
mod config;
mod decision;
mod group;
mod hard;
pub mod limits;
pub mod mutant;
mod offsets;
mod request;
mod shard;
mod timers;
mod turn;

pub use config::GroupConfig;
pub use decision::{Decision, Effect, ReplyToken};
pub use group::GroupState;
pub use hard::CommittedOffset;
pub use request::{Caller, GroupRequest, GroupResponse};
pub use shard::{CommittedPartition, Counters, GroupShard, GroupSummary};
