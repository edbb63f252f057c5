//! What adding and removing a voter of the metadata quorum have in common.

use std::time::Duration;

use dohle_metadata::controller::Refusal;
use dohle_protocol::{ErrorCode, Request};
use dohle_quorum::{NodeId, VoterChangeError};

use crate::cluster::{controller, forwarding};
use crate::state::BrokerState;

/// The number of the voter, if the request is meant for this cluster.
pub(super) fn check(broker: &BrokerState, cluster_id: Option<&str>, voter_id: i32) -> Result<NodeId, Refusal> {
    let ours = broker.cluster_id();
    if let Some(other) = cluster_id.filter(|id| **id != *ours) {
        let message = format!("The request is meant for the cluster {other}, this is {ours}.");
        return Err(Refusal::new(ErrorCode::InconsistentClusterId, message));
    }
    NodeId::try_from(voter_id).map_err(|_| Refusal::new(ErrorCode::InvalidRequest, format!("{voter_id} is not the id of a node.")))
}

/// Waits for the change as long as the client does. It goes on when nobody waits any more: a part of it may have been agreed upon.
pub(super) async fn carry_out(
    change: impl Future<Output = Result<Option<String>, VoterChangeError>> + Send + 'static,
    timeout: Duration,
) -> Result<(), Refusal> {
    match tokio::time::timeout(timeout, tokio::spawn(change)).await {
        Ok(Ok(Ok(warning))) => {
            if let Some(warning) = warning {
                tracing::warn!("{warning}");
            }
            Ok(())
        }
        Ok(Ok(Err(error))) => Err(Refusal::new(code_of(&error), error.to_string())),
        Ok(Err(error)) => Err(Refusal::new(ErrorCode::UnknownServerError, error.to_string())),
        Err(_) => Err(Refusal::new(
            ErrorCode::RequestTimedOut,
            "The voters were not changed in time; they may still be.",
        )),
    }
}

/// Has the leader of the quorum answer, which is another node.
pub(super) async fn pass_on<R: Request>(
    broker: &BrokerState,
    request: &R,
    version: i16,
    timeout: Duration,
) -> Result<R::Response, Refusal> {
    let body = forwarding::encode_message(request, version)?;
    let answer = controller::forward(broker, R::KEY, version, body, timeout).await?;
    forwarding::decode_message(version, answer)
}

fn code_of(error: &VoterChangeError) -> ErrorCode {
    match error {
        VoterChangeError::NotController { .. } => ErrorCode::NotController,
        VoterChangeError::UnderWay | VoterChangeError::NotCaughtUp(_) | VoterChangeError::TimedOut => ErrorCode::RequestTimedOut,
        VoterChangeError::AlreadyVoter(_) => ErrorCode::DuplicateVoter,
        VoterChangeError::NotAVoter(_) => ErrorCode::VoterNotFound,
        VoterChangeError::LastVoter(_) => ErrorCode::InvalidRequest,
        VoterChangeError::Failed(_) => ErrorCode::UnknownServerError,
    }
}
