//! The metadata quorum: a replicated log of facts about the cluster, the one loop that decides them, and the image they add up to.
//!
//! Consensus is openraft's; log, vote and snapshots on disk are ours, in our own formats. This crate must not know Kafka's requests,
//! listeners, or what a broker does with the metadata: it takes [`ControllerRequest`]s and hands out [`MetadataChange`]s.
//!
//! Start with [`Quorum`], then `controller_loop` (how a request becomes an entry), `log_store` (what is durable when) and `state_machine`
//! (how an entry becomes the image). One voter for now: more need a way to each other, which is to go into `network`.
//!
//! [`ControllerRequest`]: dohle_metadata::controller::ControllerRequest

mod controller_loop;
mod entry_codec;
mod entry_log;
pub mod limits;
mod log_check;
mod log_store;
mod network;
mod publisher;
mod quorum;
pub mod runtime;
mod snapshot;
mod start_error;
mod state_machine;
mod status;
mod submit_error;
mod type_config;
mod vote_file;

pub use entry_log::METADATA_TOPIC;
pub use publisher::{MetadataChange, MetadataVersion, Subscription};
pub use quorum::{Quorum, QuorumConfig};
pub use start_error::StartError;
pub use status::{QuorumStatus, VoterStatus};
pub use submit_error::SubmitError;
pub use type_config::NodeId;

#[cfg(test)]
mod tests;
