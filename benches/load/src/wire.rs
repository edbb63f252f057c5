//! One connection, and requests one after the other: for what librdkafka cannot be told to do.

use anyhow::{Result, bail};
use bytes::Bytes;
use dohle_protocol::{Request, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Wire {
    socket: TcpStream,
}

impl Wire {
    pub(crate) async fn connect(address: &str) -> Result<Wire> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(Wire { socket })
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        let bytes = frame::request(version, 1, Some("load"), request)?.to_bytes();
        let answer = self.exchange(&bytes).await?;
        Ok(frame::read_response::<R>(answer, version)?.1)
    }

    /// Sends what was encoded before, and returns the answer without its length.
    pub(crate) async fn exchange(&mut self, request: &Bytes) -> Result<Bytes> {
        self.socket.write_all(request).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Bytes> {
        let length = self.socket.read_u32().await? as usize;
        let mut answer = vec![0; length];
        self.socket.read_exact(&mut answer).await?;
        if answer.len() < 4 {
            bail!("an answer of {} bytes", answer.len());
        }
        Ok(answer.into())
    }
}
