//! What a `server.properties` and a command line may say, and what is said about mistakes in them.

use super::*;
use dohle_metadata::config::broker::BrokerView;
use known_keys::{Known, known_to_kafka, look_up};
use registry::broker_keys;
use settings::Settings;

/// The settings of Apache Kafka's own file for a node that is broker and controller (config/server.properties of version 4).
const KAFKA_4_SERVER_PROPERTIES: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

fn with(pairs: &[(&str, &str)]) -> Result<(NodeConfig, Vec<String>), ConfigError> {
    let set = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
    NodeConfig::load(
        None,
        &Overrides {
            set,
            ..Overrides::default()
        },
    )
}

fn refused(pairs: &[(&str, &str)]) -> String {
    with(pairs).unwrap_err().to_string()
}

fn from_file(text: &[u8], overrides: &Overrides) -> Result<(NodeConfig, Vec<String>), ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.properties");
    std::fs::write(&path, text).unwrap();
    NodeConfig::load(Some(&path), overrides)
}

#[test]
fn without_a_file_a_node_listens_on_localhost_and_stores_below_the_current_directory() {
    let (config, warnings) = with(&[]).unwrap();
    assert_eq!(config.node_id, 1);
    assert_eq!(config.log_dirs, [PathBuf::from("./dohle-data")]);
    assert_eq!(config.listeners.clients[0].bind.to_string(), "localhost:9092");
    assert_eq!(config.metrics_listener, None);
    assert!(warnings.is_empty());
}

#[test]
fn kafkas_own_file_is_accepted_unchanged_and_what_is_not_acted_on_is_named_once() {
    let (config, warnings) = from_file(KAFKA_4_SERVER_PROPERTIES.as_bytes(), &Overrides::default()).unwrap();
    assert_eq!(config.log_dirs, [PathBuf::from("/tmp/kraft-combined-logs")]);
    assert_eq!(config.listeners.clients.len(), 1);
    assert_eq!(config.listeners.controllers.len(), 1);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("known to Kafka, not acted on: num.io.threads, num.network.threads, "));
    assert!(!warnings[0].contains("log.retention.hours"));
    assert_eq!(config.listeners.inter_broker, "PLAINTEXT");
    assert!(config.roles.broker && config.roles.controller);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let overrides = Overrides {
        set: vec![("max.request.partition.size.limit".to_string(), "7".to_string())],
        data_dir: Some("/data".into()),
        listen: Some("127.0.0.1:0".to_string()),
    };
    let (config, _) = from_file(KAFKA_4_SERVER_PROPERTIES.as_bytes(), &overrides).unwrap();
    assert_eq!(config.log_dirs, [PathBuf::from("/data")]);
    assert_eq!(config.listeners.clients[0].bind.to_string(), "127.0.0.1:0");
    assert_eq!(config.listeners.clients[0].advertised, None);
    let nothing = BTreeMap::new();
    let settings = Settings::resolve(BrokerView {
        broker: &nothing,
        cluster: &nothing,
        file: config.values.as_map(),
    });
    assert_eq!(settings.described_partitions_max, 7);
}

#[test]
fn g1_an_unknown_key_names_the_nearest_and_its_line() {
    let error = from_file(b"node.id=1\nlog.segment.byte=1\n", &Overrides::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("line 2: there is no configuration key log.segment.byte; did you mean log.segment.bytes?"),
        "{error}"
    );
    assert_eq!(
        refused(&[("qqqqqqqqqqqqqqq", "1")]),
        "command line: there is no configuration key qqqqqqqqqqqqqqq"
    );
}

#[test]
fn g1_a_bad_value_names_key_value_and_range() {
    for (key, value, allowed) in [
        ("log.segment.bytes", "-1", "a whole number from"),
        ("log.segment.bytes", "99999999999999", "to 2147483647"),
        ("auto.create.topics.enable", "yes", "true or false"),
        ("num.partitions", "0", "from 1 to"),
        ("log.retention.hours", "a week", "a whole number"),
        ("metrics.listener", "here", "HOST:PORT"),
        ("process.roles", "worker", "broker,controller"),
        ("controller.quorum.voters", "1-localhost", "ID@HOST:PORT"),
    ] {
        let error = refused(&[(key, value)]);
        assert!(error.contains(key) && error.contains(value) && error.contains(allowed), "{error}");
    }
}

#[test]
fn g7_the_last_of_two_wins_with_a_warning() {
    let (config, warnings) = from_file(b"\xef\xbb\xbfnode.id=3\r\nnode.id=4\r\n", &Overrides::default()).unwrap();
    assert_eq!(config.node_id, 4);
    assert!(
        warnings[0].contains("line 2: node.id was set before") && warnings[0].contains("line 1"),
        "{warnings:?}"
    );
}

#[test]
fn g7_what_is_not_properties_names_file_and_line() {
    let error = from_file(b"a=1\nb=\\uZZ\n", &Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("server.properties: line 2"), "{error}");
    let missing = NodeConfig::load(Some(Path::new("/nonexistent/server.properties")), &Overrides::default())
        .unwrap_err()
        .to_string();
    assert!(missing.contains("/nonexistent/server.properties"), "{missing}");
}

/// What three nodes of Apache Kafka 4 with both roles say, apart from their numbers and directories.
fn of_three(node_id: &str) -> [(&'static str, String); 4] {
    [
        ("node.id", node_id.to_string()),
        ("controller.quorum.voters", "1@one:9093,2@two:9093,3@three:9093".to_string()),
        ("listeners", "PLAINTEXT://:9092,CONTROLLER://:9093".to_string()),
        ("controller.listener.names", "CONTROLLER".to_string()),
    ]
}

fn with_three(node_id: &str, more: &[(&str, &str)]) -> Result<(NodeConfig, Vec<String>), ConfigError> {
    let three = of_three(node_id);
    let pairs: Vec<(&str, &str)> = three
        .iter()
        .map(|(key, value)| (*key, &**value))
        .chain(more.iter().copied())
        .collect();
    with(&pairs)
}

#[test]
fn three_voters_and_brokers_that_observe() {
    let (config, warnings) = with_three("2", &[]).unwrap();
    assert_eq!(config.quorum.voters.get(&3).map(String::as_str), Some("three:9093"));
    assert!(warnings.is_empty(), "{warnings:?}");
    let of_broker = [("process.roles", "broker"), ("listeners", "PLAINTEXT://:9092")];
    assert!(!with_three("4", &of_broker).unwrap().0.roles.controller);
    let asks = [
        ("process.roles", "broker"),
        ("controller.quorum.bootstrap.servers", "one:9093,two:9093"),
    ];
    assert_eq!(with(&asks).unwrap().0.quorum.bootstrap.len(), 2);
    let of_controller = [("process.roles", "controller"), ("listeners", "CONTROLLER://:9093")];
    assert!(!with_three("1", &of_controller).unwrap().0.roles.broker);
    with(&[("controller.quorum.voters", "5@localhost:9093"), ("node.id", "5")]).unwrap();
}

#[test]
fn g2_lists_of_voters_that_cannot_be_are_explained() {
    let refused_of_three = |node_id: &str, more: &[(&str, &str)]| with_three(node_id, more).unwrap_err().to_string();
    assert!(refused_of_three("4", &[]).contains("this node is 4 and has the role controller, but is not among the voters"));
    let as_broker = [("process.roles", "broker"), ("listeners", "PLAINTEXT://:9092")];
    assert!(refused_of_three("3", &as_broker).contains("names this node (3), which does not have the role controller"));
    assert!(refused_of_three("3", &[("listeners", "PLAINTEXT://:9092")]).contains("the other voters cannot reach this node"));
    assert!(refused(&[("controller.quorum.voters", "1@a:1,1@b:1")]).contains("each ID once"));
    assert!(refused(&[("process.roles", "broker")]).contains("has to be told who the controllers are"));
    assert!(refused(&[("broker.heartbeat.interval.ms", "2000")]).contains("must be at most half of broker.session.timeout.ms=3000"));
}

#[test]
fn broker_id_is_the_older_name_of_node_id() {
    assert_eq!(with(&[("broker.id", "9")]).unwrap().0.node_id, 9);
    assert_eq!(with(&[("broker.id", "-1")]).unwrap().0.node_id, 1);
    assert!(refused(&[("broker.id", "9"), ("node.id", "8")]).contains("must be equal"));
}

#[test]
fn what_was_altered_wins_over_what_was_given_at_start() {
    let (config, _) = with(&[("max.connections", "10")]).unwrap();
    let value = |number: &str| BTreeMap::from([("max.connections".to_string(), number.to_string())]);
    let (for_all, for_one, nothing) = (value("20"), value("30"), BTreeMap::new());
    let file = config.values.as_map();
    assert_eq!(
        Settings::resolve(BrokerView {
            broker: &nothing,
            cluster: &nothing,
            file
        })
        .connections_max,
        10
    );
    assert_eq!(
        Settings::resolve(BrokerView {
            broker: &nothing,
            cluster: &for_all,
            file
        })
        .connections_max,
        20
    );
    assert_eq!(
        Settings::resolve(BrokerView {
            broker: &for_one,
            cluster: &for_all,
            file
        })
        .connections_max,
        30
    );
}

#[test]
fn the_registry_is_sorted_its_defaults_fit_and_kafka_knows_all_but_our_own() {
    let names: Vec<&str> = BROKER_KEYS.iter().map(|key| key.name).collect();
    assert!(names.is_sorted());
    for key in broker_keys() {
        key.default_value();
        let is_kafkas = known_to_kafka().any(|known| known == key.name);
        let is_of_rest = key.name.starts_with("rest.");
        assert!(is_kafkas || is_of_rest || key.doc.contains("no key of Kafka's"), "{}", key.name);
        assert_eq!(look_up(key.name), Known::Here);
    }
    assert_eq!(look_up("listener.name.internal.ssl.keystore.location"), Known::ToKafka);
}
