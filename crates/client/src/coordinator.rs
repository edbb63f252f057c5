//! Which broker coordinates a group. Each function makes one attempt; the error codes that mean "not yet" are retriable.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};

use crate::cluster::{Cluster, Topics};
use crate::connection::Connection;
use crate::error::ClientError;

/// From this version on one request may ask for many groups.
const FIRST_BATCHED_VERSION: i16 = 4;

impl Cluster {
    /// A connection to the coordinator of the group.
    pub async fn coordinator(&self, group: &str) -> Result<Arc<Connection>, ClientError> {
        let found = self.coordinators(std::slice::from_ref(&group.to_owned())).await?;
        let node = found.into_values().next().unwrap_or_else(|| Err(unanswered()))?;
        self.node(node).await
    }

    /// The node that coordinates each group, or why there is none.
    pub async fn coordinators(&self, groups: &[String]) -> Result<BTreeMap<String, Result<i32, ClientError>>, ClientError> {
        let connection = self.any().await?;
        let batched = connection.version_of(dohle_protocol::ApiKey::FindCoordinator)? >= FIRST_BATCHED_VERSION;
        let mut found = BTreeMap::new();
        if batched {
            let request = FindCoordinatorRequest {
                coordinator_keys: groups.to_vec(),
                ..Default::default()
            };
            for coordinator in connection.call(&request).await?.coordinators {
                let answer = ClientError::check(coordinator.error_code, coordinator.error_message);
                found.insert(coordinator.key, answer.map(|()| coordinator.node_id));
            }
        } else {
            for group in groups {
                let request = FindCoordinatorRequest {
                    key: group.clone(),
                    ..Default::default()
                };
                let FindCoordinatorResponse {
                    error_code,
                    error_message,
                    node_id,
                    ..
                } = connection.call(&request).await?;
                found.insert(group.clone(), ClientError::check(error_code, error_message).map(|()| node_id));
            }
        }
        let known = self.metadata();
        if found.values().flatten().any(|node| !known.brokers.contains_key(node)) {
            self.refresh(Topics::None).await?;
        }
        Ok(found)
    }
}

fn unanswered() -> ClientError {
    ClientError::refused(ErrorCode::CoordinatorNotAvailable.code(), None)
}
