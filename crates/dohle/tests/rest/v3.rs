//! Version 3: how its tests call it, and what all its endpoints have in common.

use super::Rest;
use super::http::Reply;
use serde_json::{Value, json};

impl Rest {
    /// Below the cluster's address; a path that begins with `/v3` is taken as it is.
    pub(crate) fn v3(&self, method: &str, path: &str, body: &Value) -> Reply {
        let path = if path.starts_with("/v3") {
            path.to_owned()
        } else {
            format!("/v3/clusters/{}{path}", self.cluster_id())
        };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let reply = self.client().call(method, &path, &[("Content-Type", "application/json")], &body);
        let expected = if reply.status == 204 { None } else { Some("application/json") };
        assert_eq!(reply.header("content-type"), expected, "{reply:?}");
        reply
    }

    pub(crate) fn v3_get(&self, path: &str) -> Value {
        let reply = self.v3("GET", path, &Value::Null);
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    pub(crate) fn cluster_id(&self) -> String {
        let clusters = self.client().call("GET", "/v3/clusters", &[], "").json();
        clusters["data"][0]["cluster_id"].as_str().expect("an id").to_owned()
    }

    /// Where the cluster is, by its advertised address.
    pub(crate) fn v3_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v3/clusters/{}{path}", self.port, self.cluster_id())
    }
}

/// The values of one field, in order.
pub(crate) fn field(list: &Value, name: &str) -> Vec<Value> {
    let items = list["data"].as_array().expect("a list");
    items.iter().map(|item| item[name].clone()).collect()
}

#[test]
fn the_cluster_and_its_brokers() {
    let rest = Rest::start(&["node.id=3", "broker.rack=r1"]);
    let id = rest.cluster_id();
    let related = |path: &str| json!({"related": rest.v3_url(path)});
    let cluster = json!({
        "kind": "KafkaCluster",
        "metadata": {"self": rest.v3_url(""), "resource_name": format!("crn:///kafka={id}")},
        "cluster_id": id,
        "controller": related("/brokers/3"),
        "brokers": related("/brokers"),
        "broker_configs": related("/broker-configs"),
        "consumer_groups": related("/consumer-groups"),
        "topics": related("/topics"),
    });
    assert_eq!(rest.v3_get(""), cluster);
    let all = format!("http://127.0.0.1:{}/v3/clusters", rest.port);
    let list = json!({"kind": "KafkaClusterList", "metadata": {"self": all, "next": null}, "data": [cluster]});
    assert_eq!(rest.v3_get("/v3/clusters"), list);
    let broker = rest.v3_get("/brokers/3");
    let expected = json!({
        "kind": "KafkaBroker",
        "metadata": {"self": rest.v3_url("/brokers/3"), "resource_name": format!("crn:///kafka={id}/broker=3")},
        "cluster_id": id,
        "broker_id": 3,
        "host": broker["host"],
        "port": rest.node.port(),
        "rack": "r1",
        "configs": related("/brokers/3/configs"),
        "partition_replicas": related("/brokers/3/partition-replicas"),
    });
    assert_eq!(broker, expected);
    assert_eq!(rest.v3_get("/brokers")["data"], json!([broker]));
    rest.node.connect().create_topic("t", 2, &[]);
    let held = rest.v3_get("/brokers/3/partition-replicas");
    assert_eq!(
        (field(&held, "topic_name"), field(&held, "partition_id")),
        (vec![json!("t"); 2], vec![json!(0), json!(1)])
    );
}

#[test]
fn r3_what_does_not_exist_or_is_not_understood() {
    let rest = Rest::start(&[]);
    let null = Value::Null;
    for path in [
        "/v3/clusters/other",
        "/v3/clusters/other/topics",
        "/v3/clusters/other/consumer-groups/g/lags",
    ] {
        rest.v3("GET", path, &null).is_error(404, 404, "Cluster other cannot be found.");
    }
    for path in ["/brokers/9", "/brokers/9/configs", "/brokers/9/partition-replicas"] {
        rest.v3("GET", path, &null).is_error(404, 404, "Broker 9 cannot be found.");
    }
    rest.v3("GET", "/brokers/x", &null).is_error(404, 404, "");
    for path in ["/acls", "/topics/t/partitions/0/reassignment", "/nothing"] {
        let reply = rest.get(&format!("/v3/clusters/{}{path}", rest.cluster_id()));
        reply.is_error(404, 404, "HTTP 404 Not Found");
    }
    rest.v3("DELETE", "/topics", &null).is_error(405, 405, "");
    let path = format!("/v3/clusters/{}/topics", rest.cluster_id());
    let xml = [("Accept", "application/xml")];
    rest.client().call("GET", &path, &xml, "").is_error(406, 406, "");
    let no_type = rest.client().call("POST", &path, &[], "{\"topic_name\":\"t\"}");
    no_type.is_error(415, 415, "");
    rest.post(&path, "{\"topic_name\":\"t\"}").is_error(415, 415, "");
    assert_eq!(rest.get("/topics").json(), json!([]), "nothing is created");
}
