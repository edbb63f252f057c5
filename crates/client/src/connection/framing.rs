//! Frames on a socket: whole requests out, whole answers in.

use std::io;

use bytes::{Bytes, BytesMut};
use dohle_protocol::frame::{self, LENGTH_BYTES};
use dohle_protocol::wire::Rope;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::limits::{RESPONSE_BYTES_MAX, RESPONSE_BYTES_RESERVED};

/// Writes a frame that carries its length already.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: &Rope) -> io::Result<()> {
    for chunk in &frame.chunks {
        to.write_all(chunk).await?;
    }
    Ok(())
}

/// The next frame without its length. Memory grows with the bytes that arrive, not with the length that was announced.
pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let mut prefix = [0; LENGTH_BYTES];
    from.read_exact(&mut prefix).await?;
    let length =
        frame::length(prefix, RESPONSE_BYTES_MAX).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    let mut frame = BytesMut::with_capacity(length.min(RESPONSE_BYTES_RESERVED));
    let mut limited = from.take(length as u64);
    while frame.len() < length {
        if limited.read_buf(&mut frame).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(frame.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_whole_frames_of_a_sane_length_are_read() {
        assert_eq!(read(&mut &b"\0\0\0\x03abcrest"[..]).await.unwrap(), &b"abc"[..]);
        assert_eq!(
            read(&mut &b"\0\0\0\x05abc"[..]).await.unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        for length in [-1, 0, i32::MIN, i32::MAX] {
            assert_eq!(
                read(&mut &length.to_be_bytes()[..]).await.unwrap_err().kind(),
                io::ErrorKind::InvalidData
            );
        }
        let error = read(&mut &b"HTTP/1.1 400 Bad Request"[..]).await.unwrap_err();
        assert!(error.to_string().contains("HTTP"), "{error}");
    }
}
