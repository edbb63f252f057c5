//! AddRaftVoter: a controller that runs is given a vote, once it has caught up. The leader of the quorum does so; other nodes pass it on.
//!
//! Voters are known by their numbers, as in a static list; the id of a voter's directory is not kept.

use std::sync::Arc;

use dohle_metadata::controller::Refusal;
use dohle_protocol::messages::add_raft_voter::{AddRaftVoterRequest, AddRaftVoterResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::cluster::controller;
use crate::config::Endpoint;
use crate::dispatch::RequestContext;
use crate::handlers::voter_change;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
    let mut response = decide(broker, request.clone()).await;
    if response.error_code == ErrorCode::NotController.code() {
        let timeout = controller::timeout(request.timeout_ms);
        let passed_on = voter_change::pass_on(broker, &request, ctx.api_version, timeout).await;
        response = passed_on.unwrap_or_else(refused);
    }
    broker.metrics.errors(ApiKey::AddRaftVoter, [response.error_code]);
    response
}

/// On the leader; any other node answers that it is none.
pub(crate) async fn decide(broker: &Arc<BrokerState>, request: AddRaftVoterRequest) -> AddRaftVoterResponse {
    add(broker, request)
        .await
        .map_or_else(refused, |()| AddRaftVoterResponse::default())
}

fn refused(refusal: Refusal) -> AddRaftVoterResponse {
    AddRaftVoterResponse {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message),
        ..AddRaftVoterResponse::default()
    }
}

async fn add(broker: &Arc<BrokerState>, request: AddRaftVoterRequest) -> Result<(), Refusal> {
    let voter = voter_change::check(broker, request.cluster_id.as_deref(), request.voter_id)?;
    // The first one is that by which controllers reach each other.
    let Some(listener) = request.listeners.into_iter().next() else {
        return Err(Refusal::new(ErrorCode::InvalidRequest, "The voter has no listener."));
    };
    let (host, port) = (listener.host, listener.port);
    let address = Endpoint { host, port }.to_string();
    let adding = Arc::clone(broker);
    let change = async move { adding.quorum.add_voter(voter, address).await };
    voter_change::carry_out(change, controller::timeout(request.timeout_ms)).await
}
