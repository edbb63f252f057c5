//! What the cluster is, who may change it, and what changed.
//!
//! This crate must not know consensus, sockets, files, clocks or random sources: time and a seed reach it as arguments.
//!
//! Start with [`record`] (the facts, as they lie in the metadata log), then [`image`] (what all records so far amount to),
//! [`controller`] (a request becomes records and a reply) and [`delta`] (what a broker does after records were applied).
//! Configuration keys are in [`config`].

pub mod config;
pub mod controller;
pub mod delta;
pub mod image;
pub mod limits;
pub mod record;
pub mod topic_name;
