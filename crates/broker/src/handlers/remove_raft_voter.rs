//! RemoveRaftVoter: a controller loses its vote. Only the leader of the quorum does so; it may remove itself.
//!
//! Voters are known by their numbers; the id of a voter's directory does not matter.

use std::sync::Arc;

use dohle_metadata::controller::Refusal;
use dohle_protocol::ApiKey;
use dohle_protocol::messages::remove_raft_voter::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};

use crate::dispatch::RequestContext;
use crate::handlers::voter_change;
use crate::limits::CONTROLLER_TIMEOUT_MAX;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
    let response = decide(broker, request).await;
    broker.metrics.errors(ApiKey::RemoveRaftVoter, [response.error_code]);
    response
}

/// On the leader; any other node answers that it is none.
pub(crate) async fn decide(broker: &Arc<BrokerState>, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
    match remove(broker, &request).await {
        Ok(()) => RemoveRaftVoterResponse::default(),
        Err(refusal) => RemoveRaftVoterResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..RemoveRaftVoterResponse::default()
        },
    }
}

async fn remove(broker: &Arc<BrokerState>, request: &RemoveRaftVoterRequest) -> Result<(), Refusal> {
    let voter = voter_change::check(broker, request.cluster_id.as_deref(), request.voter_id)?;
    let removing = Arc::clone(broker);
    let change = async move { removing.quorum.remove_voter(voter).await };
    voter_change::carry_out(change, CONTROLLER_TIMEOUT_MAX).await
}
