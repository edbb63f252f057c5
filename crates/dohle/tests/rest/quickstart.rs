//! The quickstart of version 2 as it is written, against a node that has just been started and has Kafka's own settings.

use super::{JSON, Rest, V2};
use serde_json::json;

#[test]
fn the_quickstart_works_as_written_and_the_first_read_has_the_record() {
    let rest = Rest::start(&["group.initial.rebalance.delay.ms=3000"]);
    let produced = rest.produce("/topics/jsontest", JSON, r#"{"records":[{"value":{"foo":"bar"}}]}"#);
    let expected = json!({
        "offsets": [{"partition": 0, "offset": 0, "error_code": null, "error": null}], "key_schema_id": null, "value_schema_id": null
    });
    assert_eq!((produced.status, produced.json()), (200, expected));
    assert_eq!(produced.header("content-type"), Some(V2));

    let created = rest.post(
        "/consumers/my_json_consumer",
        r#"{"name": "my_consumer_instance", "format": "json", "auto.offset.reset": "earliest"}"#,
    );
    let base = format!("http://127.0.0.1:{}", rest.port);
    let instance = "/consumers/my_json_consumer/instances/my_consumer_instance";
    let expected = json!({"instance_id": "my_consumer_instance", "base_uri": format!("{base}{instance}")});
    assert_eq!((created.status, created.json()), (200, expected));

    let subscribed = rest.post(&format!("{instance}/subscription"), r#"{"topics":["jsontest"]}"#);
    assert_eq!((subscribed.status, subscribed.body.as_str()), (204, ""));

    let read = rest.read(instance, JSON, "");
    let expected = json!([{"key": null, "value": {"foo": "bar"}, "partition": 0, "offset": 0, "topic": "jsontest"}]);
    assert_eq!((read.status, read.json()), (200, expected));
    assert_eq!(read.header("content-type"), Some(JSON));

    let deleted = rest.delete(instance);
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    rest.read(instance, JSON, "").is_error(404, 40403, "Consumer instance not found.");
}
