//! The one log: a file, and in memory where each batch begins.

use anyhow::{Result, bail};
use bytes::{Bytes, BytesMut};
use dohle_protocol::batch::{self, BatchHeader, HEADER_BYTES};
use dohle_protocol::id::{LeaderEpoch, Offset};
use parking_lot::Mutex;
use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::Path;
use tokio::sync::Notify;

/// More is not read at once: larger pieces fall out of the processor's cache before they are sent.
const READ_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Log {
    file: File,
    is_sink: bool,
    end: Mutex<End>,
    pub(crate) grown: Notify,
}

#[derive(Default)]
struct End {
    offset: i64,
    position: u64,
    /// First offset and position of every batch, in order.
    batches: Vec<(i64, u64)>,
}

impl Log {
    pub(crate) fn create(path: &Path, is_sink: bool) -> Result<Log> {
        let file = File::options().create(true).truncate(true).read(true).write(true).open(path)?;
        Ok(Log {
            file,
            is_sink,
            end: Mutex::default(),
            grown: Notify::new(),
        })
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end.lock().offset
    }

    /// Appends one batch, and returns its offset.
    pub(crate) fn append(&self, records: &Bytes) -> Result<i64> {
        let header = BatchHeader::parse(records)?;
        batch::verify_crc(records)?;
        if header.size_in_bytes() != records.len() {
            bail!("{} bytes in a batch of {}", records.len(), header.size_in_bytes());
        }
        let mut front = [0; HEADER_BYTES];
        front.copy_from_slice(&records[..HEADER_BYTES]);
        let mut end = self.end.lock();
        let base_offset = end.offset;
        batch::patch_base_offset(&mut front, Offset(base_offset));
        batch::patch_leader_epoch(&mut front, LeaderEpoch(0));
        if !self.is_sink {
            let pieces = [IoSlice::new(&front), IoSlice::new(&records[HEADER_BYTES..])];
            let written = rustix::io::pwritev(&self.file, &pieces, end.position)?;
            if written != records.len() {
                bail!("only {written} of {} bytes were written", records.len());
            }
        }
        let position = end.position;
        end.batches.push((base_offset, position));
        end.offset += i64::from(header.last_offset_delta) + 1;
        end.position += records.len() as u64;
        drop(end);
        self.grown.notify_waiters();
        Ok(base_offset)
    }

    /// Whole batches from the one that holds `offset` on: at most `bytes_max`, but at least one.
    pub(crate) fn read(&self, offset: i64, bytes_max: usize) -> Result<Bytes> {
        let (from, to) = {
            let end = self.end.lock();
            if offset >= end.offset {
                return Ok(Bytes::new());
            }
            let first = end.batches.partition_point(|(base, _)| *base <= offset) - 1;
            let from = end.batches[first].1;
            let limit = from + bytes_max.min(READ_BYTES_MAX) as u64;
            let after = end.batches.partition_point(|(_, position)| *position <= limit);
            let to = if after == end.batches.len() && end.position <= limit {
                end.position
            } else {
                end.batches[(after - 1).max(first)].1
            };
            let second = end.batches.get(first + 1).map_or(end.position, |(_, position)| *position);
            (from, to.max(second))
        };
        let mut buffer = BytesMut::zeroed((to - from) as usize);
        self.file.read_exact_at(&mut buffer, from)?;
        Ok(buffer.freeze())
    }
}
