//! ListGroups: the groups that this broker coordinates. While some are being loaded the list would not be whole, and there is none.

use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use dohle_protocol::{ApiKey, ErrorCode};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: ListGroupsRequest) -> ListGroupsResponse {
    let response = match list(broker, ctx, request).await {
        Ok(groups) => ListGroupsResponse {
            groups,
            ..ListGroupsResponse::default()
        },
        Err(error) => ListGroupsResponse {
            error_code: error.code(),
            ..ListGroupsResponse::default()
        },
    };
    broker.metrics.errors(ApiKey::ListGroups, [response.error_code]);
    response
}

async fn list(broker: &BrokerState, ctx: &RequestContext, request: ListGroupsRequest) -> Result<Vec<ListedGroup>, ErrorCode> {
    let request = GroupRequest::ListGroups {
        states: request.states_filter,
        types: request.types_filter,
    };
    let mut listed = Vec::new();
    for pending in broker.groups.begin_everywhere(&client::anonymous(ctx), &request)? {
        match pending.answer().await {
            Ok(GroupResponse::ListGroups(groups)) => listed.extend(groups),
            Ok(other) => unreachable!("the response to ListGroups is not {other:?}"),
            Err(ErrorCode::NotCoordinator) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listed)
}
