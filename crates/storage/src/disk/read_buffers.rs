//! Memory that large reads take in turn: what was just sent is still in the processor's cache when the next read fills it.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::limits;

/// The buffers that nobody uses at the moment, the last used at the end.
#[derive(Debug, Default)]
pub(super) struct ReadBuffers {
    free: Mutex<Vec<Vec<u8>>>,
}

/// Goes back when it is dropped.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    home: Weak<ReadBuffers>,
}

impl ReadBuffers {
    /// A buffer of at least `length` bytes. What it holds is arbitrary, but has been written once: nothing is zeroed for a read.
    pub(super) fn take(self: &Arc<ReadBuffers>, length: usize) -> ReadBuffer {
        // Nobody who keeps a small answer shall keep a large buffer, and what is larger is rare.
        if !(limits::READ_BUFFER_BYTES / 2..=limits::READ_BUFFER_BYTES).contains(&length) {
            return ReadBuffer {
                bytes: vec![0; length],
                home: Weak::new(),
            };
        }
        let free = self.free.lock().pop();
        ReadBuffer {
            bytes: free.unwrap_or_else(|| vec![0; limits::READ_BUFFER_BYTES]),
            home: Arc::downgrade(self),
        }
    }
}

impl AsRef<[u8]> for ReadBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for ReadBuffer {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            let mut free = home.free.lock();
            if free.len() < limits::FREE_READ_BUFFERS_MAX {
                free.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_that_was_used_last_comes_first() {
        let buffers = Arc::new(ReadBuffers::default());
        let (one, other) = (buffers.take(limits::READ_BUFFER_BYTES), buffers.take(limits::READ_BUFFER_BYTES - 1));
        let last = one.as_ref().as_ptr();
        drop(other);
        drop(one);
        assert_eq!(buffers.take(limits::READ_BUFFER_BYTES).as_ref().as_ptr(), last);
    }

    #[test]
    fn only_so_many_buffers_are_kept() {
        let buffers = Arc::new(ReadBuffers::default());
        let taken = [(); limits::FREE_READ_BUFFERS_MAX + 2].map(|()| buffers.take(limits::READ_BUFFER_BYTES));
        drop(taken);
        assert_eq!(buffers.free.lock().len(), limits::FREE_READ_BUFFERS_MAX);
    }

    #[test]
    fn small_and_huge_reads_have_memory_of_their_size() {
        let buffers = Arc::new(ReadBuffers::default());
        for length in [100, limits::READ_BUFFER_BYTES + 1] {
            assert_eq!(buffers.take(length).as_ref().len(), length);
        }
        assert!(buffers.free.lock().is_empty());
    }
}
