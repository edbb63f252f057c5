//! Kafka's wire protocol and record format: bytes to messages, batches, ids and error codes, and back.
pub mod id;
