//! What operators and load balancers see; the proxy as a process of its own.
#![allow(clippy::disallowed_methods, reason = "another process has no event that could be waited for")]

use super::http::Client;
use super::{JSON, Rest, V2};
use crate::harness::{BINARY, Node, free_port};
use dohle_client::{Admin, ClientConfig};
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `dohle rest start`. Killed when dropped.
struct Process {
    child: Child,
    port: u16,
}

impl Process {
    fn start(node: &Node, more: &[&str]) -> Process {
        let port = free_port();
        let child = Command::new(BINARY)
            .args(["rest", "start", "--bootstrap-server", &node.address()])
            .arg(format!("--listeners=http://127.0.0.1:{port}"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let process = Process {
            child: child.expect("the binary runs"),
            port,
        };
        node.wait_until("the proxy answers", |_| Client::try_open(port).is_some());
        process
    }

    fn call(&self, method: &str, path: &str, body: &str) -> super::http::Reply {
        let mut client = Client::try_open(self.port).expect("the proxy listens");
        client.call(method, path, &[("Content-Type", V2)], body)
    }

    fn produce(&self, path: &str) -> super::http::Reply {
        let mut client = Client::try_open(self.port).expect("the proxy listens");
        client.call("POST", path, &[("Content-Type", JSON)], r#"{"records":[{"value":1}]}"#)
    }

    /// Time of the processor that it has used, in hundredths of a second.
    fn used(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it lives");
        let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// SIGTERM, and its end.
    fn stop(&mut self) {
        let id = rustix::process::Pid::from_raw(self.child.id() as i32).expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("the process is ours");
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn health_readiness_and_metrics() {
    let rest = Rest::start(&[]);
    assert_eq!(rest.get("/healthz").json(), json!({"status": "ok"}));
    assert_eq!(rest.get("/readyz").json(), json!({"status": "ready"}));
    rest.produce("/topics/t", JSON, r#"{"records":[{"value":1},{"value":2}]}"#);
    rest.instance("g", "json", "");
    let metrics = rest.get("/metrics");
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    for line in [
        "dohle_rest_produced_records_total 2",
        "dohle_rest_consumer_instances 1",
        "dohle_rest_requests_total{method=\"POST\",route=\"/topics/{topic}\",status=\"200\"} 1",
    ] {
        assert!(metrics.body.contains(line), "{line}:\n{}", metrics.body);
    }
}

#[test]
fn every_endpoint_of_the_openapi_document_is_there() {
    let rest = Rest::start(&[]);
    let reply = rest.get("/openapi.json");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let document = reply.json();
    let mut endpoints = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let path = path.replace("{topic}", "t").replace("{partition}", "0");
        let path = path.replace("{group}", "g").replace("{instance}", "i");
        let path = path.replace("{cluster}", &rest.cluster_id()).replace("{broker}", "1");
        for method in methods.as_object().expect("methods").keys() {
            let reply = rest.client().call(&method.to_uppercase(), &path, &[("Accept", V2)], "");
            let unknown = reply.status == 405 || reply.status == 404 && reply.body.contains("HTTP 404");
            assert!(!unknown, "{method} {path}: {reply:?}");
            endpoints += 1;
        }
    }
    assert_eq!(endpoints, 70);
}

#[test]
fn a_proxy_without_a_cluster_lives_and_is_not_ready() {
    let mut rest = Rest::start(&[]);
    let process = Process::start(&rest.node, &[]);
    rest.node.kill();
    assert_eq!(process.call("GET", "/healthz", "").status, 200);
    for path in ["/readyz", "/topics", "/brokers", "/topics/t", "/topics/t/partitions/0/records"] {
        process.call("GET", path, "").is_error(503, 50302, "");
    }
    process.produce("/topics/t").is_error(503, 50302, "");
    assert_eq!(process.call("POST", "/consumers/g", r#"{"name":"i"}"#).status, 200);
    let subscription = "/consumers/g/instances/i/subscription";
    process.call("POST", subscription, r#"{"topics":["t"]}"#).is_error(503, 50302, "");
}

#[test]
fn a_record_that_could_be_written_later_is_told_from_one_that_never_can() {
    let mut rest = Rest::start(&[]);
    let impatient = ["--set=client.request.timeout.ms=300", "--set=client.delivery.timeout.ms=1000"];
    let process = Process::start(&rest.node, &impatient);
    assert_eq!(process.produce("/topics/t").json()["offsets"][0]["offset"], json!(0));
    rest.node.kill();
    let produced = process.produce("/topics/t");
    let outcome = &produced.json()["offsets"][0];
    assert_eq!(
        (produced.status, &outcome["error_code"], &outcome["offset"]),
        (200, &json!(50003), &json!(null))
    );
}

#[test]
fn cors_is_off_unless_configured() {
    let origin = [("Origin", "https://pages.example")];
    let without = Rest::start(&[]);
    let reply = without.client().call("GET", "/topics", &origin, "");
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let with = Rest::start(&["rest.access.control.allow.origin=https://pages.example"]);
    let reply = with.client().call("GET", "/topics", &origin, "");
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://pages.example"));
    let other = with.client().call("GET", "/topics", &[("Origin", "https://other.example")], "");
    assert_eq!(other.header("access-control-allow-origin"), None);
}

#[test]
fn an_instance_lives_in_one_process_and_its_address_is_the_advertised_one() {
    let rest = Rest::start(&[]);
    let other = Process::start(&rest.node, &["--set", "advertised.listeners=https://events.example.org/"]);
    let created = other.call("POST", "/consumers/g", r#"{"name":"i"}"#).json();
    assert_eq!(created["base_uri"], json!("https://events.example.org/consumers/g/instances/i"));
    rest.get("/consumers/g/instances/i/records")
        .is_error(404, 40403, "Consumer instance not found.");
    assert_eq!(other.call("DELETE", "/consumers/g/instances/i", "").status, 204);
}

#[tokio::test]
async fn a_proxy_that_is_stopped_leaves_no_member_behind() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let mut process = Process::start(&rest.node, &[]);
    assert_eq!(process.call("POST", "/consumers/g", r#"{"name":"i"}"#).status, 200);
    let subscribed = process.call("POST", "/consumers/g/instances/i/subscription", r#"{"topics":["t"]}"#);
    assert_eq!(subscribed.status, 204);
    let admin = Admin::connect(ClientConfig::for_servers(&rest.node.address()).unwrap())
        .await
        .unwrap();
    let members = async || {
        let mut described = admin.describe_groups(&["g".to_owned()]).await.unwrap();
        described.remove("g").unwrap().unwrap().members.len()
    };
    while members().await == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    process.stop();
    assert_eq!(members().await, 0);
}

#[test]
fn a_cluster_that_hangs_costs_no_processor_time_and_keeps_no_instance() {
    let rest = Rest::start(&[]);
    let process = Process::start(&rest.node, &[]);
    process.produce("/topics/t");
    assert_eq!(
        process
            .call("POST", "/consumers/g", r#"{"name":"i","auto.offset.reset":"earliest"}"#)
            .status,
        200
    );
    let instance = "/consumers/g/instances/i";
    process.call("POST", &format!("{instance}/subscription"), r#"{"topics":["t"]}"#);
    let read = |query: &str| process.call("GET", &format!("{instance}/records{query}"), "").json();
    assert_ne!(read("?timeout=20000"), json!([]));
    assert_eq!(read("?timeout=1"), json!([]), "acknowledges the record");
    let id = rustix::process::Pid::from_raw(rest.node.id() as i32).expect("a process id");
    rustix::process::kill_process(id, rustix::process::Signal::STOP).expect("the process is ours");
    // The automatic commit hangs, and the next is due.
    std::thread::sleep(2 * dohle_rest::limits::AUTO_COMMIT_INTERVAL + Duration::from_secs(1));
    let before = process.used();
    std::thread::sleep(Duration::from_secs(2));
    assert!(process.used() - before < 50, "{} of 200 ticks", process.used() - before);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let committing = scope.spawn(|| process.call("POST", &format!("{instance}/offsets"), ""));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(process.call("DELETE", instance, "").status, 204);
        committing.join().unwrap().is_error(404, 40403, "");
    });
    assert!(began.elapsed() < Duration::from_secs(14), "{:?}", began.elapsed());
}
