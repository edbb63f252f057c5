//! The broker that coordinates a group: found when needed, and again when it says that it is not the one, or is gone.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;

use crate::cluster::Cluster;
use crate::connection::Connection;
use crate::error::ClientError;

pub(in crate::consumer) struct Coordinator {
    cluster: Arc<Cluster>,
    group_id: String,
    node: Mutex<Option<i32>>,
}

/// A connection, and to which node, so that only that one is forgotten.
pub(super) struct Reached {
    pub(super) node: i32,
    pub(super) connection: Arc<Connection>,
}

impl Coordinator {
    pub(super) fn new(cluster: Arc<Cluster>, group_id: &str) -> Coordinator {
        Coordinator {
            cluster,
            group_id: group_id.to_owned(),
            node: Mutex::new(None),
        }
    }

    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    pub(super) fn group_id(&self) -> &str {
        &self.group_id
    }

    /// One attempt; the caller waits before the next one.
    pub(super) async fn reach(&self) -> Result<Reached, ClientError> {
        let known = *self.node.lock();
        let node = match known {
            Some(node) => node,
            None => {
                let node = self.find().await?;
                *self.node.lock() = Some(node);
                node
            }
        };
        match self.cluster.node_apart(node).await {
            Ok(connection) => Ok(Reached { node, connection }),
            Err(error) => {
                self.forget(node);
                Err(error)
            }
        }
    }

    async fn find(&self) -> Result<i32, ClientError> {
        let found = self.cluster.coordinators(std::slice::from_ref(&self.group_id)).await?;
        let unanswered = || ClientError::refused(ErrorCode::CoordinatorNotAvailable.code(), None);
        found.into_values().next().ok_or_else(unanswered)?
    }

    /// The next request looks for the coordinator again.
    pub(super) fn forget(&self, node: i32) {
        let mut known = self.node.lock();
        if *known == Some(node) {
            *known = None;
        }
    }

    /// Forgets it if this error says that it is not, or no longer, the one to ask.
    pub(super) fn heed(&self, node: i32, error: &ClientError) {
        let elsewhere = matches!(
            error.code(),
            Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::RequestTimedOut)
        );
        if elsewhere || (error.code().is_none() && error.is_retriable()) {
            self.forget(node);
        }
    }

    /// Gives up what was asked of it and is not answered yet, which holds up everything after it.
    pub(super) fn hang_up(&self) {
        if let Some(node) = *self.node.lock() {
            self.cluster.hang_up_apart(node);
        }
    }
}
