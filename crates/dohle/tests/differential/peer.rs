//! The two nodes under comparison, and a blocking connection that sends one request at a time.

use bytes::Bytes;
use dohle_protocol::header::{RequestHeader, ResponseHeader};
use dohle_protocol::wire::{Decoder, Encoder};
use dohle_protocol::{Message, Request};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_TIMEOUT: Duration = Duration::from_secs(90);

/// A connection to either node.
pub(crate) struct Peer {
    stream: TcpStream,
    correlation_id: i32,
}

impl Peer {
    pub(crate) fn connect(port: u16) -> Peer {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the node listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Peer { stream, correlation_id: 0 }
    }

    /// Sends a request and decodes its answer; `None` when the node closed the connection instead.
    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        self.correlation_id += 1;
        let mut encoder = Encoder::new();
        let header = RequestHeader {
            request_api_key: R::KEY.code(),
            request_api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some("differential".into()),
            ..Default::default()
        };
        header.encode(&mut encoder, R::KEY.request_header_version(version)).expect("a header encodes");
        request.encode(&mut encoder, version).unwrap_or_else(|error| panic!("{} v{version}: {error}", R::KEY));
        let body = encoder.finish().to_bytes();
        self.stream.write_all(&(body.len() as i32).to_be_bytes()).ok()?;
        self.stream.write_all(&body).ok()?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).ok()?;
        let mut answer = vec![0; i32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).ok()?;
        let mut decoder = Decoder::new(Bytes::from(answer));
        let header = ResponseHeader::decode(&mut decoder, R::KEY.response_header_version(version)).expect("a response header");
        assert_eq!(header.correlation_id, self.correlation_id);
        let response = R::Response::decode(&mut decoder, version).unwrap_or_else(|error| panic!("{} v{version}: {error}", R::KEY));
        assert_eq!(decoder.remaining(), 0, "{} v{version}: bytes after the answer", R::KEY);
        Some(response)
    }
}

/// A real Kafka in a directory of its own.
pub(crate) struct Kafka {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Kafka {
    pub(crate) fn start() -> Kafka {
        let kafka = Kafka { folder: tempfile::tempdir().unwrap(), port: free_port() };
        let port = kafka.port.to_string();
        kafka.script(&["up", kafka.path(), "1", &port, "auto.create.topics.enable=false", "num.partitions=2"]);
        kafka
    }

    fn path(&self) -> &str {
        self.folder.path().to_str().expect("a temporary directory has a plain name")
    }

    fn script(&self, arguments: &[&str]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/servers/kafka");
        let output = Command::new(script).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).status().expect("the script runs");
        assert!(output.success(), "tests/servers/kafka {arguments:?}: run `cargo xtask setup` first");
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.script(&["kill", self.path()]);
    }
}

/// Our node, with the same settings and node id as the real one.
pub(crate) struct Ours {
    process: Child,
    _folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Ours {
    pub(crate) fn start() -> Ours {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let log: PathBuf = folder.path().join("log");
        let process = Command::new(env!("CARGO_BIN_EXE_dohle"))
            .args(["start", "--data-dir", folder.path().join("data").to_str().unwrap(), "--listen", &format!("127.0.0.1:{port}")])
            .args(["--set", "node.id=1", "--set", "auto.create.topics.enable=false", "--set", "num.partitions=2"])
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&log).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary runs");
        let ours = Ours { process, _folder: folder, port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < START_TIMEOUT, "our node does not listen");
            std::thread::yield_now();
        }
        ours
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
