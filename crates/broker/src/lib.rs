//! The broker's shell: sockets in, sockets out, and in between one handler file per API that asks the pure crates what to do.
//!
//! This crate knows every other one, and no protocol rule: what a partition may answer is decided in `dohle_replication`, what a log accepts
//! in `dohle_storage`, what the cluster is in `dohle_metadata`. Here those decisions meet files, sockets and the clock.
//!
//! Start with [`Broker`] in `broker` (what a node consists of), then `dispatch` (the table of APIs), `net/connection` (how a request arrives
//! and its answer leaves), any file in `handlers`, and `replica/cell`, where a partition's log and its role are locked together.

#[cfg(test)]
mod apis_page;
mod broker;
mod clock;
mod cluster;
pub mod config;
mod coordinator;
mod dispatch;
mod handlers;
mod http;
mod late;
mod limits;
mod log_directories;
mod logging;
mod metrics;
mod net;
mod replica;
mod start;
mod state;

pub use broker::{Broker, StartError};
pub use start::{Companion, main_start};
