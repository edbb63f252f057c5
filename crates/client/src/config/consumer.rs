//! Settings of the consumer.

use std::time::Duration;

use super::{ClientConfig, ConfigError, Reader, invalid};
use crate::consumer::Assignor;
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
    /// What must be known to be a member of a group, or to commit offsets for it.
    pub group: Option<GroupConfig>,
}

#[derive(Debug, Clone)]
pub struct GroupConfig {
    pub id: String,
    /// Makes the member a static one: it keeps its partitions through a restart that is shorter than its session.
    pub instance_id: Option<String>,
    pub session_timeout: Duration,
    pub heartbeat_interval: Duration,
    /// A member that does not poll for so long leaves the group; also the time it has to join a rebalance.
    pub poll_interval_max: Duration,
    /// In the order of preference; the group takes one that all members know.
    pub assignors: Vec<Assignor>,
    /// How often positions are committed without being told to; `None`: never.
    pub auto_commit_interval: Option<Duration>,
    /// A subscribed topic that does not exist may be created by the server.
    pub create_topics: bool,
    /// A subscription by pattern does not match internal topics.
    pub exclude_internal_topics: bool,
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
            group: GroupConfig::read(&mut reader)?,
        };
        // Named in many examples for Java; they choose what is always so here.
        for ignored in ["key.deserializer", "value.deserializer"] {
            reader.left.remove(ignored);
        }
        reader.warn_of_unused();
        Ok(config)
    }
}

impl GroupConfig {
    /// Without `group.id` the other settings are looked at, and of no use.
    fn read(reader: &mut Reader) -> Result<Option<GroupConfig>, ConfigError> {
        let protocol = reader.text("group.protocol", "classic");
        if !protocol.eq_ignore_ascii_case("classic") {
            return Err(invalid("group.protocol", &protocol, "this client only knows the classic protocol"));
        }
        let id = reader.left.remove("group.id");
        let auto_commit = reader.optional_bool("enable.auto.commit")?;
        let interval = reader.number("auto.commit.interval.ms", 5_000, 0..=i32::MAX as u64)?;
        let group = GroupConfig {
            id: id.clone().unwrap_or_default(),
            instance_id: reader.left.remove("group.instance.id"),
            session_timeout: read_millis(reader, "session.timeout.ms", 45_000)?,
            heartbeat_interval: read_millis(reader, "heartbeat.interval.ms", 3_000)?,
            poll_interval_max: read_millis(reader, "max.poll.interval.ms", 300_000)?,
            assignors: read_assignors(&reader.text("partition.assignment.strategy", "range,cooperative-sticky"))?,
            auto_commit_interval: auto_commit.unwrap_or(true).then(|| Duration::from_millis(interval)),
            create_topics: reader.optional_bool("allow.auto.create.topics")?.unwrap_or(true),
            exclude_internal_topics: reader.optional_bool("exclude.internal.topics")?.unwrap_or(true),
        };
        if group.heartbeat_interval >= group.session_timeout {
            return Err(ConfigError::Conflict(
                "heartbeat.interval.ms must be set lower than session.timeout.ms".to_owned(),
            ));
        }
        if id.is_none() && auto_commit == Some(true) {
            return Err(ConfigError::Conflict(
                "enable.auto.commit cannot be set to true when default group id (null) is used.".to_owned(),
            ));
        }
        Ok(id.map(|_| group))
    }
}

/// A timeout that is a 32-bit number on the wire.
fn read_millis(reader: &mut Reader, key: &str, default: u64) -> Result<Duration, ConfigError> {
    reader.number(key, default, 1..=i32::MAX as u64).map(Duration::from_millis)
}

fn read_assignors(value: &str) -> Result<Vec<Assignor>, ConfigError> {
    let names = value.split(',').map(str::trim).filter(|name| !name.is_empty());
    let unknown = |name: &str| {
        let reason = format!("{name} is not available, only range, roundrobin, sticky and cooperative-sticky are");
        invalid("partition.assignment.strategy", value, reason)
    };
    let assignors: Vec<Assignor> = names
        .map(|name| Assignor::configured(name).ok_or_else(|| unknown(name)))
        .collect::<Result<_, _>>()?;
    if assignors.is_empty() {
        return Err(invalid("partition.assignment.strategy", value, "at least one is needed"));
    }
    Ok(assignors)
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
