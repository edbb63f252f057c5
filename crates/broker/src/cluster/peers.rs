//! The way to other nodes' controller listeners. Connections are kept until they break: to each node one for what is answered at once, and
//! one for what may take longer, because answers come in the order of the requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dohle_client::{ClientConfig, ClientError, Connection};
use dohle_protocol::messages::peer_rpc::PeerRpcRequest;
use dohle_protocol::{ErrorCode, Request};
use dohle_quorum::{NodeId, PeerError, Peers};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits;

/// Shared by all that use the same connections.
#[derive(Clone)]
pub(crate) struct NodeLinks(Arc<Inner>);

struct Inner {
    config: ClientConfig,
    links: Mutex<BTreeMap<Way, Arc<Link>>>,
}

/// Where to, and whether it is for what is answered at once.
type Way = (String, bool);

#[derive(Default)]
struct Link {
    /// Locked while it is opened.
    connection: tokio::sync::Mutex<Option<Arc<Connection>>>,
    /// Why the last call had no answer.
    failure: Mutex<Option<String>>,
}

impl NodeLinks {
    pub(crate) fn new(node_id: i32) -> NodeLinks {
        let config = ClientConfig::for_servers("localhost:1").expect("an address");
        let config = ClientConfig {
            client_id: format!("node-{node_id}"),
            connect_timeout: limits::PEER_CONNECT_TIMEOUT,
            request_timeout: limits::PEER_CONNECT_TIMEOUT,
            ..config
        };
        let links = Mutex::default();
        NodeLinks(Arc::new(Inner { config, links }))
    }

    /// Asks the node at `address`.
    pub(crate) async fn call<R: Request>(
        &self,
        address: &str,
        request: &R,
        version: i16,
        timeout: Duration,
    ) -> Result<R::Response, ClientError> {
        let begun = Instant::now();
        let way = (address.to_owned(), timeout < limits::QUICK_CALL_MAX);
        let link = Arc::clone(self.0.links.lock().entry(way).or_default());
        let outcome = async {
            let connection = tokio::time::timeout(timeout, self.connection(&link, address)).await;
            let connection = connection.map_err(|_| ClientError::Unreachable {
                address: address.to_owned(),
                reason: "no connection in time".to_owned(),
            })??;
            let left = timeout.saturating_sub(begun.elapsed());
            connection.start(request, version, left).await?.wait().await
        };
        let outcome = outcome.await;
        *link.failure.lock() = outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    async fn connection(&self, link: &Link, address: &str) -> Result<Arc<Connection>, ClientError> {
        let mut slot = link.connection.lock().await;
        if let Some(open) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(Arc::clone(open));
        }
        *slot = None;
        let opened = Arc::new(self.open(address).await?);
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// A connection that nobody else uses.
    pub(crate) async fn open(&self, address: &str) -> Result<Connection, ClientError> {
        Connection::open(address, &self.0.config).await
    }

    /// Closes the connections to all others.
    pub(crate) fn keep_only(&self, address: &str) {
        self.0.links.lock().retain(|(other, _), _| other == address);
    }

    /// Why the node at `address` cannot be reached; `None` if it can be, or was never asked.
    pub(crate) fn failure(&self, address: &str) -> Option<String> {
        let links = self.0.links.lock();
        let mut ways = links.iter().filter(|((to, _), _)| to == address);
        ways.find_map(|(_, link)| link.failure.lock().clone())
    }
}

impl Peers for NodeLinks {
    fn call(&self, _target: NodeId, address: String, request: Bytes, timeout: Duration) -> BoxFuture<'static, Result<Bytes, PeerError>> {
        let links = self.clone();
        Box::pin(async move {
            let request = PeerRpcRequest {
                body: request,
                ..PeerRpcRequest::default()
            };
            // Whoever calls gives up after `timeout`, and nobody would learn of that here.
            let timeout = timeout - timeout / 10;
            let answer = NodeLinks::call(&links, &address, &request, 0, timeout).await;
            let answer = answer.map_err(|error| match error {
                ClientError::TimedOut { .. } => PeerError::TimedOut,
                other => PeerError::Unreachable(other.to_string()),
            })?;
            match ErrorCode::from_code(answer.error_code) {
                ErrorCode::None => Ok(answer.body),
                error => Err(PeerError::Unreachable(error.message().to_owned())),
            }
        })
    }
}
