//! The way to the other nodes of the quorum, which somebody else has to provide: this crate knows no sockets.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::type_config::NodeId;

/// The target of a call that any node behind the address may answer: its number is not known yet.
pub const ANYBODY: NodeId = i64::MAX as NodeId;

/// Carries a request to [`Quorum::serve`] of another node, and its answer back.
///
/// [`Quorum::serve`]: crate::Quorum::serve
pub trait Peers: Send + Sync + 'static {
    /// `address` is what the configuration says of `target`, or [`ANYBODY`]. An answer that comes after `timeout` is of no use.
    fn call(&self, target: NodeId, address: String, request: Bytes, timeout: Duration) -> BoxFuture<'static, Result<Bytes, PeerError>>;
}

/// The request was not answered; it may have arrived all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("no answer in time")]
    TimedOut,
}

/// For a quorum of one.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPeers;

impl Peers for NoPeers {
    fn call(&self, target: NodeId, _address: String, _request: Bytes, _timeout: Duration) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        let error = PeerError::Unreachable(format!("there is no way from this node to node {target}"));
        Box::pin(async { Err(error) })
    }
}
