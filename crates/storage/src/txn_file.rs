//! The `.txnindex` file of one segment, with its entries in memory: they are few, and every read_committed fetch asks for them.

use std::io;
use std::sync::Arc;

use dohle_protocol::id::Offset;

use crate::disk::DiskFile;
use crate::txn_index::{self, AbortedTxn, ENTRY_BYTES};

#[derive(Debug)]
pub(crate) struct TxnFile {
    file: Arc<dyn DiskFile>,
    entries: Vec<AbortedTxn>,
}

impl TxnFile {
    /// No aborted transaction. The file does not exist before the first.
    pub(crate) fn empty(file: Arc<dyn DiskFile>) -> TxnFile {
        TxnFile { file, entries: Vec::new() }
    }

    pub(crate) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    pub(crate) fn entries(&self) -> &[AbortedTxn] {
        &self.entries
    }

    /// Reads the file, which exists. What makes no sense is an error of kind `InvalidData`.
    pub(crate) fn load(&mut self, segment_base: Offset) -> io::Result<()> {
        let bytes = self.file.read_at(0, self.file.len()? as usize)?;
        self.entries = txn_index::decode(&bytes, segment_base).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(())
    }

    pub(crate) fn append(&mut self, txn: AbortedTxn) -> io::Result<()> {
        self.file.write_at((self.entries.len() * ENTRY_BYTES) as u64, &txn.to_bytes())?;
        self.entries.push(txn);
        Ok(())
    }

    /// Forgets the transactions whose marker is not below `log_end`.
    pub(crate) fn truncate(&mut self, log_end: Offset) -> io::Result<()> {
        let kept = txn_index::retained(&self.entries, log_end);
        if kept < self.entries.len() {
            self.file.set_len((kept * ENTRY_BYTES) as u64)?;
            self.entries.truncate(kept);
        }
        Ok(())
    }

    /// Forgets everything, also what an unreadable file holds.
    pub(crate) fn reset(&mut self) -> io::Result<()> {
        self.entries.clear();
        self.file.set_len(0)
    }
}
