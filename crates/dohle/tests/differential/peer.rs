//! The two nodes under comparison.

use crate::harness::{Connection, Node, free_port};
use dohle_protocol::messages::api_versions::ApiVersionsRequest;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::{Command, Stdio};

/// Of both nodes. Sessions may be short, so that they can be waited for.
const SETTINGS: &[&str] = &[
    "auto.create.topics.enable=false",
    "num.partitions=2",
    "offsets.topic.num.partitions=4",
    "group.min.session.timeout.ms=500",
    "group.max.size=4",
];

/// A connection to either node.
pub(crate) type Peer = Connection;

/// A real Kafka in a directory of its own.
pub(crate) struct Kafka {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Kafka {
    pub(crate) fn start() -> Kafka {
        let kafka = Kafka {
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
        };
        let port = kafka.port.to_string();
        kafka.script(&[&["up", kafka.path(), "1", &port], SETTINGS].concat());
        kafka
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().expect("a temporary directory has a plain name")
    }

    fn script(&self, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/kafka");
        let output = Command::new(script)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("the script runs");
        assert!(output.success(), "tests/servers/kafka {arguments:?}: run `cargo xtask setup` first");
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.script(&["kill", self.path()]);
    }
}

/// Our node, with the same settings and node id as the real one.
pub(crate) fn start_ours() -> Node {
    Node::start(&[&["node.id=1", "group.initial.rebalance.delay.ms=0"], SETTINGS].concat())
}

/// API key to the versions that both nodes advertise. Whatever the real node serves of an API that we serve, we must serve as well.
pub(crate) fn served_by_both(kafka: &mut Peer, ours: &mut Peer) -> BTreeMap<i16, RangeInclusive<i16>> {
    let mut served = advertised(ours);
    let real = advertised(kafka);
    served.retain(|key, _| real.contains_key(key));
    for (key, versions) in &mut served {
        let real = &real[key];
        assert_eq!(versions.start(), real.start(), "API {key}: the oldest version");
        assert!(versions.end() >= real.end(), "API {key}: the newest version {versions:?} {real:?}");
        *versions = real.clone();
    }
    served
}

fn advertised(peer: &mut Peer) -> BTreeMap<i16, RangeInclusive<i16>> {
    let request = ApiVersionsRequest {
        client_software_name: "test".into(),
        client_software_version: "1".into(),
        ..Default::default()
    };
    let answer = peer.call(3, &request).expect("an answer");
    let ranges = answer.api_keys.iter().map(|api| (api.api_key, api.min_version..=api.max_version));
    ranges.collect()
}
