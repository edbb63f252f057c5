//! Version 3: topics, partitions, replicas, offsets.

use super::v3::field;
use super::{JSON, Rest};
use serde_json::{Value, json};

#[test]
fn topics_are_created_changed_and_deleted() {
    let rest = Rest::start(&["node.id=3"]);
    let wanted = json!({
        "topic_name": "t",
        "partitions_count": 2,
        "replication_factor": 1,
        "configs": [{"name": "retention.ms", "value": "12345"}, {"name": "cleanup.policy", "value": null}],
    });
    let mut only_checked = wanted.clone();
    only_checked["validate_only"] = json!(true);
    let checked = rest.v3("POST", "/topics", &only_checked);
    assert_eq!(
        (checked.status, &checked.json()["partitions_count"]),
        (200, &json!(2)),
        "{checked:?}"
    );
    assert_eq!(rest.v3_get("/topics")["data"], json!([]), "nothing is created");
    let created = rest.v3("POST", "/topics", &wanted);
    assert_eq!(created.status, 201, "{created:?}");
    let related = |path: &str| json!({"related": rest.v3_url(path)});
    let topic = json!({
        "kind": "KafkaTopic",
        "metadata": {"self": rest.v3_url("/topics/t"), "resource_name": format!("crn:///kafka={}/topic=t", rest.cluster_id())},
        "cluster_id": rest.cluster_id(),
        "topic_name": "t",
        "is_internal": false,
        "replication_factor": 1,
        "partitions_count": 2,
        "partitions": related("/topics/t/partitions"),
        "configs": related("/topics/t/configs"),
        "authorized_operations": [],
    });
    assert_eq!(created.json(), topic);
    assert_eq!(rest.v3_get("/topics/t"), topic);
    assert_eq!(rest.v3_get("/topics")["data"], json!([topic]));
    assert_eq!(rest.v3_get("/topics/t/configs/retention.ms")["value"], json!("12345"));
    let grown = rest.v3("PATCH", "/topics/t", &json!({"partitions_count": 5}));
    assert_eq!((grown.status, &grown.json()["partitions_count"]), (200, &json!(5)));
    rest.v3("PATCH", "/topics/t", &json!({"partitions_count": 1}))
        .is_error(400, 40002, "");
    assert_eq!(rest.v3("DELETE", "/topics/t", &Value::Null).status, 204);
    rest.v3("GET", "/topics/t", &Value::Null)
        .is_error(404, 40403, "This server does not host this topic-partition.");
}

#[test]
fn replicas_may_be_assigned_by_hand() {
    let rest = Rest::start(&["node.id=3"]);
    let assigned = |assignments: Value| rest.v3("POST", "/topics", &json!({"topic_name": "t", "replicas_assignments": assignments}));
    assigned(json!([{"partition_id": 1, "broker_ids": [3]}])).is_error(400, 40002, "beginning with 0");
    assigned(json!([{"partition_id": 0, "broker_ids": [3]}, {"partition_id": 0, "broker_ids": [3]}])).is_error(400, 40002, "once");
    assigned(json!([{"partition_id": 0, "broker_ids": [9]}])).is_error(400, 40002, "");
    let both = json!({"topic_name": "t", "partitions_count": 1, "replicas_assignments": [{"partition_id": 0, "broker_ids": [3]}]});
    rest.v3("POST", "/topics", &both).is_error(400, 40002, "exclude");
    let created = assigned(json!([{"partition_id": 1, "broker_ids": [3]}, {"partition_id": 0, "broker_ids": [3]}]));
    assert_eq!(
        (created.status, &created.json()["partitions_count"]),
        (201, &json!(2)),
        "{created:?}"
    );
}

#[test]
fn r3_bad_topics_create_nothing() {
    let rest = Rest::start(&[]);
    for (body, status, code, message) in [
        (json!({}), 422, 422, "topic_name may not be null"),
        (json!({"topic_name": "t", "color": 1}), 422, 422, "Unrecognized field: color"),
        (json!({"topic_name": "t", "partitions_count": "x"}), 400, 400, ""),
        (json!({"topic_name": "a b"}), 400, 40002, ""),
        (json!({"topic_name": "t", "partitions_count": 0}), 400, 40002, ""),
        (json!({"topic_name": "t", "replication_factor": 5}), 400, 40002, ""),
        (
            json!({"topic_name": "t", "configs": [{"name": "no.such", "value": "1"}]}),
            400,
            40002,
            "",
        ),
        (Value::Null, 422, 422, "Null input provided. Data is required."),
    ] {
        rest.v3("POST", "/topics", &body).is_error(status, code, message);
    }
    assert_eq!(rest.v3_get("/topics")["data"], json!([]));
    rest.node.connect().create_topic("t", 1, &[]);
    rest.v3("POST", "/topics", &json!({"topic_name": "t"}))
        .is_error(400, 40002, "exists");
    for (method, body) in [
        ("GET", Value::Null),
        ("DELETE", Value::Null),
        ("PATCH", json!({"partitions_count": 2})),
    ] {
        for name in ["none", "..%2fetc"] {
            rest.v3(method, &format!("/topics/{name}"), &body).is_error(404, 40403, "");
        }
    }
}

#[test]
fn partitions_replicas_and_offsets() {
    let rest = Rest::start(&["node.id=3"]);
    rest.node.connect().create_topic("t", 2, &[]);
    let id = rest.cluster_id();
    let list = rest.v3_get("/topics/t/partitions");
    assert_eq!(
        (&list["kind"], field(&list, "partition_id")),
        (&json!("KafkaPartitionList"), vec![json!(0), json!(1)])
    );
    let partition = json!({
        "kind": "KafkaPartition",
        "metadata": {"self": rest.v3_url("/topics/t/partitions/1"), "resource_name": format!("crn:///kafka={id}/topic=t/partition=1")},
        "cluster_id": id,
        "topic_name": "t",
        "partition_id": 1,
        "leader": {"related": rest.v3_url("/topics/t/partitions/1/replicas/3")},
        "replicas": {"related": rest.v3_url("/topics/t/partitions/1/replicas")},
    });
    assert_eq!(rest.v3_get("/topics/t/partitions/1"), partition);
    let replica = json!({
        "kind": "KafkaReplica",
        "metadata": {
            "self": rest.v3_url("/topics/t/partitions/1/replicas/3"),
            "resource_name": format!("crn:///kafka={id}/topic=t/partition=1/replica=3"),
        },
        "cluster_id": id,
        "topic_name": "t",
        "partition_id": 1,
        "broker_id": 3,
        "is_leader": true,
        "is_in_sync": true,
        "broker": {"related": rest.v3_url("/brokers/3")},
    });
    assert_eq!(rest.v3_get("/topics/t/partitions/1/replicas/3"), replica);
    assert_eq!(rest.v3_get("/topics/t/partitions/1/replicas")["data"], json!([replica]));
    let produced = rest.produce("/topics/t/partitions/1", JSON, r#"{"records":[{"value":1},{"value":2}]}"#);
    assert_eq!(produced.status, 200);
    for (query, expected) in [
        ("", json!([0, 2])),
        ("?offset_type=earliest_and_latest", json!([0, 2])),
        ("?offset_type=earliest", json!([0, null])),
        ("?offset_type=latest", json!([null, 2])),
    ] {
        let offsets = rest.v3_get(&format!("/topics/t/partitions/1/offset{query}"));
        assert_eq!(json!([offsets["earliest_offset"], offsets["latest_offset"]]), expected, "{query}");
    }
    let null = Value::Null;
    rest.v3("GET", "/topics/t/partitions/1/offset?offset_type=soon", &null)
        .is_error(400, 400, "soon");
    for path in [
        "/topics/t/partitions/2",
        "/topics/t/partitions/-1/replicas",
        "/topics/t/partitions/2/offset",
    ] {
        rest.v3("GET", path, &null).is_error(404, 40402, "Partition not found.");
    }
    for path in [
        "/topics/none/partitions",
        "/topics/none/partitions/0",
        "/topics/none/partitions/0/offset",
    ] {
        rest.v3("GET", path, &null).is_error(404, 40403, "");
    }
    rest.v3("GET", "/topics/t/partitions/1/replicas/9", &null)
        .is_error(404, 404, "Broker 9");
}
