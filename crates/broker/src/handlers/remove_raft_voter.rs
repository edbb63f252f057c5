//! RemoveRaftVoter: a controller loses its vote. The leader of the quorum does so, and may remove itself; other nodes pass it on.
//!
//! Voters are known by their numbers; the id of a voter's directory does not matter.

use std::sync::Arc;

use dohle_metadata::controller::Refusal;
use dohle_protocol::messages::remove_raft_voter::{RemoveRaftVoterRequest, RemoveRaftVoterResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::dispatch::RequestContext;
use crate::handlers::voter_change;
use crate::limits::CONTROLLER_TIMEOUT_UNSAID;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
    let mut response = decide(broker, request.clone()).await;
    if response.error_code == ErrorCode::NotController.code() {
        let passed_on = voter_change::pass_on(broker, &request, ctx.api_version, CONTROLLER_TIMEOUT_UNSAID).await;
        response = passed_on.unwrap_or_else(refused);
    }
    broker.metrics.errors(ApiKey::RemoveRaftVoter, [response.error_code]);
    response
}

/// On the leader; any other node answers that it is none.
pub(crate) async fn decide(broker: &Arc<BrokerState>, request: RemoveRaftVoterRequest) -> RemoveRaftVoterResponse {
    let removed = remove(broker, &request).await;
    removed.map_or_else(refused, |()| RemoveRaftVoterResponse::default())
}

fn refused(refusal: Refusal) -> RemoveRaftVoterResponse {
    RemoveRaftVoterResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message),
        ..RemoveRaftVoterResponse::default()
    }
}

async fn remove(broker: &Arc<BrokerState>, request: &RemoveRaftVoterRequest) -> Result<(), Refusal> {
    let voter = voter_change::check(broker, request.cluster_id.as_deref(), request.voter_id)?;
    let removing = Arc::clone(broker);
    let change = async move { removing.quorum.remove_voter(voter).await };
    voter_change::carry_out(change, CONTROLLER_TIMEOUT_UNSAID).await
}
