//! Brokers, topics, partitions and their offsets.

use super::{JSON, Rest};
use serde_json::json;

#[test]
fn the_cluster_is_described() {
    let rest = Rest::start(&["node.id=3"]);
    assert_eq!(rest.get("/").json(), json!({}));
    assert_eq!(rest.post("/", "").json(), json!({}));
    assert_eq!(rest.get("/brokers").json(), json!({"brokers": [3]}));
    assert_eq!(rest.get("/topics").json(), json!([]));
    rest.node.connect().create_topic("t", 2, &[("retention.ms", "12345")]);
    assert_eq!(rest.get("/topics").json(), json!(["t"]));
    let partition = |index: i32| json!({"partition": index, "leader": 3, "replicas": [{"broker": 3, "leader": true, "in_sync": true}]});
    let topic = rest.get("/topics/t").json();
    assert_eq!((&topic["name"], &topic["configs"]["retention.ms"]), (&json!("t"), &json!("12345")));
    assert_eq!(topic["partitions"], json!([partition(0), partition(1)]));
    assert_eq!(rest.get("/topics/t/partitions").json(), topic["partitions"]);
    assert_eq!(rest.get("/topics/t/partitions/1").json(), partition(1));
    let produced = rest.produce("/topics/t/partitions/1", JSON, r#"{"records":[{"value":1},{"value":2}]}"#);
    assert_eq!(produced.status, 200);
    let offsets = rest.get("/topics/t/partitions/1/offsets").json();
    assert_eq!(offsets, json!({"beginning_offset": 0, "end_offset": 2}));
}

#[test]
fn r3_what_does_not_exist_is_not_found() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    for path in [
        "/topics/none",
        "/topics/none/partitions",
        "/topics/none/partitions/0",
        "/topics/none/partitions/0/offsets",
    ] {
        rest.get(path)
            .is_error(404, 40403, "This server does not host this topic-partition.");
    }
    for path in [
        "/topics/t/partitions/1",
        "/topics/t/partitions/-1",
        "/topics/t/partitions/1/offsets",
    ] {
        rest.get(path).is_error(404, 40402, "Partition not found.");
    }
    for path in ["/nothing", "/topics/t/partitions/x", "/topics/t/partitions/99999999999"] {
        rest.get(path).is_error(404, 404, "HTTP 404 Not Found");
    }
    rest.delete("/topics").is_error(405, 405, "HTTP 405 Method Not Allowed");
    assert_eq!(rest.get("/topics").json(), json!(["t"]), "asking creates nothing");
}

#[test]
fn r6_names_that_no_topic_can_have() {
    let rest = Rest::start(&[]);
    let long = "x".repeat(10_000);
    for name in ["..%2f..%2fetc", "%0d%0aX-Injected:%201", "..", &long] {
        for reply in [
            rest.get(&format!("/topics/{name}")),
            rest.produce(&format!("/topics/{name}"), JSON, r#"{"records":[{"value":1}]}"#),
        ] {
            reply.is_error(404, 40403, "");
            assert_eq!(reply.header("x-injected"), None);
        }
    }
    rest.post(&format!("/consumers/{long}"), "{}").is_error(422, 422, "name");
    let created = rest.post("/consumers/a%0d%0aX:%201", r#"{"name":"ä/b"}"#).json();
    let base_uri = format!("http://127.0.0.1:{}/consumers/a%0D%0AX%3A%201/instances/%C3%A4%2Fb", rest.port);
    assert_eq!(created["base_uri"], json!(base_uri));
    assert_eq!(
        rest.delete(&base_uri[format!("http://127.0.0.1:{}", rest.port).len()..]).status,
        204
    );
}
