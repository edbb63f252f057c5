//! The producer state of a log, from its newest snapshot and the batches after it.

use std::io;
use std::sync::Arc;

use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::id::Offset;

use crate::file_name;
use crate::partition_log::PartitionLog;
use crate::producer_snapshot;
use crate::producer_state::ProducerState;
use crate::retention;
use crate::scan::{Scan, ScanError};

/// What is to be read again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay {
    /// No snapshot beyond this offset is trusted; what they hold is removed.
    pub(crate) snapshots_up_to: Offset,
    /// The transaction indexes of the segments from this one on are empty, and to be filled.
    pub(crate) txn_index_from: Option<Offset>,
    /// Without any snapshot, there were no producers: the log was closed in order.
    pub(crate) trust_absence: bool,
}

impl PartitionLog {
    /// Writes the state at the end of the log, which is `offset`, unless that has been done.
    pub(crate) fn write_snapshot(&mut self, offset: Offset) -> io::Result<()> {
        if self.newest_snapshot == Some(offset) {
            return Ok(());
        }
        self.disk.write(
            &self.path(offset, file_name::SNAPSHOT),
            &producer_snapshot::encode(&self.producers.to_snapshot()),
        )?;
        self.newest_snapshot = Some(offset);
        Ok(())
    }

    /// Offsets of the snapshots in the directory, rising.
    fn snapshots(&self) -> io::Result<Vec<Offset>> {
        let names = self.disk.list(&self.dir)?.into_iter().map(|entry| entry.name);
        let mut offsets: Vec<Offset> = names
            .filter_map(|name| {
                file_name::parse(&name)
                    .filter(|(_, extension)| *extension == file_name::SNAPSHOT)
                    .map(|(at, _)| at)
            })
            .collect();
        offsets.sort_unstable();
        Ok(offsets)
    }

    pub(crate) fn remove_snapshots_above(&mut self, offset: Offset) -> io::Result<()> {
        for snapshot in self.snapshots()?.into_iter().filter(|snapshot| *snapshot > offset) {
            retention::remove(&*self.disk, &self.path(snapshot, file_name::SNAPSHOT));
        }
        Ok(())
    }

    /// After a truncation: the state at the end of the log that is left.
    pub(crate) fn reload_producers(&mut self) -> io::Result<()> {
        if self.producers.is_empty() && self.newest_snapshot.is_none() {
            return Ok(());
        }
        let snapshots = self.snapshots()?;
        self.load_producers(
            &snapshots,
            Replay {
                snapshots_up_to: self.log_end,
                txn_index_from: None,
                trust_absence: false,
            },
        )
    }

    /// Reads the newest snapshot that can be used, and the batches after it. Snapshots that are damaged, beyond the limit or of no use for
    /// the next start are removed.
    pub(crate) fn load_producers(&mut self, snapshots: &[Offset], replay: Replay) -> io::Result<()> {
        self.producers = ProducerState::default();
        let newest_usable = replay
            .txn_index_from
            .map_or(replay.snapshots_up_to, |from| from.min(replay.snapshots_up_to));
        let mut from = None;
        for &snapshot in snapshots.iter().rev() {
            let path = self.path(snapshot, file_name::SNAPSHOT);
            let is_segment_start = self
                .segments
                .binary_search_by_key(&snapshot, |segment| segment.base_offset())
                .is_ok();
            if snapshot > replay.snapshots_up_to {
                retention::remove(&*self.disk, &path);
            } else if from.is_some() {
                // Older than the one in use; kept where a truncation could need it.
                if !is_segment_start {
                    retention::remove(&*self.disk, &path);
                }
            } else if snapshot <= newest_usable {
                match producer_snapshot::decode(&self.disk.read(&path)?) {
                    Ok(entries) => {
                        self.producers = ProducerState::from_snapshot(&entries, self.seen_ms);
                        from = Some(snapshot);
                    }
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "dropping a producer snapshot; the log is read instead");
                        retention::remove(&*self.disk, &path);
                    }
                }
            }
        }
        self.newest_snapshot = from;
        if from.is_none() && snapshots.is_empty() && replay.trust_absence {
            return Ok(());
        }
        self.replay(from.unwrap_or(self.log_start), replay.txn_index_from)
    }

    /// Takes the batches from `from` on into the producer state, and aborted transactions into the indexes that want them.
    fn replay(&mut self, from: Offset, txn_index_from: Option<Offset>) -> io::Result<()> {
        let first = self
            .segments
            .partition_point(|segment| segment.base_offset() <= from)
            .saturating_sub(1);
        for segment in Arc::clone(&self.segments).iter().skip(first) {
            let position = if segment.base_offset() < from {
                segment.lookup(from)?.position
            } else {
                0
            };
            let mut scan = Scan::new(&**segment.log(), position, segment.size(), segment.base_offset());
            let fill_index = txn_index_from.is_some_and(|from| segment.base_offset() >= from);
            loop {
                let batch = match scan.next_batch() {
                    Ok(Some((_, batch))) => batch,
                    Ok(None) => break,
                    Err(ScanError::Io(error)) => return Err(error),
                    Err(error) => {
                        tracing::error!(dir = %self.dir.display(), %error, "a segment is damaged; its producers are not known from there on");
                        break;
                    }
                };
                if batch.header.base_offset < from || !batch.header.has_producer_id() {
                    continue;
                }
                // A damaged marker ends nothing; who reads it is told.
                let marker = EndTxnMarker::from_batch(&batch).ok().flatten();
                if let Some(aborted) = self.note_producer(&batch.header, marker.as_ref(), self.seen_ms)
                    && fill_index
                {
                    segment.aborted().append(aborted)?;
                }
            }
        }
        Ok(())
    }
}
