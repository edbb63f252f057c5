//! Configuration keys: what a key is, what a topic's keys are, and what a topic's or broker's configuration comes to.
//!
//! A broker's own keys are registered where they are acted on, in terms of [`key::ConfigKey`].

pub mod broker;
pub mod described;
pub mod key;
pub mod resource;
pub mod source;
pub mod topic;
pub mod topic_config;
