//! Kafka's wire protocol and record format: bytes to messages, batches, ids and error codes, and back.
//!
//! This crate must not know sockets, files, clocks or random sources: it turns values into bytes and bytes into values, and everything
//! that a peer sent and that makes no sense is an error value.
//!
//! Start with [`message::Message`] (the struct is the schema), then any file in [`messages`], then [`wire`] for the bytes below and
//! [`frame`] for the bytes around. The record format is apart: [`batch`] and [`record`]; so is what members of a group
//! and their coordinators write into bytes of others: [`consumer_protocol`] and [`coordinator_records`].
extern crate self as dohle_protocol;

pub mod api_key;
pub mod batch;
pub mod builder;
pub mod compression;
pub mod consumer_protocol;
pub mod control_record;
pub mod coordinator_records;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod id;
pub mod limits;
pub mod message;
pub mod messages;
pub mod record;
mod record_shape;
pub mod record_walk;
pub mod wire;
mod zigzag;

pub use api_key::ApiKey;
pub use dohle_protocol_derive::Message;
pub use error_code::ErrorCode;
pub use message::{Message, Request};
