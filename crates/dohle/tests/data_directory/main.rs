//! A data directory is damaged while its node is down, or the node dies at a bad moment: what the next start makes of it.

mod checkpoints;
mod compaction;
mod content;
#[path = "../harness/mod.rs"]
mod harness;
mod identity;
mod indexes;
mod log_files;
mod metadata_log;
mod producers;
mod restarts;
mod strangers;
