//! The broker's shell: sockets in, sockets out, and in between one handler file per API that asks the pure crates what to do.
//!
//! This crate knows every other one, and no protocol rule: what a partition may answer is decided in `dohle_replication`, what a log accepts
//! in `dohle_storage`, what the cluster is in `dohle_metadata`. Here those decisions meet files, sockets and the clock.
//!
//! Start with `dispatch` (the table of APIs), then `net/connection` (how a request arrives and its answer leaves), then any file in
//! `handlers`; `replica/cell` is where a partition's log and its role are locked together.

mod clock;
mod dispatch;
mod handlers;
mod limits;
mod state;
