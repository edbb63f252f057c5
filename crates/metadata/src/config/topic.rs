//! Every configuration key of a topic, and the broker keys that give its default.

use super::key::{ConfigKey, ConfigKind, Dynamic};

/// A key of a topic.
#[derive(Debug, Clone, Copy)]
pub struct TopicKey {
    pub key: ConfigKey,
    /// Broker keys that set the default for all topics; the first one that is set counts.
    pub synonyms: &'static [Synonym],
    pub support: Support,
}

/// A broker key that sets the default of a topic key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    /// How much of the topic key's unit one of the broker key's is.
    pub factor: i64,
}

/// What a key does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    ActedOn,
    /// Checked, stored and shown, and nothing more; says why.
    Accepted(&'static str),
}

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

const POSITIVE_LONG: ConfigKind = ConfigKind::long_from(1);
const NOT_NEGATIVE_LONG: ConfigKind = ConfigKind::long_from(0);
const LONG_MAX: &str = "9223372036854775807";
const WEEK_MS: &str = "604800000";

const FOLLOWERS_ARE_SLOWED: Support = Support::Accepted("followers are slowed down");
const NO_REMOTE_STORAGE: Support = Support::Accepted("there is no remote storage; switching it on is refused");

macro_rules! topic_keys {
    ($($name:literal, $kind:expr, $default:expr, [$($synonym:literal $(* $factor:expr)?),*], $support:expr, $doc:literal;)*) => {
        /// In the order of their names.
        pub static TOPIC_KEYS: &[TopicKey] = &[$(TopicKey {
            key: ConfigKey::new($name, $kind, Some($default), $doc).dynamic(Dynamic::ClusterWide),
            synonyms: &[$(Synonym { name: $synonym, factor: topic_keys!(@ $($factor)?) }),*],
            support: $support,
        }),*];
    };
    (@) => { 1 };
    (@ $factor:expr) => { $factor };
}

topic_keys! {
    "cleanup.policy", ConfigKind::EnumList(&["compact", "delete"]), "delete", ["log.cleanup.policy"], Support::ActedOn,
    "What happens to old records: `delete` removes whole segments by age and size, `compact` keeps the last record of each key (every record must have one). With neither, everything is kept.";
    "compression.gzip.level", ConfigKind::Int { min: -1, max: 9 }, "-1", ["compression.gzip.level"], Support::ActedOn,
    "Level at which the broker compresses if `compression.type` is `gzip`: 1 to 9, or -1 for the default of the codec.";
    "compression.lz4.level", ConfigKind::Int { min: 1, max: 17 }, "9", ["compression.lz4.level"],
    Support::Accepted("the lz4 encoder in use has one level"),
    "Level at which the broker compresses if `compression.type` is `lz4`.";
    "compression.type", ConfigKind::Enum(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer", ["compression.type"],
    Support::ActedOn,
    "Codec of the batches in the log; `producer` keeps what the producer chose.";
    "compression.zstd.level", ConfigKind::Int { min: -131_072, max: 22 }, "3", ["compression.zstd.level"], Support::ActedOn,
    "Level at which the broker compresses if `compression.type` is `zstd`.";
    "delete.retention.ms", NOT_NEGATIVE_LONG, "86400000", ["log.cleaner.delete.retention.ms"], Support::ActedOn,
    "How long a compacted log shows that a key was deleted, from when the tombstone is first cleaned.";
    "file.delete.delay.ms", NOT_NEGATIVE_LONG, "60000", ["log.segment.delete.delay.ms"], Support::ActedOn,
    "How long the file of a deleted segment stays, for readers that are in the middle of it.";
    "flush.messages", POSITIVE_LONG, LONG_MAX, ["log.flush.interval.messages"], Support::ActedOn,
    "With `flush.policy=interval`: as soon as this many records are not synced yet, the log is synced to disk, before `flush.ms` is over. Nobody waits for it.";
    "flush.ms", NOT_NEGATIVE_LONG, "1000", ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"], Support::ActedOn,
    "With `flush.policy=interval`: this long after a record was written at the latest, the log is synced to disk; at most a day. Kafka's default is never.";
    "flush.policy", ConfigKind::Enum(&["commit", "interval", "os"]), "commit", ["log.flush.policy"], Support::ActedOn,
    "What an acknowledgement means on one machine (no key of Kafka's). `commit`: the records are synced to disk, and survive a power cut; with several replicas that is so only where it is set, and otherwise the memory of all in sync does; `interval`: they will be, a sync begins within `flush.ms`, or earlier after `flush.messages`; `os`: the operating system decides when, as in Kafka.";
    "follower.replication.throttled.replicas", ConfigKind::List, "", [], Support::ActedOn,
    "Replicas whose catching up is slowed down on the side of the follower: `partition:broker` pairs, or `*`.";
    "index.interval.bytes", ConfigKind::int_from(0), "65536", ["log.index.interval.bytes"], Support::ActedOn,
    "One entry of the offset index stands for about this many bytes of the log. (Kafka's default is 4096.)";
    "leader.replication.throttled.replicas", ConfigKind::List, "", [], FOLLOWERS_ARE_SLOWED,
    "Replicas whose catching up is slowed down on the side of the leader: `partition:broker` pairs, or `*`.";
    "local.retention.bytes", ConfigKind::long_from(-2), "-2", ["log.local.retention.bytes"], NO_REMOTE_STORAGE,
    "With remote storage: how much of a partition stays on the broker's disk; -2 takes `retention.bytes`.";
    "local.retention.ms", ConfigKind::long_from(-2), "-2", ["log.local.retention.ms"], NO_REMOTE_STORAGE,
    "With remote storage: how long a segment stays on the broker's disk; -2 takes `retention.ms`.";
    "max.compaction.lag.ms", POSITIVE_LONG, LONG_MAX, ["log.cleaner.max.compaction.lag.ms"], Support::ActedOn,
    "A record of a compacted log is cleaned at the latest when it is this old, as soon as its segment is closed; a segment is closed by the first record that comes after this time.";
    "max.message.bytes", ConfigKind::int_from(0), "1048588", ["message.max.bytes"], Support::ActedOn,
    "Largest batch of records that is accepted, as it is written to the log (compressed).";
    "message.downconversion.enable", ConfigKind::Boolean, "true", ["log.message.downconversion.enable"],
    Support::Accepted("there is one record format only"),
    "Whether records are converted for very old consumers, which Kafka 4 does not do either.";
    "message.timestamp.after.max.ms", NOT_NEGATIVE_LONG, "3600000", ["log.message.timestamp.after.max.ms"], Support::ActedOn,
    "How far in the future a producer's timestamp may lie.";
    "message.timestamp.before.max.ms", NOT_NEGATIVE_LONG, LONG_MAX, ["log.message.timestamp.before.max.ms"], Support::ActedOn,
    "How far in the past a producer's timestamp may lie.";
    "message.timestamp.type", ConfigKind::Enum(&["CreateTime", "LogAppendTime"]), "CreateTime", ["log.message.timestamp.type"],
    Support::ActedOn,
    "Whether a record has the time that its producer gave it, or the time at which it was appended.";
    "min.cleanable.dirty.ratio", ConfigKind::Double { min: 0.0, max: 1.0 }, "0.5", ["log.cleaner.min.cleanable.ratio"], Support::ActedOn,
    "A log is compacted when more than this part of its closed segments has not been compacted yet.";
    "min.compaction.lag.ms", NOT_NEGATIVE_LONG, "0", ["log.cleaner.min.compaction.lag.ms"], Support::ActedOn,
    "A record is not compacted before it is this old.";
    "min.insync.replicas", ConfigKind::int_from(1), "1", ["min.insync.replicas"], Support::ActedOn,
    "Writes with acks=all are refused while fewer replicas than this are in sync.";
    "preallocate", ConfigKind::Boolean, "false", ["log.preallocate"], Support::Accepted("files grow as they are written"),
    "Whether the file of a segment is given its full size when it is created.";
    "remote.log.copy.disable", ConfigKind::Boolean, "false", [], NO_REMOTE_STORAGE,
    "With remote storage: whether segments are no longer copied there.";
    "remote.log.delete.on.disable", ConfigKind::Boolean, "false", [], NO_REMOTE_STORAGE,
    "With remote storage: whether switching it off deletes what is there.";
    "remote.storage.enable", ConfigKind::Boolean, "false", [], NO_REMOTE_STORAGE,
    "Whether old segments are moved to remote storage.";
    "retention.bytes", ConfigKind::long_from(-1), "-1", ["log.retention.bytes"], Support::ActedOn,
    "The oldest segments are deleted while a partition is larger than this; -1 is no limit.";
    "retention.ms", ConfigKind::long_from(-1), WEEK_MS,
    ["log.retention.ms", "log.retention.minutes" * MINUTE_MS, "log.retention.hours" * HOUR_MS], Support::ActedOn,
    "A segment is deleted when its newest record is older than this; -1 is no limit.";
    "segment.bytes", ConfigKind::int_from(1 << 20), "1073741824", ["log.segment.bytes"], Support::ActedOn,
    "Size at which a new segment is begun.";
    "segment.index.bytes", ConfigKind::int_from(4), "10485760", ["log.index.size.max.bytes"], Support::ActedOn,
    "Size of a segment's offset index at which a new segment is begun.";
    "segment.jitter.ms", NOT_NEGATIVE_LONG, "0", ["log.roll.jitter.ms", "log.roll.jitter.hours" * HOUR_MS], Support::ActedOn,
    "Up to this much is taken off `segment.ms`, so that not all partitions begin a segment at once.";
    "segment.ms", POSITIVE_LONG, WEEK_MS, ["log.roll.ms", "log.roll.hours" * HOUR_MS], Support::ActedOn,
    "Age at which a segment is followed by a new one even if it is not full.";
    "strict.validation", ConfigKind::Boolean, "true", ["log.strict.validation"], Support::ActedOn,
    "Whether each record of a batch is looked at before the batch is stored, for which it is uncompressed (no key of Kafka's, which always does). If not, only the header and the checksum are checked, and records that are not well-formed are met by those who read them.";
    "unclean.leader.election.enable", ConfigKind::Boolean, "false", ["unclean.leader.election.enable"], Support::ActedOn,
    "Whether a replica that was not in sync may lead if no other is left, at the price of lost records.";
}

/// The key of this name.
pub fn topic_key(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS
        .binary_search_by(|candidate| candidate.key.name.cmp(name))
        .ok()
        .map(|place| &TOPIC_KEYS[place])
}

impl TopicKey {
    /// The broker key that has the strongest say about the default.
    pub fn first_synonym(&self) -> Option<&'static str> {
        self.synonyms.first().map(|synonym| synonym.name)
    }

    /// The broker keys that set this key's default. If there are several, none has a default of its own but the last, and it has that
    /// of the topic key.
    pub fn broker_keys(&self) -> impl Iterator<Item = ConfigKey> {
        let last = self.synonyms.len().saturating_sub(1);
        self.synonyms.iter().enumerate().map(move |(place, synonym)| {
            let default = self.key.default.filter(|_| place == last);
            match synonym.factor {
                1 => {
                    let dynamic = if place == 0 { Dynamic::ClusterWide } else { Dynamic::ReadOnly };
                    ConfigKey {
                        name: synonym.name,
                        default,
                        dynamic,
                        ..self.key
                    }
                }
                factor => ConfigKey::new(synonym.name, self.kind_in_units_of(factor), default.map(in_hours), self.key.doc),
            }
        })
    }

    /// Whole hours or minutes; such keys are ints in Kafka.
    fn kind_in_units_of(&self, factor: i64) -> ConfigKind {
        let ConfigKind::Long { min, .. } = self.key.kind else {
            return self.key.kind;
        };
        // A positive minimum in milliseconds is a minimum of one in a coarser unit.
        debug_assert!(min <= 1 && factor > 1);
        ConfigKind::int_from(min as i32)
    }
}

/// The defaults that are written in hours, as Kafka does.
fn in_hours(default_ms: &'static str) -> &'static str {
    match default_ms {
        WEEK_MS => "168",
        "0" => "0",
        other => unreachable!("no topic key with a synonym in hours has the default {other}"),
    }
}

/// The defaults of topics as keys of a broker.
pub fn broker_keys() -> impl Iterator<Item = ConfigKey> {
    TOPIC_KEYS.iter().flat_map(TopicKey::broker_keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_their_defaults_fit() {
        assert!(TOPIC_KEYS.is_sorted_by(|one, other| one.key.name < other.key.name));
        for key in TOPIC_KEYS.iter().map(|topic| topic.key).chain(broker_keys()) {
            let _ = key.default_value();
            assert!(key.doc.ends_with('.') || key.doc.ends_with(')'), "{}", key.name);
        }
    }

    #[test]
    fn broker_keys_have_kafkas_types_and_defaults() {
        let described = |name: &str| {
            let key = broker_keys().find(|key| key.name == name).unwrap();
            (key.kind, key.default, key.dynamic)
        };
        assert_eq!(
            described("log.retention.ms"),
            (ConfigKind::long_from(-1), None, Dynamic::ClusterWide)
        );
        assert_eq!(
            described("log.retention.minutes"),
            (ConfigKind::int_from(-1), None, Dynamic::ReadOnly)
        );
        assert_eq!(
            described("log.retention.hours"),
            (ConfigKind::int_from(-1), Some("168"), Dynamic::ReadOnly)
        );
        assert_eq!(
            described("log.roll.hours"),
            (ConfigKind::int_from(1), Some("168"), Dynamic::ReadOnly)
        );
        assert_eq!(described("log.flush.scheduler.interval.ms").1, Some("1000"));
        assert_eq!(
            described("log.segment.bytes"),
            (ConfigKind::int_from(1 << 20), Some("1073741824"), Dynamic::ClusterWide)
        );
    }
}
