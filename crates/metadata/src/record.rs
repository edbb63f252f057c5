//! The facts that make up the cluster, as they lie in the metadata log and its snapshots.
//!
//! A record is written as two unsigned varints, its type and the version of its body, and the body. A record of a type or version that
//! this program does not know was written by a newer one, and stops the replay: skipping a fact would make another cluster of it.

mod broker;
mod cluster;
mod config;
mod topic;

use bytes::Bytes;
use dohle_protocol::Message;
use dohle_protocol::wire::{DecodeError, Decoder, EncodeError, Encoder};

pub use broker::{BrokerChangeRecord, BrokerEndpoint, RegisterBrokerRecord, UnregisterBrokerRecord};
pub use cluster::{ClusterRecord, FeatureLevelRecord, NoOpRecord, ProducerIdsRecord};
pub use config::ConfigRecord;
pub use topic::{NO_LEADER_CHANGE, NO_RECOVERY_CHANGE, PartitionChangeRecord, PartitionRecord, RemoveTopicRecord, TopicRecord};

/// Bytes in the metadata log are not a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error("metadata record type {0} is of a newer format; a newer version of this program wrote it")]
    NewerType(u32),
    #[error("version {version} of {record} is of a newer format; this program reads up to version {version_max}")]
    NewerVersion {
        record: &'static str,
        version: u32,
        version_max: i16,
    },
    #[error("{record}: {error}")]
    Malformed { record: &'static str, error: DecodeError },
    #[error("{record}: {bytes} bytes too many")]
    Trailing { record: &'static str, bytes: usize },
}

macro_rules! metadata_records {
    ($($(#[$doc:meta])* $variant:ident($body:ident) = $type_id:literal;)*) => {
        /// One fact. The numbers are on disk for ever.
        #[derive(Debug, Clone, PartialEq)]
        pub enum MetadataRecord {
            $($(#[$doc])* $variant($body),)*
        }

        impl MetadataRecord {
            pub fn encode(&self) -> Result<Bytes, EncodeError> {
                match self {
                    $(MetadataRecord::$variant(body) => encode_body($type_id, body),)*
                }
            }

            pub fn decode(bytes: &Bytes) -> Result<MetadataRecord, RecordError> {
                let malformed = |error| RecordError::Malformed { record: "metadata record", error };
                let mut decoder = Decoder::new(bytes.clone());
                let type_id = decoder.unsigned_varint().map_err(malformed)?;
                let version = decoder.unsigned_varint().map_err(malformed)?;
                match type_id {
                    $($type_id => decode_body(decoder, version).map(MetadataRecord::$variant),)*
                    unknown => Err(RecordError::NewerType(unknown)),
                }
            }
        }

        $(impl From<$body> for MetadataRecord {
            fn from(body: $body) -> MetadataRecord {
                MetadataRecord::$variant(body)
            }
        })*
    };
}

metadata_records! {
    /// Which cluster this is.
    Cluster(ClusterRecord) = 1;
    /// A format or protocol that the whole cluster has agreed on.
    FeatureLevel(FeatureLevelRecord) = 2;
    Topic(TopicRecord) = 3;
    Partition(PartitionRecord) = 4;
    PartitionChange(PartitionChangeRecord) = 5;
    /// Takes the partitions and the configuration of the topic along.
    RemoveTopic(RemoveTopicRecord) = 6;
    Config(ConfigRecord) = 7;
    RegisterBroker(RegisterBrokerRecord) = 8;
    BrokerChange(BrokerChangeRecord) = 9;
    ProducerIds(ProducerIdsRecord) = 10;
    NoOp(NoOpRecord) = 11;
    UnregisterBroker(UnregisterBrokerRecord) = 12;
}

fn encode_body<B: Message>(type_id: u32, body: &B) -> Result<Bytes, EncodeError> {
    let version = B::SCHEMA.versions.last;
    let mut encoder = Encoder::new();
    encoder.unsigned_varint(type_id);
    encoder.unsigned_varint(version as u32);
    body.encode(&mut encoder, version)?;
    Ok(encoder.finish().to_bytes())
}

fn decode_body<B: Message>(mut decoder: Decoder, version: u32) -> Result<B, RecordError> {
    let record = B::SCHEMA.name;
    let version_max = B::SCHEMA.versions.last;
    let known = i16::try_from(version).ok().filter(|version| *version <= version_max);
    let version = known.ok_or(RecordError::NewerVersion {
        record,
        version,
        version_max,
    })?;
    let body = B::decode(&mut decoder, version).map_err(|error| RecordError::Malformed { record, error })?;
    match decoder.remaining() {
        0 => Ok(body),
        bytes => Err(RecordError::Trailing { record, bytes }),
    }
}

#[cfg(test)]
mod tests;
