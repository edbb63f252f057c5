//! Version 3: records as a stream, and in batches.

use super::{BINARY_FORMAT, Rest, TEXT};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A request whose body and answer are streams of chunks.
struct Stream {
    socket: BufReader<TcpStream>,
}

/// All of an answer that came in chunks.
pub(crate) struct Chunks(String);

impl Chunks {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_else(|error| panic!("{error}: {}", self.0))
    }
}

impl Stream {
    fn open(rest: &Rest, method: &str, path: &str) -> Stream {
        let path = format!("/v3/clusters/{}{path}", rest.cluster_id());
        let socket = TcpStream::connect(("127.0.0.1", rest.port)).expect("the proxy listens");
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut stream = Stream {
            socket: BufReader::new(socket),
        };
        let head = "Host: somewhere.else:1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked";
        stream.write(&format!("{method} {path} HTTP/1.1\r\n{head}\r\n\r\n"));
        stream
    }

    fn write(&mut self, text: &str) {
        self.socket.get_mut().write_all(text.as_bytes()).expect("the proxy reads");
    }

    fn send(&mut self, data: &str) {
        self.write(&format!("{:x}\r\n{data}\r\n", data.len()));
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.socket.read_line(&mut line).expect("a line in time");
        line.trim_end().to_owned()
    }

    fn status(&mut self) -> String {
        let status = self.line();
        while !self.line().is_empty() {}
        status
    }

    /// One chunk, which is one answer; `None` at the end.
    fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line(), 16).expect("the length of a chunk");
        let mut chunk = vec![0; length + 2];
        self.socket.read_exact(&mut chunk).expect("a chunk in time");
        chunk.truncate(length);
        (length > 0).then(|| String::from_utf8(chunk).expect("text"))
    }

    fn answer(&mut self) -> Value {
        serde_json::from_str(&self.chunk().expect("an answer")).expect("JSON")
    }

    fn end(&mut self) {
        self.write("0\r\n\r\n");
    }
}

impl Rest {
    pub(crate) fn v3_stream(&self, method: &str, path: &str, body: &str) -> Chunks {
        let mut stream = Stream::open(self, method, path);
        if !body.is_empty() {
            stream.send(body);
        }
        stream.end();
        assert_eq!(stream.status(), "HTTP/1.1 200 OK");
        let mut text = String::new();
        while let Some(chunk) = stream.chunk() {
            text.push_str(&chunk);
        }
        Chunks(text)
    }

    /// What is answered to each object.
    fn v3_produce(&self, topic: &str, body: &str) -> Vec<Value> {
        let Chunks(text) = self.v3_stream("POST", &format!("/topics/{topic}/records"), body);
        let objects = serde_json::Deserializer::from_str(&text).into_iter();
        objects.map(|object| object.expect("JSON")).collect()
    }
}

fn codes(answers: &[Value]) -> Vec<u64> {
    answers
        .iter()
        .map(|answer| answer["error_code"].as_u64().expect("a code"))
        .collect()
}

#[test]
fn each_record_is_answered_before_the_next_is_sent() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let mut stream = Stream::open(&rest, "POST", "/topics/t/records");
    assert_eq!(stream.status(), "HTTP/1.1 200 OK", "before there is a record");
    for number in 0..3 {
        stream.send(&format!("{{\"value\":{{\"type\":\"JSON\",\"data\":{number}}}}}"));
        let answer = stream.answer();
        assert_eq!((&answer["error_code"], &answer["offset"]), (&json!(200), &json!(number)));
    }
    // Two in one chunk, and one in two.
    stream.send("{\"value\":{\"type\":\"STRING\",\"data\":\"a\"}} {\"value\":null}\n{\"va");
    assert_eq!([stream.answer()["offset"].clone(), stream.answer()["offset"].clone()], [3, 4]);
    stream.send("lue\":{\"type\":\"BINARY\",\"data\":\"AP8=\"}}");
    assert_eq!(stream.answer()["offset"], 5);
    stream.end();
    assert_eq!(stream.chunk(), None);
    let read = rest.read("/topics/t/partitions/0", BINARY_FORMAT, "?offset=0&count=10").json();
    let values: Vec<&Value> = read.as_array().expect("records").iter().map(|record| &record["value"]).collect();
    assert_eq!(json!(values), json!(["MA==", "MQ==", "Mg==", "YQ==", null, "AP8="]));
}

#[test]
fn records_have_keys_headers_timestamps_and_partitions() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 2, &[]);
    let record = json!({
        "partition_id": 1,
        "headers": [{"name": "trace", "value": "NDI="}, {"name": "nothing", "value": null}],
        "key": {"type": "STRING", "data": "ä"},
        "value": {"type": "JSON", "data": {"n": 1.0, "s": " "}},
        "timestamp": "2024-02-29T12:00:00.5Z",
    });
    let answers = rest.v3_produce("t", &record.to_string());
    let expected = json!({
        "error_code": 200,
        "cluster_id": rest.cluster_id(),
        "topic_name": "t",
        "partition_id": 1,
        "offset": 0,
        "timestamp": "2024-02-29T12:00:00.500Z",
        "key": {"type": "STRING", "size": 2},
        "value": {"type": "JSON", "size": 17},
    });
    assert_eq!(answers, [expected]);
    let read = rest
        .read("/topics/t/partitions/1", TEXT, "?offset=0&include=headers,timestamp")
        .json();
    let expected = json!({
        "topic": "t", "partition": 1, "offset": 0,
        "key": "ä", "value": r#"{"n":1.0,"s":" "}"#,
        "timestamp": 1_709_208_000_500_i64,
        "headers": [{"key": "trace", "value": "NDI="}, {"key": "nothing", "value": null}],
    });
    assert_eq!(read[0], expected);
}

#[test]
fn r2_bad_records_are_answered_in_their_place_and_the_stream_goes_on() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let good = r#"{"value":{"type":"STRING","data":"x"}}"#;
    let bad = [
        (r#"{"value":{"type":"BINARY","data":"!"}}"#, 400),
        (r#"{"value":{"type":"STRING","data":1}}"#, 400),
        (r#"{"value":{"type":"XML","data":"x"}}"#, 400),
        (r#"{"value":{"type":"AVRO","schema_id":1,"data":{}}}"#, 42206),
        (r#"{"value":{"type":"JSON","subject":"s","data":{}}}"#, 42206),
        (r#"{"value":{"data":"x"}}"#, 42206),
        (r#"{"color":1}"#, 422),
        (r#"{"id":"1"}"#, 422),
        (r#"{"value":}"#, 400),
        (r#"{"partition_id":-1}"#, 422),
        (r#"{"partition_id":7}"#, 40402),
        (r#"{"headers":[{"name":"h","value":"!"}]}"#, 400),
        (r#"{"timestamp":"soon"}"#, 400),
        (r#"{"timestamp":-1}"#, 400),
    ];
    let body: String = bad.iter().map(|(record, _)| format!("{record}{good}")).collect();
    let expected: Vec<u64> = bad.iter().flat_map(|(_, code)| [*code, 200]).collect();
    let answers = rest.v3_produce("t", &body);
    assert_eq!(codes(&answers), expected, "{answers:#?}");
    let end = rest.get("/topics/t/partitions/0/offsets").json()["end_offset"].clone();
    assert_eq!(end, bad.len(), "the good ones alone are written");
}

#[test]
fn r2_what_cannot_be_told_apart_ends_the_stream() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let good = r#"{"value":{"type":"STRING","data":"x"}}"#;
    for (rest_of_body, code, message) in [
        (format!("[{good}]{good}"), 400, "objects that follow each other"),
        (format!(", {good}"), 400, "objects that follow each other"),
        ("{\"value\":".to_owned(), 400, "ends within an object"),
        (format!("{{\"a\":{}", "[".repeat(2000)), 400, "nested deeper"),
        (
            format!("{{\"a\":\"{}", "x".repeat(70 * 1024 * 1024)),
            413,
            "larger than 67108864 bytes",
        ),
    ] {
        let answers = rest.v3_produce("t", &format!("{good}{rest_of_body}"));
        assert_eq!(codes(&answers), [200, code], "{answers:?}");
        assert!(
            answers[1]["message"].as_str().is_some_and(|text| text.contains(message)),
            "{answers:?}"
        );
    }
    assert_eq!(codes(&rest.v3_produce("t", " ")), [422]);
    let path = format!("/v3/clusters/{}/topics/t/records", rest.cluster_id());
    rest.produce(&path, TEXT, good).is_error(415, 415, "");
    let fixed = rest.v3("POST", "/topics/..%2f/records", &json!({}));
    fixed.is_error(404, 40403, "");
}

#[test]
fn a_topic_that_does_not_exist_is_not_written_to() {
    let rest = Rest::start(&["auto.create.topics.enable=false"]);
    let record = json!({"id": "1", "value": {"type": "STRING", "data": "x"}});
    assert_eq!(
        codes(&rest.v3_produce("none", r#"{"value":{"type":"STRING","data":"x"}}"#)),
        [40401]
    );
    let wrong_first = r#"{"color":1}{"value":{"type":"STRING","data":"x"}}"#;
    assert_eq!(codes(&rest.v3_produce("none", wrong_first)), [422, 40401]);
    rest.v3("POST", "/topics/none/records:batch", &json!({"entries": [record]}))
        .is_error(404, 40401, "Topic not found.");
    assert_eq!(rest.get("/topics").json(), json!([]));
}

#[test]
fn r5_a_record_that_comes_slowly_is_given_up_and_a_pause_between_records_is_not() {
    let rest = Rest::start(&["rest.body.timeout.ms=400"]);
    rest.node.connect().create_topic("t", 1, &[]);
    let mut stream = Stream::open(&rest, "POST", "/topics/t/records");
    stream.status();
    for _ in 0..2 {
        std::thread::park_timeout(Duration::from_millis(900));
        stream.send(r#"{"value":{"type":"STRING","data":"x"}}"#);
        assert_eq!(stream.answer()["error_code"], 200);
    }
    stream.send("{\"value\":");
    let answer = stream.answer();
    assert_eq!(
        (&answer["error_code"], &answer["message"]),
        (&json!(408), &json!("HTTP 408 Request Timeout"))
    );
    assert_eq!(stream.chunk(), None);
}

#[test]
fn a_client_may_write_many_records_before_it_reads_and_they_stay_in_order() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let records: String = (0..20_000)
        .map(|number| format!("{{\"value\":{{\"type\":\"JSON\",\"data\":{number}}}}}"))
        .collect();
    let answers = rest.v3_produce("t", &records);
    let offsets: Vec<u64> = answers.iter().map(|answer| answer["offset"].as_u64().expect("written")).collect();
    assert_eq!(offsets, (0..20_000).collect::<Vec<_>>());
}

#[test]
fn streams_end_when_the_proxy_does() {
    let mut rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let mut stream = Stream::open(&rest, "POST", "/topics/t/records");
    stream.status();
    stream.send(r#"{"value":{"type":"STRING","data":"x"}}"#);
    assert_eq!(stream.answer()["error_code"], 200);
    rest.node.stop();
    assert_eq!(stream.answer()["error_code"], 503);
}

#[test]
fn batches_tell_what_is_written_and_what_is_not() {
    let rest = Rest::start(&[]);
    rest.node.connect().create_topic("t", 1, &[]);
    let entry = |id: &str, data: Value| json!({"id": id, "value": {"type": "BINARY", "data": data}});
    let batch = |entries: Value| rest.v3("POST", "/topics/t/records:batch", &json!({"entries": entries}));
    let reply = batch(json!([entry("a", json!("AP8=")), entry("b", json!("!")), entry("c", Value::Null)]));
    assert_eq!(reply.status, 207, "{reply:?}");
    let answer = reply.json();
    let failure = json!({"id": "b", "error_code": 400, "message": "data=! is not a valid base64 string."});
    assert_eq!(answer["failures"], json!([failure]));
    let expected = json!({
        "id": "a",
        "cluster_id": rest.cluster_id(),
        "topic_name": "t",
        "partition_id": 0,
        "offset": 0,
        "timestamp": answer["successes"][0]["timestamp"],
        "value": {"type": "BINARY", "size": 2},
    });
    assert_eq!(answer["successes"][0], expected);
    assert_eq!(
        (&answer["successes"][1]["id"], &answer["successes"][1]["offset"]),
        (&json!("c"), &json!(1))
    );
    let many: Vec<Value> = (0..1001).map(|number| entry(&number.to_string(), json!("AA=="))).collect();
    for (entries, message) in [
        (json!([]), "Empty batch."),
        (json!(many), "Too many entries in batch."),
        (
            json!([entry("a", json!("AA==")), entry("a", json!("AA=="))]),
            "Batch entry IDs are not distinct.",
        ),
        (json!([entry("a b", json!("AA=="))]), "letters, digits"),
        (json!([{"value": null}]), "letters, digits"),
    ] {
        batch(entries).is_error(422, 42208, message);
    }
    batch(json!([{"id": "a", "color": 1}])).is_error(422, 422, "Unrecognized field: color");
    assert_eq!(rest.get("/topics/t/partitions/0/offsets").json()["end_offset"], 2);
}
