//! Settings of the consumer.

use std::time::Duration;

use super::{ClientConfig, ConfigError, Reader, invalid};
use crate::properties::Properties;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
}

impl IsolationLevel {
    pub fn on_the_wire(self) -> i8 {
        match self {
            IsolationLevel::ReadUncommitted => 0,
            IsolationLevel::ReadCommitted => 1,
        }
    }
}

/// Where to go on if the position is not (or no longer) in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    Earliest,
    Latest,
    Fail,
}

#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    pub client: ClientConfig,
    pub isolation: IsolationLevel,
    pub offset_reset: OffsetReset,
    pub fetch_bytes_min: i32,
    pub fetch_bytes_max: i32,
    pub partition_bytes_max: i32,
    pub fetch_wait_max: Duration,
    pub poll_records_max: usize,
    pub check_crcs: bool,
    pub rack: String,
}

impl ConsumerConfig {
    pub fn from_properties(properties: &Properties) -> Result<ConsumerConfig, ConfigError> {
        let mut reader = Reader::new(properties);
        let config = ConsumerConfig {
            client: ClientConfig::read(&mut reader, 30_000)?,
            isolation: read_isolation(&reader.text("isolation.level", "read_uncommitted"))?,
            offset_reset: read_reset(&reader.text("auto.offset.reset", "latest"))?,
            fetch_bytes_min: reader.number("fetch.min.bytes", 1, 0..=i32::MAX)?,
            fetch_bytes_max: reader.number("fetch.max.bytes", 50 * 1024 * 1024, 0..=i32::MAX)?,
            partition_bytes_max: reader.number("max.partition.fetch.bytes", 1024 * 1024, 0..=i32::MAX)?,
            fetch_wait_max: Duration::from_millis(reader.number("fetch.max.wait.ms", 500, 0..=i32::MAX as u64)?),
            poll_records_max: reader.number("max.poll.records", 500, 1..=i32::MAX as usize)?,
            check_crcs: reader.optional_bool("check.crcs")?.unwrap_or(true),
            rack: reader.text("client.rack", ""),
        };
        // Named in many examples for Java; they choose what is always so here.
        for ignored in ["key.deserializer", "value.deserializer", "enable.auto.commit"] {
            reader.left.remove(ignored);
        }
        reader.warn_of_unused();
        Ok(config)
    }
}

fn read_isolation(value: &str) -> Result<IsolationLevel, ConfigError> {
    match value {
        "read_uncommitted" => Ok(IsolationLevel::ReadUncommitted),
        "read_committed" => Ok(IsolationLevel::ReadCommitted),
        _ => Err(invalid(
            "isolation.level",
            value,
            "String must be one of: read_committed, read_uncommitted",
        )),
    }
}

fn read_reset(value: &str) -> Result<OffsetReset, ConfigError> {
    match value {
        "earliest" => Ok(OffsetReset::Earliest),
        "latest" => Ok(OffsetReset::Latest),
        "none" => Ok(OffsetReset::Fail),
        _ => Err(invalid("auto.offset.reset", value, "String must be one of: latest, earliest, none")),
    }
}
