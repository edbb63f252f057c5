//! Every tool as a process of its own, against a node of ours: what it prints, what it exits with, what it refuses.

mod cluster;
mod configs;
mod console;
mod console_bytes;
mod dev;
mod groups;
#[path = "../harness/mod.rs"]
mod harness;
mod offline;
mod offsets;
mod perf;
mod refusals;
mod replicas;
mod restarts;
mod stop;
mod tool;
mod topics;
mod wrappers;
