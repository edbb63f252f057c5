//! Settings of the producer.

use std::time::Duration;

use dohle_protocol::compression::Compression;

use super::{ClientConfig, ConfigError, Reader, invalid};
use crate::properties::Properties;

/// How many replicas must have a record before it counts as sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acks {
    None,
    Leader,
    All,
}

impl Acks {
    pub fn on_the_wire(self) -> i16 {
        match self {
            Acks::None => 0,
            Acks::Leader => 1,
            Acks::All => -1,
        }
    }
}

#[derive(Debug, Clone)]
pub struct ProducerConfig {
    pub client: ClientConfig,
    pub acks: Acks,
    pub idempotent: bool,
    pub compression: Compression,
    /// Bytes of records, before compression, that one batch gathers.
    pub batch_bytes: usize,
    pub linger: Duration,
    pub buffer_bytes: usize,
    pub request_bytes_max: usize,
    pub in_flight_max: usize,
    pub retries_max: u32,
    pub delivery_timeout: Duration,
    /// How long `send` may wait for metadata and for room in the buffer.
    pub block_max: Duration,
}

impl ProducerConfig {
    pub fn from_properties(properties: &Properties) -> Result<ProducerConfig, ConfigError> {
        let mut reader = Reader::new(properties);
        let client = ClientConfig::read(&mut reader, 30_000)?;
        let acks_given = properties.get("acks").is_some();
        let acks = read_acks(&reader.text("acks", "all"))?;
        let idempotence_given = reader.optional_bool("enable.idempotence")?;
        let in_flight_max = reader.number("max.in.flight.requests.per.connection", 5, 1..=i32::MAX as usize)?;
        let retries_max = reader.number("retries", i32::MAX as u32, 0..=i32::MAX as u32)?;
        let linger = reader.millis("linger.ms", 5)?;
        let config = ProducerConfig {
            acks,
            idempotent: resolve_idempotence(idempotence_given, acks_given, acks, retries_max, in_flight_max)?,
            compression: read_compression(&mut reader)?,
            batch_bytes: reader.number("batch.size", 16_384, 0..=i32::MAX as usize)?,
            linger,
            buffer_bytes: reader.number("buffer.memory", 32 * 1024 * 1024, 0..=i64::MAX as usize)?,
            request_bytes_max: reader.number("max.request.size", 1024 * 1024, 0..=i32::MAX as usize)?,
            in_flight_max,
            retries_max,
            delivery_timeout: read_delivery_timeout(&mut reader, linger + client.request_timeout)?,
            block_max: reader.millis("max.block.ms", 60_000)?,
            client,
        };
        // Named in many examples for Java; they choose what is always so here.
        reader.left.remove("key.serializer");
        reader.left.remove("value.serializer");
        reader.warn_of_unused();
        Ok(config)
    }
}

fn read_acks(value: &str) -> Result<Acks, ConfigError> {
    match value {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "-1" | "all" => Ok(Acks::All),
        _ => Err(invalid("acks", value, "String must be one of: all, -1, 0, 1")),
    }
}

/// As in Kafka: wanted unless said otherwise, given up silently for settings that exclude it, refused if both were asked for.
fn resolve_idempotence(
    given: Option<bool>,
    acks_given: bool,
    acks: Acks,
    retries_max: u32,
    in_flight_max: usize,
) -> Result<bool, ConfigError> {
    let explicit = given == Some(true);
    let conflict = |what: &str| Err(ConfigError::Conflict(format!("{what} in order to use the idempotent producer.")));
    if given == Some(false) {
        return Ok(false);
    }
    if acks != Acks::All && acks_given {
        return if explicit { conflict("Must set acks to all") } else { Ok(false) };
    }
    if retries_max == 0 {
        return if explicit {
            conflict("Must set retries to non-zero")
        } else {
            Ok(false)
        };
    }
    if in_flight_max > 5 {
        return if explicit {
            conflict("Must set max.in.flight.requests.per.connection to at most 5")
        } else {
            Ok(false)
        };
    }
    Ok(true)
}

fn read_compression(reader: &mut Reader) -> Result<Compression, ConfigError> {
    let value = reader.text("compression.type", "none");
    Compression::from_name(&value).ok_or_else(|| invalid("compression.type", &value, "it must be one of none, gzip, snappy, lz4, zstd"))
}

/// The default makes room for long lingering and request timeouts; a given value must do so itself.
fn read_delivery_timeout(reader: &mut Reader, least: Duration) -> Result<Duration, ConfigError> {
    let given = reader.left.get("delivery.timeout.ms").is_some();
    let timeout = reader.millis("delivery.timeout.ms", 120_000)?;
    match (timeout < least, given) {
        (true, true) => Err(ConfigError::Conflict(
            "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms".to_owned(),
        )),
        (true, false) => Ok(least),
        (false, _) => Ok(timeout),
    }
}
