//! From the bytes of a socket to whole requests, with memory that follows what has arrived, never what was announced.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use dohle_protocol::frame::{self, FrameError, LENGTH_BYTES};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::io::poll_read_buf;
use tokio_util::sync::PollSemaphore;

use crate::limits;

thread_local! {
    /// A buffer for the next connection that has something to read: most need theirs no longer than it takes to read one request.
    static SPARE: Cell<BytesMut> = Cell::default();
}

/// A request without its length, and the share of the memory budget that it takes.
#[derive(Debug)]
pub(super) struct ReceivedRequest {
    pub(super) bytes: Bytes,
    pub(super) memory: OwnedSemaphorePermit,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[derive(Debug)]
pub(super) struct RequestReader {
    request_bytes_max: i32,
    budget: PollSemaphore,
    /// Received and not yet taken. While a large request arrives: that request, from its length on, and nothing behind it.
    buffer: BytesMut,
    /// Length of the request that `buffer` starts with, without the length field.
    expected: Option<usize>,
    /// Budget taken for a large request that is arriving.
    reserved: Option<OwnedSemaphorePermit>,
}

impl RequestReader {
    pub(super) fn new(request_bytes_max: i32, budget: Arc<Semaphore>) -> RequestReader {
        let buffer = BytesMut::new();
        RequestReader {
            request_bytes_max,
            budget: PollSemaphore::new(budget),
            buffer,
            expected: None,
            reserved: None,
        }
    }

    /// Whether the peer has begun a request and not finished it.
    pub(super) fn is_mid_request(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next request that has arrived; `Ready(None)` if more must be read first, pending while the budget has no room for it.
    pub(super) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<ReceivedRequest>, FrameError>> {
        let Some(expected) = self.expected()? else {
            return Poll::Ready(Ok(None));
        };
        let total = LENGTH_BYTES + expected;
        if self.buffer.len() < total {
            return Poll::Ready(Ok(None));
        }
        let memory = ready!(self.poll_reserve(total, cx));
        self.expected = None;
        let bytes = match total {
            ..=limits::COPIED_REQUEST_BYTES_MAX => {
                let copy = Bytes::copy_from_slice(&self.buffer[LENGTH_BYTES..total]);
                self.buffer.advance(total);
                copy
            }
            // Nothing else shares the memory then: the log may write its offsets into it.
            _ if self.buffer.len() == total => std::mem::take(&mut self.buffer).freeze().split_off(LENGTH_BYTES),
            _ => self.buffer.split_to(total).freeze().split_off(LENGTH_BYTES),
        };
        Poll::Ready(Ok(Some(ReceivedRequest { bytes, memory })))
    }

    /// Reads once. Returns the number of bytes; 0 = the peer has closed its side.
    pub(super) fn poll_read(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<Result<usize, ReceiveError>> {
        let read = self.poll_read_ready(stream, cx);
        if read.is_pending() {
            self.release_if_empty();
        }
        read
    }

    fn poll_read_ready(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<Result<usize, ReceiveError>> {
        if ready!(stream.poll_read_ready(cx)).is_err() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_make_room(cx))?;
        let room = match self.expected {
            Some(expected) if self.is_large(expected) => LENGTH_BYTES + expected - self.buffer.len(),
            _ => usize::MAX,
        };
        let room = room.min(self.buffer.capacity() - self.buffer.len());
        // Unlike `try_read`, this takes a read that leaves room as the end of what there is, and does not ask the kernel again.
        let read = ready!(poll_read_buf(Pin::new(stream), cx, &mut (&mut self.buffer).limit(room)));
        Poll::Ready(Ok(read?))
    }

    /// An idle connection holds no buffer.
    fn release_if_empty(&mut self) {
        if self.buffer.is_empty() && self.buffer.capacity() > 0 {
            SPARE.set(std::mem::take(&mut self.buffer));
        }
    }

    fn expected(&mut self) -> Result<Option<usize>, FrameError> {
        if self.expected.is_none()
            && let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>()
        {
            self.expected = Some(frame::length(*prefix, self.request_bytes_max)?);
        }
        Ok(self.expected)
    }

    fn is_large(&self, expected: usize) -> bool {
        LENGTH_BYTES + expected > limits::SHARED_READ_BUFFER_BYTES
    }

    /// Makes sure that there is room in the buffer.
    fn poll_make_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        let (length, capacity) = (self.buffer.len(), self.buffer.capacity());
        let target = match self.expected()? {
            Some(expected) if self.is_large(expected) => {
                if length < capacity {
                    return Poll::Ready(Ok(()));
                }
                let total = LENGTH_BYTES + expected;
                let target = total.min(limits::LARGE_REQUEST_BYTES_FIRST.max(2 * length));
                self.reserved = Some(ready!(self.poll_reserve(target, cx)));
                target
            }
            _ if capacity - length >= limits::READ_BYTES_MIN || (length < capacity && capacity >= limits::SHARED_READ_BUFFER_BYTES) => {
                return Poll::Ready(Ok(()));
            }
            _ => limits::SHARED_READ_BUFFER_BYTES,
        };
        let mut roomier = if target == limits::SHARED_READ_BUFFER_BYTES {
            SPARE.take()
        } else {
            BytesMut::new()
        };
        roomier.reserve(target);
        roomier.extend_from_slice(&self.buffer);
        self.buffer = roomier;
        Poll::Ready(Ok(()))
    }

    /// Takes `bytes` from the budget, counting what is taken already.
    fn poll_reserve(&mut self, bytes: usize, cx: &mut Context<'_>) -> Poll<OwnedSemaphorePermit> {
        let have = self.reserved.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if have < bytes {
            let missing = u32::try_from(bytes - have).expect("a request is shorter than 2 GiB");
            let permit = ready!(self.budget.poll_acquire_many(cx, missing)).expect("the budget is never closed");
            match &mut self.reserved {
                Some(reserved) => reserved.merge(permit),
                None => self.reserved = Some(permit),
            }
        }
        Poll::Ready(self.reserved.take().expect("a request has at least four bytes"))
    }
}
