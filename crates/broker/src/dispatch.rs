//! Which APIs are served in which versions, and who answers them.

use std::net::SocketAddr;
use std::sync::Arc;

/// What a handler may know about the connection that a request came by.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    /// Name of the listener, as in `listeners`.
    pub(crate) listener: Arc<str>,
    pub(crate) local_addr: SocketAddr,
    pub(crate) peer_addr: SocketAddr,
}

/// What a handler may know about a request besides its body.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) connection: Arc<ConnectionInfo>,
    pub(crate) client_id: Option<String>,
    pub(crate) api_version: i16,
}
