//! The listeners: connections come in, are served within limits of number, size and time, and end in good order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::RestConfig;
use crate::limits::{ANSWER_STALL_MAX, CONNECTIONS_MAX, DRAIN_TIMEOUT, HEADERS_BYTES_MAX, HEADERS_MAX};
use crate::proxy::Proxy;
use crate::routes;
use crate::sent_in_time::SentInTime;

/// A running proxy. Call [`RestServer::shutdown`]: members of groups that are dropped are missed only when their sessions end.
pub struct RestServer {
    proxy: Arc<Proxy>,
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ServeError {
    address: String,
    source: io::Error,
}

impl RestServer {
    /// Listens, and returns when requests are served. The cluster is connected by the first of them.
    /// (In a box: otherwise all of the proxy is compiled again into whatever starts one.)
    pub fn start(config: RestConfig) -> BoxFuture<'static, Result<RestServer, ServeError>> {
        Box::pin(RestServer::begin(config, ANSWER_STALL_MAX))
    }

    async fn begin(config: RestConfig, stall_max: Duration) -> Result<RestServer, ServeError> {
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let failed = |source| ServeError {
                address: format!("{}:{}", listener.host, listener.port),
                source,
            };
            for address in listener.addresses().map_err(failed)? {
                listeners.push(TcpListener::bind(address).await.map_err(failed)?);
            }
        }
        let proxy = Proxy::new(config);
        let server = RestServer {
            addresses: listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect(),
            proxy: proxy.clone(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        for listener in listeners {
            let acceptor = Acceptor {
                router: routes::router(&proxy),
                proxy: proxy.clone(),
                connections: connections.clone(),
                stop: server.stop.clone(),
                tasks: server.tasks.clone(),
                stall_max,
            };
            server.tasks.spawn(acceptor.run(listener));
        }
        let (reaped, stop) = (proxy, server.stop.clone());
        server.tasks.spawn(async move { reaped.instances.expire_idle(stop).await });
        Ok(server)
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Answers what has been asked, then takes all instances out of their groups.
    pub fn shutdown(self) -> BoxFuture<'static, ()> {
        Box::pin(self.end())
    }

    async fn end(self) {
        self.stop.cancel();
        self.tasks.close();
        // Reads that wait for records end when their instances do.
        self.proxy.close().await;
        if tokio::time::timeout(DRAIN_TIMEOUT, self.tasks.wait()).await.is_err() {
            tracing::warn!("stopping although {} connections are in use", self.tasks.len());
        }
        // Created by a request that was in the works.
        self.proxy.close().await;
    }
}

struct Acceptor {
    router: Router,
    proxy: Arc<Proxy>,
    connections: Arc<Semaphore>,
    stop: CancellationToken,
    tasks: TaskTracker,
    stall_max: Duration,
}

impl Acceptor {
    async fn run(self, listener: TcpListener) {
        let stop = self.stop.clone();
        stop.run_until_cancelled(async {
            loop {
                let permit = self.connections.clone().acquire_owned().await.expect("never closed");
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let served = self.serve(stream);
                        self.tasks.spawn(async move {
                            served.await;
                            drop(permit);
                        });
                    }
                    Err(error) => {
                        tracing::warn!("a connection is not accepted: {error}");
                        // Out of files: the next attempt would fail at once.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        })
        .await;
    }

    fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + use<> {
        let service = TowerToHyperService::new(self.router.clone());
        let (proxy, stop, stall_max) = (self.proxy.clone(), self.stop.clone(), self.stall_max);
        async move {
            let _ = stream.set_nodelay(true);
            proxy.metrics.connections.inc();
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(proxy.config.headers_timeout)
                .max_buf_size(HEADERS_BYTES_MAX)
                .max_headers(HEADERS_MAX)
                .serve_connection(TokioIo::new(SentInTime::new(stream, stall_max)), service);
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!("a connection ended early: {error}");
            }
            proxy.metrics.connections.dec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dohle_client::Properties;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_client_that_does_not_read_its_answers_is_cut_off() {
        let mut properties = Properties::default();
        properties.set("listeners", "http://127.0.0.1:0");
        let config = RestConfig::from_properties(&properties).unwrap();
        let server = RestServer::begin(config, Duration::from_millis(200)).await.unwrap();
        let mut client = TcpStream::connect(server.addresses()[0]).await.unwrap();
        // Of these answers the sockets can hold but a part.
        let requests = "GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1000);
        client.write_all(requests.as_bytes()).await.unwrap();
        let connections = &server.proxy.metrics.connections;
        while connections.get() == 0 {
            tokio::task::yield_now().await;
        }
        while connections.get() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut answers = Vec::new();
        let _ = client.read_to_end(&mut answers).await;
        assert!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200").count() < 1000);
        server.shutdown().await;
    }
}
