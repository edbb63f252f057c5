//! Records of brokers.

use dohle_protocol::Message;
use dohle_protocol::wire::TaggedFields;
use uuid::Uuid;

/// A broker process has joined; what was said of an earlier process under the same id is void.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct RegisterBrokerRecord {
    pub broker_id: i32,
    /// Drawn by the process at its start.
    pub incarnation_id: Uuid,
    /// Rises with each registration of the id.
    pub broker_epoch: i64,
    pub endpoints: Vec<BrokerEndpoint>,
    pub rack: Option<String>,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub unknown_tagged_fields: TaggedFields,
}

/// Where a listener of a broker is reached.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "0+")]
pub struct BrokerEndpoint {
    /// The listener's name.
    pub name: String,
    /// Empty: the broker is reached under whatever address a client dialled.
    pub host: String,
    pub port: u16,
    /// 0: plaintext; 1: TLS; 2: SASL; 3: SASL over TLS.
    pub security_protocol: i16,
    pub unknown_tagged_fields: TaggedFields,
}

/// The broker will not come back.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct UnregisterBrokerRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    pub unknown_tagged_fields: TaggedFields,
}

/// What changed about a registered broker; what is not set stays.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-0", flexible = "0+")]
pub struct BrokerChangeRecord {
    pub broker_id: i32,
    pub broker_epoch: i64,
    /// 1: fenced; -1: not fenced any more.
    #[field(versions = "0+", tag = 0)]
    pub fenced: i8,
    /// 1: about to stop.
    #[field(versions = "0+", tag = 1)]
    pub in_controlled_shutdown: i8,
    pub unknown_tagged_fields: TaggedFields,
}
