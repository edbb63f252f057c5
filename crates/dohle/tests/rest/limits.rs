//! What clients may take of the proxy.
#![allow(clippy::disallowed_methods, reason = "to ask for an instance is to use it")]

use super::http::Client;
use super::{JSON, Rest};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn r5_bodies_that_are_too_large_or_too_deep_are_refused() {
    let rest = Rest::start(&[]);
    for mebibytes in [70, 200] {
        let large = format!("{{\"records\":[{{\"value\":\"{}\"}}]}}", "x".repeat(mebibytes << 20));
        rest.produce("/topics/t", JSON, &large)
            .is_error(413, 413, "larger than 67108864 bytes");
    }
    let deep = format!("{{\"records\":[{{\"value\":{}{}}}]}}", "[".repeat(100_000), "]".repeat(100_000));
    rest.produce("/topics/t", JSON, &deep).is_error(400, 400, "nested deeper");
    rest.post("/consumers/g", &"[".repeat(1_000_000))
        .is_error(400, 400, "nested deeper");
    assert_eq!(rest.get("/topics").json(), json!([]), "nothing is written");
}

#[test]
fn r5_slow_requests_are_given_up() {
    let rest = Rest::start(&["rest.body.timeout.ms=400", "rest.headers.timeout.ms=400"]);
    let began = Instant::now();
    let mut slow_body = rest.client();
    slow_body.send(format!("POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Type: {JSON}\r\nContent-Length: 1000\r\n\r\n{{").as_bytes());
    let reply = slow_body.reply().expect("an answer");
    reply.is_error(408, 408, "HTTP 408 Request Timeout");
    assert_eq!(reply.header("connection"), Some("close"));
    let mut trickle = rest.client();
    trickle.send(format!("POST /topics/t HTTP/1.1\r\nHost: h\r\nContent-Type: {JSON}\r\nContent-Length: 100000\r\n\r\n{{").as_bytes());
    trickle.trickle().expect("an answer").is_error(408, 408, "HTTP 408 Request Timeout");
    assert_eq!(rest.get("/topics").json(), json!([]), "nothing is written");
    let mut slow_headers = rest.client();
    slow_headers.send(b"GET /topics HTTP/1.1\r\nHost: ");
    assert!(
        slow_headers.reply().is_none_or(|reply| reply.status == 408),
        "the connection is closed"
    );
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn floods_of_headers_are_refused() {
    let rest = Rest::start(&[]);
    let many: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    let long = format!("X: {}\r\n", "x".repeat(200_000));
    for headers in [many, long] {
        let mut client = rest.client();
        client.send(format!("GET /topics HTTP/1.1\r\nHost: h\r\n{headers}\r\n").as_bytes());
        assert_eq!(client.reply().expect("an answer").status, 431);
    }
    let mut client = rest.client();
    client.send(format!("GET /topics/{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(200_000)).as_bytes());
    let status = client.reply().expect("an answer").status;
    assert!(matches!(status, 414 | 431), "{status}");
    assert_eq!(rest.get("/topics").status, 200);
}

#[test]
fn r8_instances_are_bounded_and_idle_ones_go() {
    let rest = Rest::start(&["rest.consumer.instances.max=100", "rest.consumer.instance.timeout.ms=2000"]);
    let mut client: Client = rest.client();
    let mut statuses = [0; 2];
    for _ in 0..10_000 {
        let reply = client.call("POST", "/consumers/g", &[("Content-Type", super::V2)], "{}");
        match reply.status {
            200 => statuses[0] += 1,
            429 => statuses[1] += 1,
            _ => panic!("{reply:?}"),
        }
        if statuses[1] == 100 {
            reply.is_error(429, 429, "100 consumer instances");
            break;
        }
    }
    assert!(statuses[0] >= 100 && statuses[1] > 0, "{statuses:?}");
    rest.node
        .wait_until("idle instances expire", |_| rest.post("/consumers/other", "{}").status == 200);
}

#[test]
fn an_instance_in_use_does_not_expire() {
    let rest = Rest::start(&["rest.consumer.instance.timeout.ms=1000"]);
    rest.node.connect().create_topic("t", 1, &[]);
    let instance = rest.instance("g", "json", "");
    rest.post(
        &format!("{instance}/assignments"),
        r#"{"partitions":[{"topic":"t","partition":0}]}"#,
    );
    assert_eq!(rest.read(&instance, JSON, "?timeout=3500").status, 200);
    assert_eq!(rest.get(&format!("{instance}/assignments")).status, 200);
    rest.node.wait_until("it expires at last", |_| rest.instance_is_gone(&instance));
}

impl Rest {
    /// Asks in a way that does not count as use: only what exists is used.
    fn instance_is_gone(&self, instance: &str) -> bool {
        std::thread::sleep(Duration::from_millis(2500));
        self.get(&format!("{instance}/assignments")).status == 404
    }
}
