//! Compaction: rewriting closed segments without the records that a later one has replaced. What is kept, the steps on the disk, and what a
//! crash leaves of each: docs/compaction.md.
//!
//! [`PartitionLog::dirtiness`] says whether a round is worth while, [`PartitionLog::begin_cleaning`] begins one under the lock of the log, and
//! [`Cleaning::run`] carries it out without it, but for two moments per group of segments (`swap`). `keys` remembers the last offset of each
//! key, `cleaned_txns` which transactions were aborted, `batch_filter` decides about one batch, `swap_repair` finishes at the next start.

mod batch_filter;
mod cleaned_txns;
mod dirtiness;
mod keys;
mod record_offsets;
mod round;
mod swap;
mod swap_repair;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use dohle_protocol::id::Offset;
use dohle_protocol::record::RecordError;
use parking_lot::Mutex;

use crate::partition_log::{LogError, PartitionLog};

pub use dirtiness::Dirtiness;
pub use round::{CleanerStats, Cleaning};
pub(crate) use swap_repair::finish_swaps;

/// What a round may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CleanerLimits {
    /// Memory for the keys of the dirty part; 24 bytes each.
    pub key_bytes_max: usize,
    /// The part of that memory that is filled, above 0 and up to 1: a fuller table is slower.
    pub load_factor: f64,
}

/// How a round gets at the log that it cleans: for a moment, under its lock.
pub trait SharedLog {
    fn with_log<T>(&self, use_log: impl FnOnce(&mut PartitionLog) -> T) -> T;
}

impl SharedLog for Mutex<PartitionLog> {
    fn with_log<T>(&self, use_log: impl FnOnce(&mut PartitionLog) -> T) -> T {
        use_log(&mut self.lock())
    }
}

/// Who runs a round: told of its progress.
pub trait CleanerControl {
    /// So many bytes more have been read and written. May wait, to slow the round down; false ends it.
    fn spent(&self, read: u64, written: u64) -> bool;
}

/// A round has not come to its end. What it had finished stays.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// It was told to, or the segments that it reads are not those of the log any more.
    #[error("the cleaning was stopped")]
    Stopped,
    #[error("the segment at offset {segment} is damaged: {reason}")]
    Damaged { segment: Offset, reason: String },
    #[error("the batch at offset {offset} cannot be decoded: {source}")]
    Records { offset: Offset, source: RecordError },
    #[error("the keys of the batch at offset {offset} do not fit the memory for keys ({keys_max} of them)")]
    TooManyKeys { offset: Offset, keys_max: usize },
    #[error("the cleaned segment at offset {segment} would be larger than a segment can be")]
    TooLarge { segment: Offset },
    #[error("{action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The files of the log may be half exchanged: it has to be opened anew.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl CleanError {
    /// It would end in the same way again.
    pub fn is_lasting(&self) -> bool {
        match self {
            CleanError::Stopped => false,
            CleanError::Io { source, .. } => !matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
            _ => true,
        }
    }
}

/// What a log knows of its cleaning.
#[derive(Debug, Default)]
pub(crate) struct CleaningState {
    /// Below it, no record has the key of another one below it. `None` = never cleaned.
    cleaned_to: Option<Offset>,
    /// The round that is running, if there is one; set to true, it ends.
    stop: Weak<AtomicBool>,
    /// The segment whose `.log.swap` is there, in the middle of a swap.
    swapping: Option<Offset>,
}

impl CleaningState {
    pub(crate) fn stop(&self) {
        if let Some(stop) = self.stop.upgrade() {
            stop.store(true, Ordering::Release);
        }
    }

    /// The log has been cut at `offset`.
    pub(crate) fn forget_above(&mut self, offset: Offset) {
        self.cleaned_to = self.cleaned_to.map(|cleaned_to| cleaned_to.min(offset));
    }
}

impl PartitionLog {
    /// Up to where the log has been cleaned; for `cleaner-offset-checkpoint`.
    pub fn cleaned_to(&self) -> Option<Offset> {
        self.cleaning.cleaned_to
    }

    /// What the checkpoint says. What is not set counts as never cleaned.
    pub fn set_cleaned_to(&mut self, offset: Option<Offset>) {
        self.cleaning.cleaned_to = offset;
    }

    /// Begins a round that does what `dirtiness` has found; `None` if one is running, or there is nothing to do.
    pub fn begin_cleaning(&mut self, dirtiness: &Dirtiness, now_ms: i64) -> Option<Cleaning> {
        if self.cleaning.stop.strong_count() > 0 || self.torn || dirtiness.dirty_bytes == 0 {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        self.cleaning.stop = Arc::downgrade(&stop);
        Some(Cleaning::new(self, dirtiness, stop, now_ms))
    }
}
