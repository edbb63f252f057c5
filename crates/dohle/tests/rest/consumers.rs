//! Instances: how they are made, what they read, and what of it is committed.

use super::{BINARY_FORMAT, JSON, Rest, TEXT};
use serde_json::{Value, json};

fn values(records: &[Value]) -> Vec<i64> {
    records.iter().map(|record| record["value"].as_i64().expect("a number")).collect()
}

fn produce_numbers(rest: &Rest, topic: &str, numbers: std::ops::Range<i64>) {
    let records: Vec<Value> = numbers.map(|number| json!({ "value": number })).collect();
    let produced = rest.produce(&format!("/topics/{topic}"), JSON, &json!({ "records": records }).to_string());
    assert_eq!(produced.status, 200, "{}", produced.body);
}

#[test]
fn r3_r4_instances_are_made_once_and_with_settings_that_make_sense() {
    let rest = Rest::start(&["rest.id=a"]);
    let create = |body: &str| rest.post("/consumers/g", body);
    assert_eq!(create(r#"{"name":"i"}"#).status, 200);
    create(r#"{"id":"i"}"#).is_error(
        409,
        40902,
        "Consumer with specified consumer ID already exists in the specified consumer group.",
    );
    assert!(create("").json()["instance_id"].as_str().unwrap().starts_with("rest-consumer-a-"));
    create(r#"{"auto.offset.reset":"foo"}"#).is_error(422, 42204, "auto.offset.reset");
    create(r#"{"auto.commit.enable":"maybe"}"#).is_error(422, 42204, "enable.auto.commit");
    create(r#"{"format":"xml"}"#).is_error(422, 422, "Invalid format type");
    create(r#"{"nonsense":1}"#).is_error(422, 422, "Unrecognized field: nonsense");
    create(r#"{"fetch.min.bytes":"10000001"}"#).is_error(
        422,
        40001,
        "Invalid consumer configuration. It does not abide by the constraints: fetch.min.bytes",
    );
    create(r#"{"fetch.min.bytes":-2}"#).is_error(422, 40001, "fetch.min.bytes");
    create(r#"{"#).is_error(400, 400, "");
    let all = r#"{"fetch.min.bytes":"-1","consumer.request.timeout.ms":500,"auto.commit.enable":"false","auto.offset.reset":"none"}"#;
    assert_eq!(create(all).status, 200);
    for path in ["subscription", "assignments", "records", "offsets"] {
        rest.get(&format!("/consumers/g/instances/other/{path}"))
            .is_error(404, 40403, "Consumer instance not found.");
    }
    for (path, body) in [
        ("subscription", r#"{"topics":["t"]}"#),
        ("assignments", r#"{"partitions":[]}"#),
        ("offsets", ""),
        ("positions", "{}"),
        ("positions/end", r#"{"partitions":[]}"#),
    ] {
        rest.post(&format!("/consumers/g/instances/other/{path}"), body)
            .is_error(404, 40403, "Consumer instance not found.");
    }
    assert_eq!(rest.delete("/consumers/g/instances/i").status, 204);
    rest.delete("/consumers/g/instances/i")
        .is_error(404, 40403, "Consumer instance not found.");
}

#[test]
fn subscriptions_are_lists_or_patterns_and_exclude_assignments() {
    let rest = Rest::start(&[]);
    for topic in ["a1", "a2", "b1"] {
        produce_numbers(&rest, topic, 0..2);
    }
    let instance = rest.instance("g", "json", "");
    let subscription = format!("{instance}/subscription");
    rest.read(&instance, JSON, "").is_error(409, 40903, "Illegal state: ");
    assert_eq!(rest.get(&subscription).json(), json!({"topics": []}));
    rest.post(&subscription, "{}").is_error(422, 422, "topic_pattern");
    rest.post(&subscription, r#"{"topic_pattern":"("}"#)
        .is_error(422, 422, "topic_pattern");
    assert_eq!(rest.post(&subscription, r#"{"topic_pattern":"a.*"}"#).status, 204);
    assert_eq!(rest.read_all(&instance, JSON, 4).len(), 4);
    assert_eq!(rest.get(&subscription).json(), json!({"topics": ["a1", "a2"]}));
    let assigned = json!({"partitions": [{"topic": "a1", "partition": 0}, {"topic": "a2", "partition": 0}]});
    assert_eq!(rest.get(&format!("{instance}/assignments")).json(), assigned);
    let exclusive = "Illegal state: Subscription to topics, partitions and pattern are mutually exclusive";
    rest.post(&subscription, r#"{"topics":["b1"]}"#).is_error(409, 40903, exclusive);
    rest.post(
        &format!("{instance}/assignments"),
        r#"{"partitions":[{"topic":"b1","partition":0}]}"#,
    )
    .is_error(409, 40903, exclusive);
    assert_eq!(rest.delete(&subscription).status, 204);
    assert_eq!(rest.get(&subscription).json(), json!({"topics": []}));
    assert_eq!(rest.post(&subscription, r#"{"topics":["b1"]}"#).status, 204);
    assert_eq!(values(&rest.read_all(&instance, JSON, 2)), [0, 1]);
    assert_eq!(rest.get(&subscription).json(), json!({"topics": ["b1"]}));
}

#[test]
fn two_instances_of_a_group_share_what_is_written() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 2, &[]);
    let subscribe = |instance: &str| assert_eq!(rest.post(&format!("{instance}/subscription"), r#"{"topics":["t"]}"#).status, 204);
    let first = rest.instance("g", "json", "");
    subscribe(&first);
    rest.produce("/topics/t/partitions/0", JSON, r#"{"records":[{"value":0}]}"#);
    rest.produce("/topics/t/partitions/1", JSON, r#"{"records":[{"value":1}]}"#);
    assert_eq!(rest.read_all(&first, JSON, 2).len(), 2);
    assert_eq!(
        rest.post("/consumers/g", r#"{"name":"j","format":"json","auto.offset.reset":"earliest"}"#)
            .status,
        200
    );
    let second = "/consumers/g/instances/j";
    subscribe(second);
    // Nobody reads from the first while the group rebalances: it gives up a partition all the same.
    let shares = |instance: &str| {
        rest.get(&format!("{instance}/assignments")).json()["partitions"]
            .as_array()
            .unwrap()
            .len()
    };
    rest.node
        .wait_until("each has a partition", |_| shares(&first) == 1 && shares(second) == 1);
    assert_eq!(rest.delete(&first).status, 204);
    rest.node.wait_until("the other has both", |_| shares(second) == 2);
}

#[test]
fn what_was_read_is_committed_and_not_read_again() {
    let rest = Rest::start(&[]);
    produce_numbers(&rest, "t", 0..3);
    let partition = r#"{"partitions":[{"topic":"t","partition":0}]}"#;
    let committed = |instance: &str| {
        let headers = [("Content-Type", super::V2)];
        rest.client()
            .call("GET", &format!("{instance}/offsets"), &headers, partition)
            .json()
    };
    let manual = rest.instance("manual", "json", ",\"auto.commit.enable\":\"false\"");
    rest.get(&format!("{manual}/offsets")).is_error(404, 40402, "Partition not found.");
    rest.post(&format!("{manual}/subscription"), r#"{"topics":["t"]}"#);
    assert_eq!(values(&rest.read_all(&manual, JSON, 3)), [0, 1, 2]);
    assert_eq!(committed(&manual), json!({"offsets": []}));
    // The last record that is done with is named; the next one is committed.
    let explicit = r#"{"offsets":[{"topic":"t","partition":0,"offset":1,"metadata":"m"}]}"#;
    let commit = rest.post(&format!("{manual}/offsets"), explicit);
    assert_eq!((commit.status, commit.json()), (200, json!([])));
    let offset = |offset: i64, metadata: &str| json!({"offsets": [{"topic": "t", "partition": 0, "offset": offset, "metadata": metadata}]});
    assert_eq!(committed(&manual), offset(2, "m"));
    assert_eq!(rest.post(&format!("{manual}/offsets"), "").status, 200);
    assert_eq!(committed(&manual), offset(3, ""));
    rest.post(
        &format!("{manual}/offsets"),
        r#"{"offsets":[{"topic":"t","partition":0,"offset":-1}]}"#,
    )
    .is_error(422, 422, "offset");
    assert_eq!(rest.delete(&manual).status, 204);

    let automatic = rest.instance("automatic", "json", "");
    rest.post(&format!("{automatic}/subscription"), r#"{"topics":["t"]}"#);
    let first = rest.read(&automatic, JSON, "?max_bytes=1").json();
    assert_eq!(values(first.as_array().unwrap()), [0], "one record at least, and no more than fit");
    assert_eq!(rest.delete(&automatic).status, 204);
    let again = rest.instance("automatic", "json", "");
    rest.post(&format!("{again}/subscription"), r#"{"topics":["t"]}"#);
    assert_eq!(
        values(&rest.read_all(&again, JSON, 2)),
        [1, 2],
        "what was held and not delivered is not committed"
    );
}

#[test]
fn reads_wait_for_records_and_no_longer() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let instance = rest.instance("g", "text", ",\"consumer.request.timeout.ms\":300");
    rest.post(
        &format!("{instance}/assignments"),
        r#"{"partitions":[{"topic":"t","partition":0}]}"#,
    );
    let began = std::time::Instant::now();
    assert_eq!(rest.read(&instance, TEXT, "").json(), json!([]));
    assert!(began.elapsed().as_millis() >= 300);
    let long = rest.instance("long", "text", "");
    rest.post(&format!("{long}/assignments"), r#"{"partitions":[{"topic":"t","partition":0}]}"#);
    let record = std::thread::scope(|scope| {
        let reading = scope.spawn(|| rest.read(&long, TEXT, "?timeout=60000&include=timestamp,headers"));
        rest.produce("/topics/t", TEXT, r#"{"records":[{"value":"x"}]}"#);
        reading.join().unwrap().json()[0].clone()
    });
    assert_eq!((&record["value"], &record["headers"]), (&json!("x"), &json!([])));
    assert!(record["timestamp"].as_i64().unwrap() > 1_600_000_000_000);
    assert!(began.elapsed().as_secs() < 50, "the read ends with the record");
}

#[test]
fn an_instance_that_may_not_begin_anywhere_says_so() {
    let rest = Rest::start(&[]);
    produce_numbers(&rest, "t", 0..1);
    let instance = "/consumers/g/instances/i";
    assert_eq!(rest.post("/consumers/g", r#"{"name":"i","auto.offset.reset":"none"}"#).status, 200);
    assert_eq!(rest.post(&format!("{instance}/subscription"), r#"{"topics":["t"]}"#).status, 204);
    rest.read(instance, "*/*", "")
        .is_error(500, 50002, "Kafka error: Nothing is committed for partition t-0");
}

#[test]
#[allow(clippy::disallowed_methods, reason = "nothing tells when a buffer was let go")]
fn what_is_fetched_and_not_read_is_let_go_and_comes_again() {
    let rest = Rest::start(&[]);
    produce_numbers(&rest, "t", 0..50);
    let instance = rest.instance("g", "json", "");
    rest.post(&format!("{instance}/subscription"), r#"{"topics":["t"]}"#);
    assert_eq!(values(rest.read(&instance, JSON, "?max_bytes=1").json().as_array().unwrap()), [0]);
    // What is let go after a while without reads is read again from where the client is.
    std::thread::sleep(dohle_rest::limits::HELD_IDLE_MAX + std::time::Duration::from_secs(1));
    assert_eq!(values(&rest.read_all(&instance, JSON, 49)), (1..50).collect::<Vec<_>>());
}

#[test]
fn a_client_that_hangs_up_while_it_waits_loses_nothing() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let instance = rest.instance("g", "json", "");
    rest.post(&format!("{instance}/subscription"), r#"{"topics":["t"]}"#);
    for number in 0..5 {
        let mut client = rest.client();
        client.send(format!("GET {instance}/records?timeout=60000 HTTP/1.1\r\nHost: h\r\nAccept: {JSON}\r\n\r\n").as_bytes());
        // It is interrupted by this, or has not begun to wait.
        drop(client);
        produce_numbers(&rest, "t", number..number + 1);
    }
    let reply = rest.read(&instance, JSON, "?timeout=20000");
    let mut read = values(reply.json().as_array().unwrap());
    while read.len() < 5 {
        read.extend(values(&rest.read_all(&instance, JSON, 1)));
    }
    assert_eq!(read, [0, 1, 2, 3, 4]);
}

#[test]
fn r3_an_instance_is_read_in_its_own_format() {
    let rest = Rest::start(&[]);
    rest.produce("/topics/t", TEXT, r#"{"records":[{"value":"1"},{"value":"no json"}]}"#);
    let instance = rest.instance("g", "json", "");
    rest.post(&format!("{instance}/subscription"), r#"{"topics":["t"]}"#);
    let mismatch = "The requested embedded data format does not match the deserializer for this consumer instance";
    rest.read(&instance, BINARY_FORMAT, "").is_error(406, 40601, mismatch);
    rest.read(&instance, "application/xml", "").is_error(406, 406, "");
    let plain = rest.read(&instance, "application/json", "");
    assert_eq!(plain.header("content-type"), Some("application/json"));
    assert_eq!(values(plain.json().as_array().unwrap()), [1]);
    rest.read(&instance, "*/*", "").is_error(408, 40801, "offset 1 of t-0");
    let behind = r#"{"offsets":[{"topic":"t","partition":0,"offset":2}]}"#;
    assert_eq!(rest.post(&format!("{instance}/positions"), behind).status, 204);
    assert_eq!(rest.read(&instance, "*/*", "?timeout=1").json(), json!([]));
}

#[test]
fn a_partition_that_does_not_exist_keeps_no_other_from_being_read() {
    let rest = Rest::start(&[]);
    produce_numbers(&rest, "t", 0..2);
    let instance = rest.instance("g", "json", "");
    let both = r#"{"partitions":[{"topic":"a","partition":99},{"topic":"t","partition":0}]}"#;
    assert_eq!(rest.post(&format!("{instance}/assignments"), both).status, 204);
    assert_eq!(values(&rest.read_all(&instance, JSON, 2)), [0, 1]);
}
