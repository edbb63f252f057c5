//! The metadata quorum: a replicated log of facts about the cluster, the one loop that decides them, and the image they add up to.
//!
//! Consensus is openraft's; log, vote and snapshots on disk are ours, in our own formats. This crate must not know Kafka's requests,
//! listeners, or what a broker does with the metadata: it takes [`ControllerRequest`]s and hands out [`MetadataChange`]s.
//!
//! Start with [`Quorum`], then `controller_loop` (how a request becomes an entry), `log_store` (what is durable when) and `facts` (how an
//! entry becomes the image). Voters reach each other through [`Peers`] and [`Quorum::serve`]: `network` asks, `voter` answers, `rpc` is what
//! they say. `puller` is the observer, which follows without a vote.
//!
//! [`ControllerRequest`]: dohle_metadata::controller::ControllerRequest

mod assembly;
mod attendant;
mod change_of_voters;
mod contacts;
mod controller_loop;
mod entry_codec;
mod entry_log;
mod facts;
mod identity;
pub mod limits;
mod log_check;
mod log_store;
mod network;
pub mod peers;
mod publisher;
mod puller;
mod quorum;
mod rpc;
pub mod runtime;
mod snapshot;
mod start_error;
mod state_machine;
mod status;
mod submit_error;
mod type_config;
mod vote_file;
mod voter;
mod voter_change_error;

pub use entry_log::METADATA_TOPIC;
pub use peers::{NoPeers, PeerError, Peers};
pub use publisher::{MetadataChange, MetadataVersion, Subscription};
pub use quorum::{Quorum, QuorumConfig, Role};
pub use start_error::StartError;
pub use status::{QuorumStatus, ReplicaStatus};
pub use submit_error::SubmitError;
pub use type_config::{Leader, NodeId};
pub use voter_change_error::VoterChangeError;

#[cfg(test)]
mod tests;
