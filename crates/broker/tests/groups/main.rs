//! Consumer groups through sockets: members, offsets, restarts, and what goes wrong with the log of the coordinator.

#[path = "../harness/mod.rs"]
mod harness;

mod bad_input;
mod damage;
mod groups_client;
mod lifecycle;
mod membership;
mod offsets;
