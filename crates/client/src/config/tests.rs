//! Reading of settings: names, defaults, ranges and what excludes what.

use std::time::Duration;

use super::{Acks, ClientConfig, ConsumerConfig, IsolationLevel, OffsetReset, ProducerConfig};
use crate::properties::Properties;

fn properties(pairs: &[&str]) -> Properties {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", "localhost:9092");
    pairs.iter().for_each(|pair| properties.add_pair(pair).unwrap());
    properties
}

fn producer(pairs: &[&str]) -> Result<ProducerConfig, String> {
    ProducerConfig::from_properties(&properties(pairs)).map_err(|error| error.to_string())
}

#[test]
fn bootstrap_servers_are_pairs_of_host_and_port() {
    assert_eq!(
        ClientConfig::for_servers("a:1, [::1]:2").unwrap().bootstrap_servers,
        ["a:1", "[::1]:2"]
    );
    for wrong in ["", ",", "host", "host:", ":9092", "host:port", "host:99999"] {
        assert!(ClientConfig::for_servers(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn an_administrator_asks_brokers_or_controllers() {
    let mut controllers = Properties::default();
    controllers.set("bootstrap.controllers", "c:9093");
    let config = ClientConfig::from_properties(&controllers).unwrap();
    assert!(config.to_controllers && config.bootstrap_servers == ["c:9093"]);
    assert!(!ClientConfig::from_properties(&properties(&[])).unwrap().to_controllers);
    assert!(ClientConfig::from_properties(&properties(&["bootstrap.controllers=c:9093"])).is_err());
}

#[test]
fn the_producer_is_idempotent_unless_a_setting_excludes_it() {
    assert!(producer(&[]).unwrap().idempotent);
    assert!(producer(&["acks=all"]).unwrap().idempotent);
    assert!(!producer(&["acks=1"]).unwrap().idempotent);
    assert!(!producer(&["retries=0"]).unwrap().idempotent);
    assert!(!producer(&["max.in.flight.requests.per.connection=6"]).unwrap().idempotent);
    assert!(!producer(&["enable.idempotence=false"]).unwrap().idempotent);
    assert!(producer(&["enable.idempotence=true", "acks=1"]).is_err());
    assert_eq!(producer(&["acks=0"]).unwrap().acks, Acks::None);
}

#[test]
fn wrong_values_name_the_key() {
    for (pair, key) in [
        ("acks=2", "acks"),
        ("linger.ms=x", "linger.ms"),
        ("linger.ms=-1", "linger.ms"),
        ("compression.type=zip", "compression.type"),
        ("enable.idempotence=maybe", "enable.idempotence"),
        ("security.protocol=SSL", "security.protocol"),
        ("delivery.timeout.ms=10", "delivery.timeout.ms"),
    ] {
        let error = producer(&[pair]).unwrap_err();
        assert!(error.contains(key), "{pair}: {error}");
    }
}

#[test]
fn a_long_linger_stretches_the_default_delivery_timeout() {
    assert_eq!(
        producer(&["linger.ms=200000"]).unwrap().delivery_timeout,
        Duration::from_millis(230_000)
    );
}

#[test]
fn the_consumer_reads_kafkas_names() {
    let config = ConsumerConfig::from_properties(&properties(&[
        "isolation.level=read_committed",
        "auto.offset.reset=none",
        "max.partition.fetch.bytes=77",
        "key.deserializer=x",
        "no.such.key=1",
    ]))
    .unwrap();
    assert_eq!(
        (config.isolation, config.offset_reset, config.partition_bytes_max),
        (IsolationLevel::ReadCommitted, OffsetReset::Fail, 77)
    );
}
