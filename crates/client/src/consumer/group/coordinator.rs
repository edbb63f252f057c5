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
pub(super) struct Reached<C> {
    pub(super) node: i32,
    pub(super) connection: C,
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

    /// A connection for requests that may take their time. One attempt; the caller waits before the next one.
    pub(super) async fn reach(&self) -> Result<Reached<Connection>, ClientError> {
        let node = self.node().await?;
        let connection = self.cluster.take_connection(node).await;
        let connection = connection.inspect_err(|_| self.forget(node))?;
        Ok(Reached { node, connection })
    }

    /// When all is answered.
    pub(super) fn give_back(&self, reached: Reached<Connection>) {
        self.cluster.give_back(reached.node, reached.connection);
    }

    pub(super) async fn reach_for_heartbeat(&self) -> Result<Reached<Arc<Connection>>, ClientError> {
        let node = self.node().await?;
        let connection = self.cluster.node_for_heartbeats(node).await;
        let connection = connection.inspect_err(|_| self.forget(node))?;
        Ok(Reached { node, connection })
    }

    async fn node(&self) -> Result<i32, ClientError> {
        let known = *self.node.lock();
        if let Some(node) = known {
            return Ok(node);
        }
        let node = self.find().await?;
        *self.node.lock() = Some(node);
        Ok(node)
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
}
