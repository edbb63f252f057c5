//! A blocking connection that sends one request at a time and decodes its answer, in any version.

use bytes::Bytes;
use dohle_protocol::header::{RequestHeader, ResponseHeader};
use dohle_protocol::wire::{Decoder, Encoder};
use dohle_protocol::{Message, Request};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Connection {
    stream: TcpStream,
    correlation_id: i32,
    pub(crate) client_id: Option<String>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Connection {
        Connection::try_open(port).expect("the node listens")
    }

    pub(crate) fn try_open(port: u16) -> std::io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Connection {
            stream,
            correlation_id: 0,
            client_id: Some("test".into()),
        })
    }

    /// A second connection to the same node.
    pub(crate) fn another(&self) -> Connection {
        Connection::open(self.stream.peer_addr().expect("a connected stream").port())
    }

    /// Sends a request and decodes its answer; `None` when the node closed the connection instead.
    pub(crate) fn call<R: Request>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        self.send(version, request)?;
        self.receive::<R>(version)
    }

    /// The answer to the request that was sent last.
    pub(crate) fn receive<R: Request>(&mut self, version: i16) -> Option<R::Response> {
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

    /// Sends a request whose answer is not waited for.
    pub(crate) fn send<R: Request>(&mut self, version: i16, request: &R) -> Option<()> {
        self.correlation_id += 1;
        let mut encoder = Encoder::new();
        let header = RequestHeader {
            request_api_key: R::KEY.code(),
            request_api_version: version,
            correlation_id: self.correlation_id,
            client_id: self.client_id.clone(),
            ..Default::default()
        };
        header
            .encode(&mut encoder, R::KEY.request_header_version(version))
            .expect("a header encodes");
        request
            .encode(&mut encoder, version)
            .unwrap_or_else(|error| panic!("{} v{version}: {error}", R::KEY));
        let body = encoder.finish().to_bytes();
        self.stream.write_all(&(body.len() as i32).to_be_bytes()).ok()?;
        self.stream.write_all(&body).ok()
    }
}
