//! Records in, in every format, and read back in it.

use super::{BINARY_FORMAT, JSON, Rest, TEXT};
use serde_json::{Value, json};

fn round_trip(rest: &Rest, format: &str, content_type: &str, records: &Value) {
    let topic = format!("t-{format}");
    let produced = rest.produce(
        &format!("/topics/{topic}"),
        content_type,
        &json!({ "records": records }).to_string(),
    );
    assert_eq!(produced.status, 200, "{}", produced.body);
    let instance = rest.instance(&format!("g-{format}"), format, "");
    assert_eq!(
        rest.post(&format!("{instance}/subscription"), &json!({"topics": [topic]}).to_string())
            .status,
        204
    );
    let expected = records.as_array().unwrap();
    let read = rest.read_all(&instance, content_type, expected.len());
    for (offset, (read, expected)) in read.iter().zip(expected).enumerate() {
        assert_eq!(
            (&read["key"], &read["value"], &read["offset"]),
            (&expected["key"], &expected["value"], &json!(offset))
        );
    }
    assert_eq!(rest.delete(&instance).status, 204);
}

#[test]
fn each_format_is_read_as_it_was_written() {
    let rest = Rest::start(&[]);
    let large = "x".repeat(1_000_000);
    round_trip(
        &rest,
        "json",
        JSON,
        &json!([{"key": "k", "value": {"a": [1, 2.5, null, "ü"]}}, {"key": null, "value": large}, {"value": false}, {"key": 7}]),
    );
    round_trip(
        &rest,
        "binary",
        BINARY_FORMAT,
        &json!([{"key": "a2V5", "value": "AP8="}, {"value": ""}, {"key": "a2V5"}]),
    );
    round_trip(
        &rest,
        "text",
        TEXT,
        &json!([{"key": "key", "value": "größer \"…\""}, {"value": "line\nline"}]),
    );
}

#[test]
fn keys_choose_partitions_and_a_partition_may_be_named() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 3, &[]);
    let body = r#"{"records":[{"key":"a2V5","value":"MQ=="},{"partition":2,"value":"Mg=="},{"partition":9,"value":"Mw=="}]}"#;
    let produced = rest.produce("/topics/t", BINARY_FORMAT, body);
    let offsets = produced.json()["offsets"].clone();
    assert_eq!(produced.status, 200, "failures of single records stay inside");
    assert_eq!((&offsets[0]["error_code"], &offsets[1]["partition"]), (&json!(null), &json!(2)));
    assert_eq!((&offsets[2]["error_code"], &offsets[2]["offset"]), (&json!(50002), &json!(null)));
    assert!(offsets[2]["error"].as_str().unwrap().contains("partition 9"), "{offsets}");
    let again = rest.produce("/topics/t", TEXT, r#"{"records":[{"key":"key"}]}"#).json();
    assert_eq!(
        again["offsets"][0]["partition"], offsets[0]["partition"],
        "the same key, the same partition"
    );
    let named = rest.produce(
        "/topics/t/partitions/1",
        "application/json",
        r#"{"records":[{"value":{}},{"value":{}}]}"#,
    );
    let named = named.json();
    let offset = |offset: i64| json!({"partition": 1, "offset": offset, "error_code": null, "error": null});
    let first = named["offsets"][0]["offset"].as_i64().unwrap();
    assert_eq!(named["offsets"], json!([offset(first), offset(first + 1)]));
    rest.produce("/topics/t/partitions/3", JSON, r#"{"records":[{"value":1}]}"#)
        .is_error(404, 40402, "Partition not found.");
}

#[test]
fn a_record_that_is_too_large_for_its_topic_does_not_take_others_with_it() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[("max.message.bytes", "1000")]);
    let body = json!({"records": [{"value": 1}, {"value": "x".repeat(5000)}, {"value": 2}]}).to_string();
    let produced = rest.produce("/topics/t", JSON, &body);
    let codes: Vec<_> = produced.json()["offsets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["error_code"].clone())
        .collect();
    assert_eq!((produced.status, codes), (200, vec![json!(null), json!(50002), json!(null)]));
    let offsets = rest.get("/topics/t/partitions/0/offsets").json();
    assert_eq!(offsets["end_offset"], json!(2), "the two small ones are written, once");
}

#[test]
fn r1_r2_bad_bodies_write_nothing() {
    let rest = Rest::start(&["auto.create.topics.enable=false"]);
    rest.node.connect().create_topic("t", 1, &[]);
    let records = r#"{"records":[{"value":1}]}"#;
    for content_type in [
        "text/plain",
        "application/vnd.kafka.v2+json",
        "application/vnd.kafka.json.v1+json",
        "application/xml",
    ] {
        rest.produce("/topics/t", content_type, records)
            .is_error(415, 415, "HTTP 415 Unsupported Media Type");
    }
    let no_type = rest.client().call("POST", "/topics/t", &[], records);
    no_type.is_error(415, 415, "");
    let no_accept = [("Content-Type", JSON), ("Accept", "application/xml")];
    rest.client()
        .call("POST", "/topics/t", &no_accept, records)
        .is_error(406, 406, "HTTP 406 Not Acceptable");
    for (body, status, code, message) in [
        (r#"{"records":[{"value":1}"#, 400, 400, ""),
        (r#"{"records":5}"#, 400, 400, ""),
        (r#"{"records":[{"value":1}]} x"#, 400, 400, ""),
        (r#"{}"#, 422, 422, "records may not be null"),
        ("", 422, 422, "Null input provided. Data is required."),
        ("null", 422, 422, "Null input provided. Data is required."),
        (r#"{"records":[]}"#, 422, 422, "records may not be empty"),
        (
            r#"{"records":[{"value":1}],"nonsense":1}"#,
            422,
            422,
            "Unrecognized field: nonsense",
        ),
        (r#"{"records":[{"values":1}]}"#, 422, 422, "Unrecognized field: values"),
        (r#"{"records":[{"value":1,"partition":-1}]}"#, 422, 422, "partition"),
    ] {
        rest.produce("/topics/t", JSON, body).is_error(status, code, message);
    }
    rest.produce("/topics/t", BINARY_FORMAT, r#"{"records":[{"value":"AP8="},{"value":"A!"}]}"#)
        .is_error(400, 400, "data=A! is not a valid base64 string.");
    rest.produce("/topics/t/partitions/0", JSON, r#"{"records":[{"value":1,"partition":0}]}"#)
        .is_error(422, 422, "Unrecognized field: partition");
    rest.produce("/topics/none", JSON, records).is_error(404, 40401, "Topic not found.");
    assert_eq!(
        rest.get("/topics/t/partitions/0/offsets").json()["end_offset"],
        json!(0),
        "nothing is written"
    );
}

#[test]
fn formats_with_schemas_say_what_is_missing() {
    let rest = Rest::start(&[]);
    for format in ["avro", "jsonschema", "protobuf"] {
        let content_type = format!("application/vnd.kafka.{format}.v2+json");
        let produce = |body: &str| rest.produce("/topics/t", &content_type, body);
        produce(r#"{"records":[{"key":1}]}"#).is_error(422, 42201, "Request includes keys but does not include key schema");
        produce(r#"{"records":[{"value":1}]}"#).is_error(422, 42202, "Request includes values but does not include value schema");
        produce(r#"{"records":[{"value":1}],"value_schema":"\"int\""}"#).is_error(408, 40801, "schema registry");
        let body = format!("{{\"format\":\"{format}\"}}");
        rest.post("/consumers/g", &body).is_error(422, 42204, "schema registry");
    }
    assert_eq!(rest.get("/topics").json(), json!([]), "nothing is written");
}
