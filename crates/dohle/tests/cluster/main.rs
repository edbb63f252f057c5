//! Several nodes in one process on loopback: how they become a cluster, and what is left of it when some of them are gone.

mod failures;
mod formation;
mod log;
mod nodes;
mod producers;
mod replication;
mod roles;
