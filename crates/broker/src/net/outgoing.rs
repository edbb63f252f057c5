//! Answers that wait to be written, in pieces that are never put together.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;

use crate::limits;

#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// Memory of the pieces that counts against a budget; given back when all is written.
    held: Option<OwnedSemaphorePermit>,
}

impl Outgoing {
    pub(super) fn push(&mut self, pieces: Vec<Bytes>, held: Option<OwnedSemaphorePermit>) {
        self.bytes += pieces.iter().map(Bytes::len).sum::<usize>();
        self.pieces.extend(pieces);
        match (&mut self.held, held) {
            (Some(together), Some(held)) => together.merge(held),
            (none, held) => *none = none.take().or(held),
        }
    }

    /// Bytes not yet written.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Writes all there is, or as much as the peer takes now. Returns the bytes written.
    pub(super) fn poll_write(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut total = 0;
        while self.bytes > 0 {
            match self.write_once(stream, cx) {
                Poll::Ready(written) => total += written?,
                Poll::Pending if total == 0 => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(total))
    }

    fn write_once(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let mut slices = [IoSlice::new(&[]); limits::WRITE_PIECES_MAX];
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
                count += 1;
            }
            match stream.try_write_vectored(&slices[..count]) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => {
                    self.advance(written);
                    return Poll::Ready(Ok(written));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        let mut left = written;
        while left > 0 {
            let piece = self.pieces.front_mut().expect("no more is written than there was");
            if piece.len() > left {
                piece.advance(left);
                break;
            }
            left -= piece.len();
            self.pieces.pop_front();
        }
        if self.bytes == 0 {
            self.pieces.clear();
            self.held = None;
        }
    }
}
