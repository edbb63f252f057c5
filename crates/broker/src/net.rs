//! Sockets: who may connect, how requests arrive, and how answers leave.

pub(crate) mod connection;
pub(crate) mod connection_counts;
pub(crate) mod listener;
mod outgoing;
mod request_reader;
