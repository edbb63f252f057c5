//! Version 3: consumer groups, their members, and how far they are behind.

use super::v3::field;
use super::{JSON, Rest};
use serde_json::{Value, json};

/// A group with one member that has read 2 of 5 records.
fn with_group() -> (Rest, String) {
    let rest = Rest::start(&["node.id=3", "group.initial.rebalance.delay.ms=0"]);
    rest.node.connect().create_topic("t", 2, &[]);
    let instance = rest.instance("g", "json", "");
    assert_eq!(rest.post(&format!("{instance}/subscription"), r#"{"topics":["t"]}"#).status, 204);
    rest.produce("/topics/t/partitions/1", JSON, r#"{"records":[{"value":1},{"value":2}]}"#);
    rest.read_all(&instance, JSON, 2);
    assert_eq!(rest.post(&format!("{instance}/offsets"), "").status, 200);
    rest.produce(
        "/topics/t/partitions/1",
        JSON,
        r#"{"records":[{"value":3},{"value":4},{"value":5}]}"#,
    );
    (rest, instance)
}

#[test]
fn groups_members_and_assignments() {
    let (rest, _instance) = with_group();
    let id = rest.cluster_id();
    let related = |path: &str| json!({"related": rest.v3_url(path)});
    let group = rest.v3_get("/consumer-groups/g");
    let expected = json!({
        "kind": "KafkaConsumerGroup",
        "metadata": {"self": rest.v3_url("/consumer-groups/g"), "resource_name": format!("crn:///kafka={id}/consumer-group=g")},
        "cluster_id": id,
        "consumer_group_id": "g",
        "is_simple": false,
        "partition_assignor": group["partition_assignor"],
        "state": "STABLE",
        "type": "CLASSIC",
        "coordinator": related("/brokers/3"),
        "consumers": related("/consumer-groups/g/consumers"),
        "lag_summary": related("/consumer-groups/g/lag-summary"),
    });
    assert_eq!(group, expected);
    assert_eq!(rest.v3_get("/consumer-groups")["data"], json!([group]));
    let consumers = rest.v3_get("/consumer-groups/g/consumers");
    let consumer = field(&consumers, "consumer_id")[0].as_str().expect("an id").to_owned();
    let path = format!("/consumer-groups/g/consumers/{consumer}");
    let member = rest.v3_get(&path);
    assert_eq!(consumers["data"], json!([member]));
    let name = format!("crn:///kafka={id}/consumer-group=g/consumer={consumer}");
    assert_eq!(member["metadata"], json!({"self": rest.v3_url(&path), "resource_name": name}));
    assert_eq!(
        (&member["kind"], &member["instance_id"], &member["assignments"]),
        (&json!("KafkaConsumer"), &Value::Null, &related(&format!("{path}/assignments")))
    );
    let assignments = rest.v3_get(&format!("{path}/assignments"));
    assert_eq!(field(&assignments, "partition_id"), [json!(0), json!(1)]);
    let assignment = rest.v3_get(&format!("{path}/assignments/t/partitions/1"));
    assert_eq!(assignments["data"][1], assignment);
    assert_eq!(
        (&assignment["kind"], &assignment["partition"], &assignment["lag"]),
        (
            &json!("KafkaConsumerAssignment"),
            &related("/topics/t/partitions/1"),
            &related("/consumer-groups/g/lags/t/partitions/1")
        )
    );
    let null = Value::Null;
    for path in ["", "/consumers", "/lags", "/lag-summary", "/consumers/c/assignments"] {
        rest.v3("GET", &format!("/consumer-groups/none{path}"), &null)
            .is_error(404, 40405, "Consumer group id not found.");
    }
    rest.v3("GET", "/consumer-groups/g/consumers/none", &null)
        .is_error(404, 404, "Consumer none cannot be found.");
    rest.v3("GET", &format!("{path}/assignments/t/partitions/7"), &null)
        .is_error(404, 404, "t-7 is not assigned");
    rest.v3("GET", &format!("/consumer-groups/{}", "x".repeat(10_000)), &null)
        .is_error(422, 422, "name");
}

#[test]
fn lags_with_and_without_members() {
    let (rest, instance) = with_group();
    let id = rest.cluster_id();
    let consumers = rest.v3_get("/consumer-groups/g/consumers");
    let member = &consumers["data"][0];
    let lag = rest.v3_get("/consumer-groups/g/lags/t/partitions/1");
    let expected = json!({
        "kind": "KafkaConsumerLag",
        "metadata": {
            "self": rest.v3_url("/consumer-groups/g/lags/t/partitions/1"),
            "resource_name": format!("crn:///kafka={id}/consumer-group=g/lag=t/partition=1"),
        },
        "cluster_id": id,
        "consumer_group_id": "g",
        "topic_name": "t",
        "partition_id": 1,
        "current_offset": 2,
        "log_end_offset": 5,
        "lag": 3,
        "consumer_id": member["consumer_id"],
        "instance_id": null,
        "client_id": member["client_id"],
    });
    assert_eq!(lag, expected);
    assert!(
        rest.v3_get("/consumer-groups/g/lags")["data"]
            .as_array()
            .expect("a list")
            .contains(&lag)
    );
    let summary = rest.v3_get("/consumer-groups/g/lag-summary");
    let expected = json!({
        "kind": "KafkaConsumerGroupLagSummary",
        "metadata": {
            "self": rest.v3_url("/consumer-groups/g/lag-summary"),
            "resource_name": format!("crn:///kafka={id}/consumer-group=g/lag-summary"),
        },
        "cluster_id": id,
        "consumer_group_id": "g",
        "max_lag_consumer_id": member["consumer_id"],
        "max_lag_instance_id": null,
        "max_lag_client_id": member["client_id"],
        "max_lag_topic_name": "t",
        "max_lag_partition_id": 1,
        "max_lag": 3,
        "total_lag": 3,
        "max_lag_consumer": {"related": rest.v3_url(&format!("/consumer-groups/g/consumers/{}", member["consumer_id"].as_str().unwrap()))},
        "max_lag_partition": {"related": rest.v3_url("/topics/t/partitions/1")},
    });
    assert_eq!(summary, expected);
    rest.v3("GET", "/consumer-groups/g/lags/t/partitions/9", &Value::Null)
        .is_error(404, 404, "committed nothing for t-9");
    assert_eq!(rest.delete(&instance).status, 204);
    assert_eq!(rest.v3_get("/consumer-groups/g")["state"], json!("EMPTY"));
    let lag = rest.v3_get("/consumer-groups/g/lags/t/partitions/1");
    assert_eq!((&lag["lag"], &lag["consumer_id"]), (&json!(3), &json!("")));
}
