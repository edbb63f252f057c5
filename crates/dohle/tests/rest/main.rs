//! The REST proxy beside a node, and in a process of its own, over plain sockets.

mod consumers;
#[path = "../harness/mod.rs"]
mod harness;

mod http;
mod limits;
mod metadata;
mod operations;
mod partition_records;
mod positions;
mod produce;
mod quickstart;
mod v3;
mod v3_configs;
mod v3_groups;
mod v3_records;
mod v3_topics;

use crate::harness::{Node, free_port};
use http::{Client, Reply};
use serde_json::Value;

pub(crate) const V2: &str = "application/vnd.kafka.v2+json";
pub(crate) const JSON: &str = "application/vnd.kafka.json.v2+json";
pub(crate) const BINARY_FORMAT: &str = "application/vnd.kafka.binary.v2+json";
pub(crate) const TEXT: &str = "application/vnd.kafka.text.v2+json";

/// A node with the proxy in its process.
pub(crate) struct Rest {
    pub(crate) node: Node,
    pub(crate) port: u16,
}

impl Rest {
    pub(crate) fn start(settings: &[&str]) -> Rest {
        let port = free_port();
        let listeners = format!("rest.listeners=http://127.0.0.1:{port}");
        let mut all = vec![listeners.as_str(), "offsets.topic.num.partitions=2"];
        all.extend(settings);
        let node = Node::start(&all);
        let rest = Rest { node, port };
        rest.node.wait_until("the proxy answers", |_| Client::try_open(port).is_some());
        rest
    }

    pub(crate) fn client(&self) -> Client {
        Client::try_open(self.port).expect("the proxy listens")
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.client().call("GET", path, &[("Accept", V2)], "")
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.client().call("DELETE", path, &[("Content-Type", V2)], "")
    }

    /// Anything but records.
    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        self.client().call("POST", path, &[("Content-Type", V2)], body)
    }

    /// Records in this format.
    pub(crate) fn produce(&self, path: &str, content_type: &str, body: &str) -> Reply {
        self.client().call("POST", path, &[("Content-Type", content_type)], body)
    }

    pub(crate) fn read(&self, instance: &str, accept: &str, query: &str) -> Reply {
        self.client()
            .call("GET", &format!("{instance}/records{query}"), &[("Accept", accept)], "")
    }

    /// Creates an instance named `i` that begins with the first record, and returns its path.
    pub(crate) fn instance(&self, group: &str, format: &str, more: &str) -> String {
        let body = format!("{{\"name\":\"i\",\"format\":\"{format}\",\"auto.offset.reset\":\"earliest\"{more}}}");
        let created = self.post(&format!("/consumers/{group}"), &body);
        assert_eq!(created.status, 200, "{}", created.body);
        format!("/consumers/{group}/instances/i")
    }

    /// Reads until there are so many records.
    pub(crate) fn read_all(&self, instance: &str, accept: &str, count: usize) -> Vec<Value> {
        let mut records = Vec::new();
        while records.len() < count {
            let reply = self.read(instance, accept, "?timeout=20000");
            assert_eq!(reply.status, 200, "{}", reply.body);
            let more = reply.json();
            let more = more.as_array().expect("an array");
            assert!(
                !more.is_empty(),
                "{} of {count} records within 20 s:\n{}",
                records.len(),
                self.node.log()
            );
            records.extend(more.iter().cloned());
        }
        records
    }
}
