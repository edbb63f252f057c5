//! Batches of a file, read one at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use dohle_protocol::batch::{BatchHeader, HEADER_BYTES, RecordBatch};

use crate::limits::DUMPED_BATCH_BYTES_MAX;

pub(super) struct BatchFile {
    file: File,
    pub(super) length: u64,
}

impl BatchFile {
    pub(super) fn open(path: &Path) -> anyhow::Result<BatchFile> {
        let file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
        let length = file.metadata()?.len();
        Ok(BatchFile { file, length })
    }

    /// The header of the batch at this position, if a whole batch lies before `end`.
    pub(super) fn header_at(&self, position: u64, end: u64) -> io::Result<Option<BatchHeader>> {
        let end = end.min(self.length);
        if position + HEADER_BYTES as u64 > end {
            return Ok(None);
        }
        let mut header = [0; HEADER_BYTES];
        self.file.read_exact_at(&mut header, position)?;
        let header = BatchHeader::parse(&header).ok();
        Ok(header.filter(|header| header.size_in_bytes() <= DUMPED_BATCH_BYTES_MAX && position + header.size_in_bytes() as u64 <= end))
    }

    pub(super) fn batch_at(&self, position: u64, header: BatchHeader) -> io::Result<RecordBatch> {
        let mut bytes = vec![0; header.size_in_bytes()];
        self.file.read_exact_at(&mut bytes, position)?;
        Ok(RecordBatch {
            header,
            bytes: Bytes::from(bytes),
        })
    }
}
