//! DeleteGroups: groups without members, and all that they have committed.

use std::collections::BTreeSet;
use std::sync::Arc;

use dohle_coordinator::{GroupRequest, GroupResponse};
use dohle_protocol::ApiKey;
use dohle_protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};

use crate::coordinator::client;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let caller = client::anonymous(ctx);
    let mut seen = BTreeSet::new();
    let named = request.groups_names.into_iter().filter(|id| seen.insert(id.clone()));
    // All are begun before the first is waited for: one sync serves many.
    let begun: Vec<_> = named
        .map(|id| {
            let request = GroupRequest::DeleteGroup(id.clone());
            let pending = broker.groups.begin(&caller, &id, request);
            (id, pending)
        })
        .collect();
    let mut response = DeleteGroupsResponse::default();
    for (group_id, pending) in begun {
        let answer = match pending {
            Ok(pending) => pending.answer().await,
            Err(error) => Err(error),
        };
        let error = match answer {
            Ok(GroupResponse::DeleteGroup(error)) => error,
            Ok(other) => unreachable!("the response to DeleteGroup is not {other:?}"),
            Err(error) => error,
        };
        broker.metrics.errors(ApiKey::DeleteGroups, [error.code()]);
        response.results.push(DeletableGroupResult {
            group_id,
            error_code: error.code(),
            ..DeletableGroupResult::default()
        });
    }
    response
}
