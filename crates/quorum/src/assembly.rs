//! Puts a snapshot file together from the parts in which it arrives, in order.

use bytes::{Bytes, BytesMut};

use crate::entry_codec::{EntryCodecError, damaged};
use crate::limits;
use crate::rpc::snapshot_chunk::ChunkValue;
use crate::rpc::values::unsigned;
use crate::type_config::LogId;

#[derive(Debug, Default)]
pub(crate) struct Assembly {
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    last: LogId,
    content: BytesMut,
}

impl Assembly {
    /// The snapshot that is on its way, and how much of it is here.
    pub(crate) fn progress(&self) -> Option<(LogId, u64)> {
        self.begun.as_ref().map(|begun| (begun.last, begun.content.len() as u64))
    }

    /// Returns the whole file with its last part. An error says that the parts do not fit together: the sender has to begin again.
    pub(crate) fn add(&mut self, chunk: ChunkValue) -> Result<Option<Bytes>, EntryCodecError> {
        let (last, file_bytes) = (LogId::try_from(chunk.last)?, unsigned(chunk.file_bytes)?);
        if chunk.position == 0 {
            self.begun = Some(Begun {
                last,
                content: BytesMut::new(),
            });
        }
        let fits = |begun: &Begun| begun.last == last && begun.content.len() as i64 == chunk.position;
        let Some(mut begun) = self.begun.take().filter(fits) else {
            return Err(damaged(format!(
                "a part of a snapshot at {} that does not follow another",
                chunk.position
            )));
        };
        begun.content.extend_from_slice(&chunk.content);
        let received = begun.content.len() as u64;
        if file_bytes > limits::SNAPSHOT_BYTES_MAX || received > file_bytes || (chunk.content.is_empty() && received < file_bytes) {
            return Err(damaged(format!("a snapshot of {file_bytes} bytes, of which {received} are here")));
        }
        if received == file_bytes {
            return Ok(Some(begun.content.freeze()));
        }
        self.begun = Some(begun);
        Ok(None)
    }
}
