//! The sockets that clients connect to, and the loop that accepts.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::cluster::{active_controller, succession};
use crate::config::{Endpoint, Listener};
use crate::dispatch::ConnectionInfo;
use crate::limits;
use crate::metrics::Metrics;
use crate::net::connection;
use crate::net::connection_counts::CountedConnection;
use crate::state::BrokerState;

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (listener {listener}): {source}")]
pub struct ListenError {
    pub listener: String,
    pub address: String,
    pub source: io::Error,
}

/// A listener with the sockets of all its addresses. Until [`BoundListener::let_wait`] whoever connects is turned away: it can ask another node
/// at once, where it would wait for an answer of this one.
#[derive(Debug)]
pub(crate) struct BoundListener {
    pub(crate) listener: Arc<Listener>,
    sockets: Vec<Arc<TcpListener>>,
    turning_away: DropGuard,
}

impl BoundListener {
    /// Binds every address of the listener. With port 0 all of them get the same free port. An IPv6 address is skipped on a machine without.
    pub(crate) fn bind(listener: &Listener) -> Result<BoundListener, ListenError> {
        let failed = |source| ListenError {
            listener: listener.name.clone(),
            address: listener.bind.to_string(),
            source,
        };
        let mut sockets: Vec<Arc<TcpListener>> = Vec::new();
        for mut address in listener.bind.socket_addresses().map_err(failed)? {
            if let (0, Some(first)) = (address.port(), sockets.first()) {
                address.set_port(first.local_addr().map_err(failed)?.port());
            }
            match bind(address) {
                Ok(socket) => sockets.push(Arc::new(socket)),
                Err(error) if !sockets.is_empty() && is_missing_address(&error) => {
                    tracing::debug!(%address, "this machine has no such address");
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let turning_away = CancellationToken::new();
        for socket in &sockets {
            let (socket, end) = (Arc::clone(socket), turning_away.clone());
            tokio::spawn(async move { end.run_until_cancelled(turn_away(&socket)).await });
        }
        Ok(BoundListener {
            listener: Arc::new(listener.clone()),
            sockets,
            turning_away: turning_away.drop_guard(),
        })
    }

    /// What other nodes are told to connect to: what is advertised, or where this machine listens.
    pub(crate) fn reachable(&self) -> Endpoint {
        if let Some(advertised) = &self.listener.advertised {
            return advertised.clone();
        }
        let bind = &self.listener.bind;
        let is_any = bind.host.is_empty() || bind.is_meta_address();
        let host = if is_any {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        } else {
            bind.host.clone()
        };
        let port = self.addresses().first().map_or(bind.port, SocketAddr::port);
        Endpoint { host, port }
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// From now on whoever connects waits until it is served.
    pub(crate) fn let_wait(&self) {
        self.turning_away.token().cancel();
    }

    /// Accepts until `stop`. `connections` tells when the last connection has ended.
    pub(crate) fn serve(self, broker: &Arc<BrokerState>, stop: &CancellationToken, connections: &TaskTracker) {
        self.let_wait();
        for socket in self.sockets {
            let acceptor = Acceptor {
                listener: Arc::clone(&self.listener),
                broker: Arc::clone(broker),
                stop: stop.clone(),
                connections: connections.clone(),
            };
            let until = stop.clone();
            tokio::spawn(async move { until.run_until_cancelled(acceptor.run(&socket)).await });
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // IPv4 has its own socket.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::ACCEPT_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn turn_away(socket: &TcpListener) {
    loop {
        if socket.accept().await.is_err() {
            tokio::time::sleep(limits::ACCEPT_ERROR_PAUSE).await;
        }
    }
}

fn is_missing_address(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

struct Acceptor {
    listener: Arc<Listener>,
    broker: Arc<BrokerState>,
    stop: CancellationToken,
    connections: TaskTracker,
}

impl Acceptor {
    async fn run(self, socket: &TcpListener) {
        loop {
            match socket.accept().await {
                Ok((stream, peer_addr)) => self.accept(stream, peer_addr),
                Err(error) => {
                    tracing::warn!(listener = %self.listener.name, %error, "cannot accept a connection");
                    tokio::time::sleep(limits::ACCEPT_ERROR_PAUSE).await;
                }
            }
        }
    }

    fn accept(&self, stream: TcpStream, peer_addr: SocketAddr) {
        let settings = self.broker.settings.load();
        // However many clients there are, the nodes hear each other.
        let (all_max, per_ip_max) = match self.listener.is_controller {
            true => (usize::MAX, usize::MAX),
            false => (settings.connections_max, settings.connections_per_ip_max),
        };
        let counted = self.broker.connections.open(peer_addr.ip(), all_max, per_ip_max);
        let counted = match counted {
            Ok(counted) => counted,
            Err(reason) => return tracing::warn!(peer = %peer_addr, listener = %self.listener.name, "connection refused: {reason}"),
        };
        // Gone before we looked at it.
        let (Ok(local_addr), Ok(())) = (stream.local_addr(), stream.set_nodelay(true)) else {
            return;
        };
        let info = Arc::new(ConnectionInfo {
            listener: Arc::clone(&self.listener),
            local_addr,
            peer_addr,
            heard_of: Mutex::default(),
        });
        let served = connection::serve(Arc::clone(&self.broker), stream, Arc::clone(&info), self.stop.clone());
        let open = OpenConnection {
            _counted: counted,
            metrics: Arc::clone(&self.broker.metrics),
        };
        open.metrics.connection_opened();
        let (broker, stop) = (Arc::clone(&self.broker), self.stop.clone());
        self.connections.spawn(async move {
            let _open = open;
            served.await;
            let heard_of = info.heard_of.lock().take();
            if let Some((id, epoch)) = heard_of {
                stop.run_until_cancelled(active_controller::connection_closed(&broker, id, epoch))
                    .await;
            } else if info.listener.is_controller {
                stop.run_until_cancelled(succession::connection_closed(&broker)).await;
            }
        });
    }
}

/// Ends with the connection, even if that ends by a panic.
struct OpenConnection {
    _counted: CountedConnection,
    metrics: Arc<Metrics>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.metrics.connection_closed();
    }
}
