//! Every configuration key that this broker acts on, besides the defaults of topics (their registry is `dohle_metadata::config::topic`).

use dohle_metadata::config::key::ConfigKind::{Boolean, Int, List, String as Text};
use dohle_metadata::config::key::{ConfigKey, ConfigKind, Dynamic};
use dohle_metadata::config::topic::{self, Support, TOPIC_KEYS};

const fn key(name: &'static str, kind: ConfigKind, default: Option<&'static str>, doc: &'static str) -> ConfigKey {
    ConfigKey::new(name, kind, default, doc)
}

/// In the order of their names.
pub(crate) const BROKER_KEYS: &[ConfigKey] = &[
    key(
        "advertised.listeners",
        List,
        None,
        "NAME://HOST:PORT for each listener: what clients are told to connect to. Without it a client is told the address that it dialled.",
    ),
    key(
        "auto.create.topics.enable",
        Boolean,
        Some("true"),
        "Whether asking for the metadata of a topic that does not exist creates it.",
    ),
    key(
        "auto.leader.rebalance.enable",
        Boolean,
        Some("true"),
        "Whether the first replica of a partition is made its leader again when it can be.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "broker.heartbeat.interval.ms",
        ConfigKind::int_from(1),
        Some("1000"),
        "How often a broker tells the controller that it is there; a node that is the whole cluster does not.",
    ),
    key(
        "broker.id",
        ConfigKind::int_from(-1),
        Some("-1"),
        "Older name of node.id; if both are set they must be equal.",
    ),
    key("broker.rack", Text, None, "Where this broker stands; told to clients as it is."),
    key(
        "broker.session.timeout.ms",
        ConfigKind::int_from(1),
        Some("3000"),
        "A broker that the controller has not heard of for this long leads nothing any more.",
    ),
    key(
        "connections.max.idle.ms",
        ConfigKind::long_from(-1),
        Some("600000"),
        "A connection on which nothing happens for this long is closed; -1 never closes.",
    ),
    key(
        "controller.listener.names",
        List,
        Some("CONTROLLER"),
        "Names of listeners that belong to the controller, not to clients.",
    ),
    key(
        "controller.quorum.bootstrap.servers",
        List,
        None,
        "HOST:PORT of controllers that a node asks if controller.quorum.voters does not say who they are.",
    ),
    key(
        "controller.quorum.voters",
        List,
        None,
        "ID@HOST:PORT of the controllers, the same on all nodes. Counts when the cluster is formed; later its metadata know. Without it a controller \
         votes alone, unless its directory was formatted with others or it is told of others to ask.",
    ),
    key(
        "default.replication.factor",
        Int {
            min: 1,
            max: i16::MAX as i32,
        },
        Some("1"),
        "Replication factor of topics that are created automatically or with -1.",
    ),
    key("delete.topic.enable", Boolean, Some("true"), "Whether topics can be deleted."),
    key(
        "fetch.max.bytes",
        ConfigKind::int_from(1024),
        Some("57671680"),
        "Most bytes of records in one answer to a fetch.",
    ),
    key(
        "follower.replication.throttled.rate",
        ConfigKind::long_from(0),
        Some("9223372036854775807"),
        "Bytes per second that this broker fetches of all replicas that follower.replication.throttled.replicas names, while they are not in sync.",
    )
    .dynamic(Dynamic::PerBroker),
    key(
        "group.initial.rebalance.delay.ms",
        ConfigKind::int_from(0),
        Some("3000"),
        "How long an empty group waits for more members after the first one has joined.",
    ),
    key(
        "group.max.session.timeout.ms",
        ConfigKind::int_from(1),
        Some("1800000"),
        "Longest session timeout that a member of a group may ask for.",
    ),
    key(
        "group.max.size",
        ConfigKind::int_from(1),
        Some("2147483647"),
        "Most members of one group.",
    ),
    key(
        "group.min.session.timeout.ms",
        ConfigKind::int_from(1),
        Some("6000"),
        "Shortest session timeout that a member of a group may ask for.",
    ),
    key(
        "inter.broker.listener.name",
        Text,
        None,
        "Name of the listener for connections among brokers; the first listener for clients if it is not set.",
    ),
    key(
        "leader.imbalance.check.interval.seconds",
        ConfigKind::long_from(1),
        Some("300"),
        "How often the controller looks whether first replicas that could lead do.",
    ),
    key(
        "leader.imbalance.per.broker.percentage",
        ConfigKind::int_from(0),
        Some("10"),
        "Leaders are moved to a broker that does not lead more than so many hundredths of its partitions (no key of Kafka's any more).",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "leader.replication.throttled.rate",
        ConfigKind::long_from(0),
        Some("9223372036854775807"),
        "Bytes per second of throttled replicas that this broker sends as a leader. *Accepted and shown, not acted on: followers are slowed down.*",
    )
    .dynamic(Dynamic::PerBroker),
    key(
        "listener.security.protocol.map",
        List,
        Some("PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"),
        "NAME:PROTOCOL for each listener; PLAINTEXT is the only protocol that is supported yet. A controller's listener needs no entry.",
    ),
    key(
        "listeners",
        List,
        Some("PLAINTEXT://localhost:9092"),
        "NAME://HOST:PORT to listen on. localhost is 127.0.0.1 and ::1; no host is every interface. Those in controller.listener.names are for \
         other nodes.",
    ),
    key(
        "log.cleaner.backoff.ms",
        ConfigKind::long_from(0),
        Some("15000"),
        "How long the cleaner waits after a segment of a compacted log was closed, before it looks whether the log is dirty enough.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "log.cleaner.dedupe.buffer.size",
        ConfigKind::long_from(1024),
        Some("134217728"),
        "Most bytes of memory for the keys of the logs that are being cleaned, 24 for each key; taken when needed. All threads share it.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "log.cleaner.enable",
        Boolean,
        Some("true"),
        "Whether logs with cleanup.policy=compact are compacted. Without it they grow for ever.",
    ),
    key(
        "log.cleaner.io.buffer.load.factor",
        ConfigKind::Double { min: 0.01, max: 1.0 },
        Some("0.9"),
        "How much of log.cleaner.dedupe.buffer.size is filled; the fuller, the slower.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "log.cleaner.io.max.bytes.per.second",
        ConfigKind::Double { min: 1.0, max: f64::MAX },
        Some("1.7976931348623157E308"),
        "The cleaner reads and writes no more than this, on average.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "log.cleaner.threads",
        ConfigKind::int_from(1),
        Some("1"),
        "How many logs are cleaned at one time.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "log.dir",
        Text,
        Some("./dohle-data"),
        "Directory for the logs if log.dirs is not set.",
    ),
    key(
        "log.dirs",
        List,
        None,
        "Directories for the logs; new partitions go to the one that holds fewest. The first also holds the metadata.",
    ),
    key(
        "log.flush.offset.checkpoint.interval.ms",
        ConfigKind::int_from(1),
        Some("60000"),
        "How often the recovery points are written down, from which logs are checked after a crash.",
    ),
    key(
        "log.retention.check.interval.ms",
        ConfigKind::long_from(1),
        Some("300000"),
        "How often logs are looked through for segments past their retention.",
    ),
    key(
        "max.connections",
        ConfigKind::int_from(0),
        Some("2147483647"),
        "Most connections at one time.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "max.connections.per.ip",
        ConfigKind::int_from(0),
        Some("2147483647"),
        "Most connections at one time from one address.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "max.incremental.fetch.session.cache.slots",
        ConfigKind::int_from(0),
        Some("1000"),
        "Most incremental fetch sessions kept; clients beyond it name all their partitions in each fetch.",
    ),
    key(
        "max.request.partition.size.limit",
        ConfigKind::int_from(1),
        Some("2000"),
        "Most partitions in one answer to DescribeTopicPartitions.",
    ),
    key(
        "metrics.listener",
        Text,
        None,
        "HOST:PORT of the HTTP port with /metrics and /health (no key of Kafka's); closed if it is not set.",
    ),
    key("node.id", ConfigKind::int_from(0), Some("1"), "Number of this node in its cluster."),
    key(
        "num.partitions",
        ConfigKind::int_from(1),
        Some("1"),
        "Partitions of topics that are created automatically or with -1.",
    ),
    key(
        "offset.metadata.max.bytes",
        ConfigKind::int_from(0),
        Some("4096"),
        "Most bytes of text that a consumer may store with a committed offset.",
    ),
    key(
        "offsets.load.buffer.size",
        ConfigKind::int_from(1),
        Some("5242880"),
        "How much of the log of committed offsets is read at a time when groups are loaded.",
    ),
    key(
        "offsets.retention.check.interval.ms",
        ConfigKind::long_from(1),
        Some("600000"),
        "How often groups are looked through for committed offsets past their retention.",
    ),
    key(
        "offsets.retention.minutes",
        ConfigKind::int_from(1),
        Some("10080"),
        "Committed offsets are forgotten this long after their group has lost its last member, or, without members, after the commit.",
    ),
    key(
        "offsets.topic.num.partitions",
        ConfigKind::int_from(1),
        Some("50"),
        "Partitions of __consumer_offsets when it is created; not to be changed afterwards, since it decides where a group is.",
    ),
    key(
        "offsets.topic.replication.factor",
        Int {
            min: 1,
            max: i16::MAX as i32,
        },
        Some("3"),
        "Replicas of __consumer_offsets when it is created; no more than there are brokers.",
    ),
    key(
        "offsets.topic.segment.bytes",
        ConfigKind::int_from(1 << 20),
        Some("104857600"),
        "Segment size of __consumer_offsets when it is created.",
    ),
    key(
        "process.roles",
        List,
        Some("broker,controller"),
        "What this process is: a broker serves clients, a controller votes on the metadata.",
    ),
    key(
        "producer.id.expiration.ms",
        ConfigKind::int_from(1),
        Some("86400000"),
        "The sequence numbers of a producer silent for this long are forgotten.",
    )
    .dynamic(Dynamic::ClusterWide),
    key(
        "queued.max.request.bytes",
        ConfigKind::long_from(-1),
        Some("-1"),
        "Most bytes of requests held in memory at one time by all connections; -1 is 256 MiB.",
    ),
    key(
        "replica.lag.time.max.ms",
        ConfigKind::long_from(1),
        Some("30000"),
        "A follower that has not had everything for this long is not in sync any more.",
    ),
    key(
        "replica.selector.class",
        Text,
        None,
        "org.apache.kafka.common.replica.RackAwareReplicaSelector sends consumers that say in which rack they are to a replica in sync there.",
    ),
    key(
        "rest.access.control.allow.origin",
        List,
        None,
        "Origins whose pages may use the REST proxy (CORS), or *; none if it is not set.",
    ),
    key(
        "rest.advertised.listeners",
        List,
        None,
        "URL that clients of the REST proxy are told to come back to; the first of rest.listeners if it is not set.",
    ),
    key(
        "rest.body.timeout.ms",
        ConfigKind::long_from(1),
        Some("10000"),
        "How long the body of a request to the REST proxy may take; one that keeps coming at 16 KiB/s has longer.",
    ),
    key(
        "rest.consumer.instance.timeout.ms",
        ConfigKind::long_from(1),
        Some("300000"),
        "A consumer instance of the REST proxy that nobody asks for anything for this long is closed.",
    ),
    key(
        "rest.consumer.instances.max",
        ConfigKind::int_from(0),
        Some("4000"),
        "Most consumer instances of the REST proxy; one more is refused.",
    ),
    key(
        "rest.consumer.request.timeout.ms",
        ConfigKind::long_from(0),
        Some("1000"),
        "How long a read through the REST proxy waits for records, if neither it nor its instance says.",
    ),
    key(
        "rest.headers.timeout.ms",
        ConfigKind::long_from(1),
        Some("30000"),
        "How long a connection to the REST proxy may take until the headers of its next request have arrived.",
    ),
    key(
        "rest.id",
        Text,
        None,
        "Part of the names that the REST proxy gives to consumer instances.",
    ),
    key(
        "rest.listeners",
        List,
        None,
        "http://HOST:PORT of the REST proxy beside this broker; there is none if it is not set.",
    ),
    key(
        "socket.request.max.bytes",
        ConfigKind::int_from(1),
        Some("104857600"),
        "Most bytes of one request; a connection that sends a larger one is closed.",
    ),
];

/// Every key of a broker: its own, and the defaults of topics. In no particular order.
pub(crate) fn broker_keys() -> impl Iterator<Item = ConfigKey> {
    BROKER_KEYS.iter().copied().chain(topic::broker_keys())
}

/// Every key of a broker once, by name.
pub(crate) fn broker_keys_in_order() -> Vec<ConfigKey> {
    let mut keys: Vec<ConfigKey> = broker_keys().collect();
    keys.sort_by_key(|key| key.name);
    keys
}

pub(crate) fn broker_key(name: &str) -> Option<ConfigKey> {
    broker_keys().find(|key| key.name == name)
}

/// Why nothing is done about a key that sets a default of topics.
pub(crate) fn not_acted_on(name: &str) -> Option<&'static str> {
    let topic_key = TOPIC_KEYS
        .iter()
        .find(|key| key.synonyms.iter().any(|synonym| synonym.name == name))?;
    match topic_key.support {
        Support::ActedOn => None,
        Support::Accepted(reason) => Some(reason),
    }
}
