//! ForwardToController: another node asks the controller, which has to be here. It is not looked for elsewhere: that is up to who asks.

use std::sync::Arc;

use bytes::Bytes;
use dohle_metadata::controller::Refusal;
use dohle_protocol::id::Offset;
use dohle_protocol::messages::forward_to_controller::{ForwardToControllerRequest, ForwardToControllerResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::cluster::controller;
use crate::cluster::forwarding::{self, Forwarded, decode_message, encode_message};
use crate::dispatch::RequestContext;
use crate::handlers::{add_raft_voter, describe_quorum, remove_raft_voter};
use crate::state::BrokerState;

pub(crate) async fn handle(
    broker: &Arc<BrokerState>,
    _ctx: &RequestContext,
    request: ForwardToControllerRequest,
) -> ForwardToControllerResponse {
    match decide(broker, request).await {
        Ok((body, error_message, offset)) => ForwardToControllerResponse {
            error_message,
            metadata_offset: offset.0,
            body,
            ..ForwardToControllerResponse::default()
        },
        Err(refusal) => ForwardToControllerResponse {
            error_code: refusal.code.code(),
            error_message: Some(refusal.message),
            ..ForwardToControllerResponse::default()
        },
    }
}

/// The response, what it has no room for, and up to where the metadata log holds what was decided.
async fn decide(broker: &Arc<BrokerState>, request: ForwardToControllerRequest) -> Result<(Bytes, Option<String>, Offset), Refusal> {
    let (code, version, body) = (request.request_api_key, request.request_api_version, request.body);
    let unknown = || Refusal::new(ErrorCode::InvalidRequest, format!("there is no API {code}"));
    let key = ApiKey::from_code(code).ok_or_else(unknown)?;
    if controller::other_leader(broker).is_some() {
        return Err(ErrorCode::NotController.into());
    }
    let of_quorum = match key {
        ApiKey::AddRaftVoter => {
            let response = add_raft_voter::decide(broker, decode_message(version, body)?).await;
            encode_message(&response, version)?
        }
        ApiKey::RemoveRaftVoter => {
            let response = remove_raft_voter::decide(broker, decode_message(version, body)?).await;
            encode_message(&response, version)?
        }
        ApiKey::DescribeQuorum => {
            let response = describe_quorum::describe(broker, decode_message(version, body)?);
            encode_message(&response, version)?
        }
        _ => {
            let request = forwarding::decode(Forwarded { key, version, body })?;
            let reply = controller::decide_here(broker, request).await?;
            let offset = broker.quorum.version().offset;
            let (body, sentence) = forwarding::encode_reply(&reply, version)?;
            return Ok((body, sentence, offset));
        }
    };
    Ok((of_quorum, None, Offset::NONE))
}
