//! Version 3: configurations of topics, brokers and the cluster.

use super::Rest;
use super::v3::field;
use serde_json::{Value, json};

fn alter(name: &str, value: &Value, operation: &str) -> Value {
    json!({"name": name, "value": value, "operation": operation})
}

#[test]
fn configs_of_topics() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[("retention.ms", "12345")]);
    rest.node.connect().create_topic("u", 1, &[]);
    let id = rest.cluster_id();
    let entry = rest.v3_get("/topics/t/configs/retention.ms");
    let expected = json!({
        "kind": "KafkaTopicConfig",
        "metadata": {
            "self": rest.v3_url("/topics/t/configs/retention.ms"),
            "resource_name": format!("crn:///kafka={id}/topic=t/config=retention.ms"),
        },
        "cluster_id": id,
        "topic_name": "t",
        "name": "retention.ms",
        "value": "12345",
        "is_default": false,
        "is_read_only": false,
        "is_sensitive": false,
        "source": "DYNAMIC_TOPIC_CONFIG",
        "synonyms": entry["synonyms"],
    });
    assert_eq!(entry, expected);
    let deciding = json!({"name": "retention.ms", "value": "12345", "source": "DYNAMIC_TOPIC_CONFIG"});
    assert_eq!(entry["synonyms"][0], deciding);
    let of_t = rest.v3_get("/topics/t/configs");
    assert!(field(&of_t, "name").contains(&json!("cleanup.policy")));
    let value = || rest.v3_get("/topics/t/configs/retention.ms")["value"].clone();
    let put = rest.v3("PUT", "/topics/t/configs/retention.ms", &json!({"value": "777"}));
    assert_eq!((put.status, value()), (204, json!("777")), "{put:?}");
    assert_eq!(rest.v3("DELETE", "/topics/t/configs/retention.ms", &Value::Null).status, 204);
    assert_eq!(value(), json!("604800000"));
    let mut changes =
        json!({"data": [alter("retention.ms", &json!("5"), "SET"), alter("segment.ms", &Value::Null, "DELETE")], "validate_only": true});
    assert_eq!(rest.v3("POST", "/topics/t/configs:alter", &changes).status, 204);
    assert_eq!(value(), json!("604800000"), "it is only checked");
    changes["validate_only"] = json!(false);
    assert_eq!(rest.v3("POST", "/topics/t/configs:alter", &changes).status, 204);
    assert_eq!(value(), json!("5"));
}

#[test]
fn configs_of_all_topics_are_written_page_by_page() {
    let rest = Rest::start(&[]);
    assert_eq!(rest.v3_stream("GET", "/topics/-/configs", "").json()["data"], json!([]));
    let mut connection = rest.node.connect();
    (0..101).for_each(|number| connection.create_topic(&format!("t{number:03}"), 1, &[]));
    let all = rest.v3_stream("GET", "/topics/-/configs", "").json();
    assert_eq!(all["kind"], json!("KafkaTopicConfigList"));
    assert_eq!(all["metadata"], json!({"self": rest.v3_url("/topics/-/configs"), "next": null}));
    let mut names = field(&all, "topic_name");
    let each = rest.v3_get("/topics/t000/configs")["data"].as_array().expect("a list").len();
    assert_eq!(names.len(), 101 * each);
    names.dedup();
    assert_eq!(names.len(), 101);
}

#[test]
fn configs_of_brokers_and_of_the_cluster() {
    let rest = Rest::start(&["node.id=3"]);
    let id = rest.cluster_id();
    let of_broker = rest.v3_get("/brokers/3/configs");
    assert!(field(&of_broker, "name").contains(&json!("log.retention.ms")), "{of_broker}");
    let of_all = rest.v3_get("/brokers/-/configs");
    assert_eq!(of_all["data"], of_broker["data"]);
    let path = "/brokers/3/configs/log.retention.ms";
    assert_eq!(rest.v3("PUT", path, &json!({"value": "5000"})).status, 204);
    let entry = rest.v3_get(path);
    assert_eq!(
        (&entry["kind"], &entry["broker_id"], &entry["value"], &entry["source"]),
        (
            &json!("KafkaBrokerConfig"),
            &json!(3),
            &json!("5000"),
            &json!("DYNAMIC_BROKER_CONFIG")
        )
    );
    let name = format!("crn:///kafka={id}/broker=3/config=log.retention.ms");
    assert_eq!(entry["metadata"], json!({"self": rest.v3_url(path), "resource_name": name}));
    let changes = json!({"data": [alter("log.retention.ms", &Value::Null, "DELETE")]});
    assert_eq!(rest.v3("POST", "/brokers/3/configs:alter", &changes).status, 204);
    assert_ne!(rest.v3_get(path)["value"], json!("5000"));
    assert_eq!(rest.v3("PUT", path, &json!({"value": "6000"})).status, 204);
    assert_eq!(rest.v3("DELETE", path, &Value::Null).status, 204);
    assert_ne!(rest.v3_get(path)["value"], json!("6000"));
    let path = "/broker-configs/log.retention.ms";
    rest.v3("GET", path, &Value::Null)
        .is_error(404, 404, "Config log.retention.ms cannot be found.");
    assert_eq!(rest.v3("PUT", path, &json!({"value": "7000"})).status, 204);
    let entry = rest.v3_get(path);
    assert_eq!(
        (&entry["kind"], &entry["config_type"], &entry["value"], &entry["source"]),
        (
            &json!("KafkaClusterConfig"),
            &json!("BROKER"),
            &json!("7000"),
            &json!("DYNAMIC_DEFAULT_BROKER_CONFIG")
        )
    );
    assert_eq!(rest.v3_get("/broker-configs")["data"], json!([entry]));
    assert_eq!(rest.v3_get("/brokers/3/configs/log.retention.ms")["value"], json!("7000"));
    assert_eq!(rest.v3("DELETE", path, &Value::Null).status, 204);
    let changes = json!({"data": [alter("log.retention.ms", &json!("8000"), "SET")]});
    assert_eq!(rest.v3("POST", "/broker-configs:alter", &changes).status, 204);
    assert_eq!(rest.v3_get(path)["value"], json!("8000"));
}

#[test]
fn r3_bad_configs_change_nothing() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let retention = "/topics/t/configs/retention.ms";
    let before = rest.v3_get("/topics/t/configs");
    rest.v3("PUT", retention, &json!({"value": "soon"})).is_error(400, 40002, "");
    rest.v3("PUT", retention, &json!({})).is_error(422, 422, "value may not be null");
    rest.v3("PUT", "/topics/t/configs/no.such", &json!({"value": "1"}))
        .is_error(400, 40002, "");
    let null = Value::Null;
    rest.v3("GET", "/topics/t/configs/no.such", &null)
        .is_error(404, 404, "Config no.such cannot be found.");
    let both = json!({"data": [alter("retention.ms", &json!("5"), "SET"), alter("no.such", &json!("1"), "SET")]});
    rest.v3("POST", "/topics/t/configs:alter", &both).is_error(400, 40002, "");
    let nothing = json!({"data": [alter("retention.ms", &Value::Null, "SET")]});
    rest.v3("POST", "/topics/t/configs:alter", &nothing)
        .is_error(422, 422, "retention.ms may not be null");
    let unknown = json!({"data": [alter("retention.ms", &json!("5"), "APPEND")]});
    rest.v3("POST", "/topics/t/configs:alter", &unknown).is_error(400, 400, "");
    for (method, path, body) in [
        ("GET", "/topics/none/configs", Value::Null),
        ("GET", "/topics/none/configs/retention.ms", Value::Null),
        ("PUT", "/topics/none/configs/retention.ms", json!({"value": "5"})),
        ("DELETE", "/topics/none/configs/retention.ms", Value::Null),
        (
            "POST",
            "/topics/none/configs:alter",
            json!({"data": [alter("retention.ms", &json!("5"), "SET")]}),
        ),
    ] {
        rest.v3(method, path, &body).is_error(404, 40403, "");
    }
    for (method, path) in [("GET", "/brokers/9/configs/x"), ("DELETE", "/brokers/9/configs/x")] {
        rest.v3(method, path, &null).is_error(404, 404, "Broker 9 cannot be found.");
    }
    assert_eq!(rest.v3_get("/topics/t/configs"), before);
}
