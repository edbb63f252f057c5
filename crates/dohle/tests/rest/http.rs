//! A blocking HTTP/1.1 client that sends exactly what it is told.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn try_open(port: u16) -> Option<Client> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(90))).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Client {
            stream: BufReader::new(stream),
        })
    }

    pub(crate) fn call(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: somewhere.else:1\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes());
        self.send(body.as_bytes());
        self.reply().expect("an answer")
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).expect("the proxy reads");
    }

    /// Sends one byte after the other until there is an answer.
    #[allow(clippy::disallowed_methods, reason = "to be slow is what it is for")]
    pub(crate) fn trickle(&mut self) -> Option<Reply> {
        let mut writer = self.stream.get_ref().try_clone().expect("a socket");
        let answered = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !answered.load(Ordering::Relaxed) && writer.write_all(b" ").is_ok() {
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let reply = self.reply();
            answered.store(true, Ordering::Relaxed);
            reply
        })
    }

    /// `None`: the connection was closed instead.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1)?.parse().ok()?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let mut body = vec![0; length.map_or(0, |(_, value)| value.parse().expect("a number"))];
        self.stream.read_exact(&mut body).ok()?;
        Some(Reply {
            status,
            headers,
            body: String::from_utf8(body).expect("text"),
        })
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(1..) => Some(line.trim_end().to_owned()),
            _ => None,
        }
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Status and error code, and the message must contain this.
    pub(crate) fn is_error(&self, status: u16, code: u32, message: &str) {
        let body = self.json();
        assert_eq!((self.status, body["error_code"].as_u64()), (status, Some(code.into())), "{self:?}");
        assert!(body["message"].as_str().is_some_and(|text| text.contains(message)), "{self:?}");
    }
}
