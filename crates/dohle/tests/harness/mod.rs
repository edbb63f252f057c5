//! What tests of real processes share: a node on loopback, and a blocking connection that speaks the protocol.
#![allow(dead_code, unused_imports, reason = "each test target includes this and uses a part of it")]

mod connection;
mod node;
mod requests;

pub(crate) use connection::Connection;
pub(crate) use node::{BINARY, Node, StartRefused, free_port};
pub(crate) use requests::{EARLIEST, FETCH_BYTES_MAX, LATEST, fetch_request};
