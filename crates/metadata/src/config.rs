//! Configuration keys: what a key is, and what a topic's keys are.

pub mod key;
pub mod resource;
