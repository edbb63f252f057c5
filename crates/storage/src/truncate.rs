//! What is removed from the end of a log: records that the leader does not have, or an uncommitted end of the metadata log.

use std::sync::Arc;

use dohle_protocol::id::Offset;

use crate::partition_log::{LogError, PartitionLog};
use crate::scan::ScanError;
use crate::segment::Segment;

impl PartitionLog {
    /// Removes the batch that contains `offset` and all after it. Returns the new end of the log, which is below `offset` if that was in the
    /// middle of a batch. What was removed may come back after a power cut, until the next sync.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<Offset, LogError> {
        if offset >= self.log_end {
            return Ok(self.log_end);
        }
        if offset <= self.segments[0].base_offset() {
            self.truncate_fully_and_start_at(offset)?;
            return Ok(offset);
        }
        let kept = self.segments.partition_point(|segment| segment.base_offset() < offset);
        self.begin_truncation(offset)?;
        self.remove_segments(kept..self.segments.len(), i64::MIN)?;
        let active = Arc::clone(self.active());
        let end = truncate_segment(&active, offset).map_err(|source| self.error("truncating", source))?;
        active
            .aborted()
            .truncate(end)
            .map_err(|source| self.error("truncating the transaction index of", source))?;
        tracing::info!(dir = %self.dir.display(), from = self.log_end.0, to = end.0, "truncated a log");
        self.log_end = end;
        self.log_start = self.log_start.min(end);
        self.durability.synced = self.durability.synced.min(end);
        if self.epochs.truncate_from_end(end) {
            self.durability.epochs_changed += 1;
        }
        self.reload_producers()
            .map_err(|source| self.error("reading the producers of", source))?;
        Ok(end)
    }

    /// Removes everything; the next record gets `offset`. If that fails nothing can be appended; it may be tried again.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset) -> Result<(), LogError> {
        self.begin_truncation(offset)?;
        self.mark_deleted_segments(0..self.segments.len(), i64::MIN)?;
        // Only now: the file of a new segment may have the name of an old one.
        let segment = Segment::create(&*self.disk, &self.dir, offset, self.config.index_interval_bytes).map_err(|source| {
            self.torn = true;
            self.error("creating a segment in", source)
        })?;
        self.torn = false;
        self.segments = Arc::new(vec![Arc::new(segment)]);
        self.log_start = offset;
        self.log_end = offset;
        self.durability.synced = offset;
        self.durability.epochs_changed += 1;
        self.epochs.clear();
        self.producers.clear();
        self.newest_snapshot = None;
        self.remove_snapshots_above(Offset(-1))
            .map_err(|source| self.error("removing the producer snapshots of", source))
    }

    /// A sync that is running does not speak for what is appended after this; the next one makes the truncation durable.
    fn begin_truncation(&mut self, offset: Offset) -> Result<(), LogError> {
        self.abort_cleaning()?;
        self.cleaning.forget_above(offset);
        self.durability.generation += 1;
        self.durability.names_made += 1;
        self.durability.synced = self.durability.synced.min(offset);
        Ok(())
    }
}

fn truncate_segment(segment: &Segment, offset: Offset) -> std::io::Result<Offset> {
    let truncated = match segment.truncate_to(offset) {
        Err(ScanError::Invalid { .. }) if segment.distrust_indexes()? => segment.truncate_to(offset),
        truncated => truncated,
    };
    truncated.map_err(|error| match error {
        ScanError::Io(error) => error,
        invalid => std::io::Error::new(std::io::ErrorKind::InvalidData, invalid.to_string()),
    })
}
