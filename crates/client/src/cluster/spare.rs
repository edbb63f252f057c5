//! Connections that one caller has to itself for one exchange, and then leaves to the next.
//!
//! Answers come in the order of the requests, so a fetch, a rebalance or a commit that takes its time holds up what is asked behind it. With
//! these, as many connections are open as such requests are under way, however many consumers share a cluster.

use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::Cluster;
use crate::connection::Connection;
use crate::error::ClientError;
use crate::limits::SPARE_CONNECTION_IDLE_MAX;

#[derive(Default)]
pub(super) struct SpareConnections {
    /// The one used last at the end.
    spare: Vec<Spare>,
    /// A task closes those that nobody takes any more.
    watched: bool,
}

struct Spare {
    node: i32,
    connection: Connection,
    since: Instant,
}

impl Cluster {
    /// A connection to one broker that nobody else uses until it is given back. Dropped instead, it is closed, and what was asked on it
    /// is given up.
    pub async fn take_connection(&self, node: i32) -> Result<Connection, ClientError> {
        while let Some(connection) = self.take_spare(node) {
            if !connection.is_closed() {
                return Ok(connection);
            }
        }
        self.open_to(node).await
    }

    /// Everything that was asked on it must have been answered.
    pub fn give_back(self: &Arc<Cluster>, node: i32, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut spare = self.spare.lock();
        spare.spare.push(Spare {
            node,
            connection,
            since: Instant::now(),
        });
        if !std::mem::replace(&mut spare.watched, true) {
            tokio::spawn(close_idle(Arc::downgrade(self)));
        }
    }

    fn take_spare(&self, node: i32) -> Option<Connection> {
        let spare = &mut self.spare.lock().spare;
        let index = spare.iter().rposition(|spare| spare.node == node)?;
        Some(spare.remove(index).connection)
    }
}

async fn close_idle(cluster: Weak<Cluster>) {
    loop {
        tokio::time::sleep(SPARE_CONNECTION_IDLE_MAX).await;
        let Some(cluster) = cluster.upgrade() else { return };
        let mut spare = cluster.spare.lock();
        spare.spare.retain(|spare| spare.since.elapsed() < SPARE_CONNECTION_IDLE_MAX);
        if spare.spare.is_empty() {
            *spare = SpareConnections::default();
            return;
        }
    }
}
