//! Seeking.

use super::{JSON, Rest};
use serde_json::{Value, json};

#[test]
fn positions_are_offsets_times_beginning_and_end() {
    let rest = Rest::start(&[]);
    for value in 0..3 {
        let produced = rest.produce("/topics/t", JSON, &json!({"records": [{ "value": value }]}).to_string());
        assert_eq!(produced.status, 200);
    }
    let instance = rest.instance("g", "json", "");
    let partition = r#"{"partitions":[{"topic":"t","partition":0}]}"#;
    let post = |path: &str, body: &str| rest.post(&format!("{instance}/{path}"), body);
    let read = || -> Vec<Value> {
        let records = rest.read(&instance, JSON, "?timeout=1500").json();
        records.as_array().unwrap().iter().map(|record| record["value"].clone()).collect()
    };
    let unassigned = "Illegal state: No current assignment for partition t-0";
    post("positions/beginning", partition).is_error(409, 40903, unassigned);
    post("positions/end", partition).is_error(409, 40903, unassigned);
    post("positions", r#"{"offsets":[{"topic":"t","partition":0,"offset":1}]}"#).is_error(409, 40903, unassigned);

    assert_eq!(post("assignments", partition).status, 204);
    assert_eq!(
        rest.get(&format!("{instance}/assignments")).json(),
        serde_json::from_str::<Value>(partition).unwrap()
    );
    assert_eq!(read(), [0, 1, 2]);
    assert_eq!(
        post(
            "positions",
            r#"{"offsets":[{"topic":"t","partition":0,"offset":2,"metadata":"m"}]}"#
        )
        .status,
        204
    );
    assert_eq!(read(), [2]);
    assert_eq!(post("positions/beginning", partition).status, 204);
    assert_eq!(read(), [0, 1, 2]);
    assert_eq!(post("positions/end", partition).status, 204);
    assert_eq!(read(), [0; 0]);
    let at = |time: &str| format!(r#"{{"timestamps":[{{"topic":"t","partition":0,"timestamp":"{time}"}}]}}"#);
    assert_eq!(post("positions", &at("2020-01-01T00:00:00Z")).status, 204);
    assert_eq!(read(), [0, 1, 2]);
    assert_eq!(post("positions", &at("2999-01-01T00:00:00Z")).status, 204);
    assert_eq!(read(), [0; 0]);
    for bad in ["yesterday", "1969-12-31T23:59:59.999Z", "2020-01-01T00:00:00Z01:00"] {
        post("positions", &at(bad)).is_error(400, 400, "ISO 8601");
    }
    post("positions", r#"{"offsets":[{"topic":"t","partition":0,"offset":-1}]}"#).is_error(422, 422, "offset");
    post("positions", r#"{"offsets":[{"topic":"t","partition":7,"offset":0}]}"#).is_error(409, 40903, "t-7");
    rest.post("/consumers/g/instances/other/positions/end", partition)
        .is_error(404, 40403, "Consumer instance not found.");
}
