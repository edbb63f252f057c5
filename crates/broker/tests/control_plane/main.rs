//! Whole nodes in this process, asked over their sockets: metadata, topics, configuration, start and stop.

mod configs;
mod metadata;
mod node;
mod quorum;
mod start;
mod topics;
