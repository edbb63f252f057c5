//! The record of one configuration value.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;

/// A key of a topic or of brokers has this value from here on.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct ConfigRecord {
    /// 2: topic; 4: broker.
    pub resource_type: i8,
    /// A topic's name, a broker's id, or nothing: all brokers.
    pub resource_name: String,
    pub name: String,
    /// `None`: no value any more.
    pub value: Option<String>,
    pub unknown_tagged_fields: TaggedFields,
}
