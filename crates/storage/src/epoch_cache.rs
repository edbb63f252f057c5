//! Which leader epoch began at which offset: how replicas find where their logs part.

use std::fmt::Write as _;

use dohle_protocol::id::{LeaderEpoch, Offset};

/// The offset at which a leader epoch began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochStart {
    pub epoch: LeaderEpoch,
    pub start_offset: Offset,
}

/// The end of a leader epoch in this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEnd {
    pub epoch: LeaderEpoch,
    pub end_offset: Offset,
}

impl EpochEnd {
    /// Nothing is known about the epoch that was asked for.
    pub const UNKNOWN: EpochEnd = EpochEnd {
        epoch: LeaderEpoch::NONE,
        end_offset: Offset::NONE,
    };
}

/// A `leader-epoch-checkpoint` file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the leader epoch checkpoint: {reason}")]
pub struct EpochCheckpointError {
    pub line: usize,
    pub reason: &'static str,
}

/// The epochs of one log, both epochs and offsets rising.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EpochCache {
    entries: Vec<EpochStart>,
}

impl EpochCache {
    pub fn entries(&self) -> &[EpochStart] {
        &self.entries
    }

    pub fn latest(&self) -> Option<EpochStart> {
        self.entries.last().copied()
    }

    /// Notes that the batch at `start_offset` is of `epoch`; true if that is news, and the checkpoint has to be written. What contradicts
    /// the new entry is dropped.
    pub fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch.0 < 0 || start_offset.0 < 0 {
            return false;
        }
        if self
            .latest()
            .is_some_and(|latest| latest.epoch == epoch && latest.start_offset <= start_offset)
        {
            return false;
        }
        let kept = self
            .entries
            .iter()
            .rposition(|entry| entry.epoch < epoch && entry.start_offset < start_offset)
            .map_or(0, |last| last + 1);
        self.entries.truncate(kept);
        self.entries.push(EpochStart { epoch, start_offset });
        true
    }

    /// Where the largest epoch not above `epoch` ends in a log that ends at `log_end`.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> EpochEnd {
        if epoch.0 < 0 {
            return EpochEnd::UNKNOWN;
        }
        let above = self.entries.partition_point(|entry| entry.epoch <= epoch);
        let floor = above.checked_sub(1).map(|index| self.entries[index].epoch);
        match (floor, self.entries.get(above)) {
            // All that is left of the log is newer: it ends before it begins here.
            (None, Some(next)) => EpochEnd {
                epoch,
                end_offset: next.start_offset,
            },
            (Some(floor), Some(next)) => EpochEnd {
                epoch: floor,
                end_offset: next.start_offset,
            },
            (Some(floor), None) if floor == epoch => EpochEnd {
                epoch,
                end_offset: log_end,
            },
            _ => EpochEnd::UNKNOWN,
        }
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|entry| entry.start_offset <= offset);
        after.checked_sub(1).map(|index| self.entries[index].epoch)
    }

    /// The log now ends at `end_offset`; true if entries went.
    pub fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let kept = self.entries.partition_point(|entry| entry.start_offset < end_offset);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// The log now begins at `start_offset`, and so does the epoch that it is in; true if something changed.
    pub fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let begun = self.entries.partition_point(|entry| entry.start_offset <= start_offset);
        let Some(first) = begun.checked_sub(1) else { return false };
        let changed = first > 0 || self.entries[0].start_offset != start_offset;
        self.entries.drain(..first);
        self.entries[0].start_offset = start_offset;
        changed
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// The text of the `leader-epoch-checkpoint` file: version 0, the number of entries, one entry per line.
    pub fn to_checkpoint(&self) -> String {
        let mut text = format!("0\n{}\n", self.entries.len());
        for entry in &self.entries {
            writeln!(text, "{} {}", entry.epoch, entry.start_offset).expect("a string takes all that is written");
        }
        text
    }

    pub fn from_checkpoint(text: &str) -> Result<EpochCache, EpochCheckpointError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let mut next = |reason| lines.next().ok_or(EpochCheckpointError { line: 0, reason });
        let (line, version) = next("the file is empty")?;
        if version != "0" {
            return Err(EpochCheckpointError {
                line,
                reason: "unknown version",
            });
        }
        let (line, count) = next("the number of entries is missing")?;
        let count: usize = count.parse().map_err(|_| EpochCheckpointError {
            line,
            reason: "the number of entries is not a number",
        })?;
        let mut cache = EpochCache::default();
        for _ in 0..count {
            let (line, entry) = next("entries are missing")?;
            let invalid = |reason| EpochCheckpointError { line, reason };
            let (epoch, offset) = entry.split_once(' ').ok_or(invalid("not an epoch and an offset"))?;
            let epoch = LeaderEpoch(epoch.parse().map_err(|_| invalid("the epoch is not a number"))?);
            let offset = Offset(offset.parse().map_err(|_| invalid("the offset is not a number"))?);
            let rises = cache
                .latest()
                .is_none_or(|latest| latest.epoch < epoch && latest.start_offset < offset);
            if epoch.0 < 0 || offset.0 < 0 || !rises {
                return Err(invalid("epochs and offsets do not rise"));
            }
            cache.entries.push(EpochStart {
                epoch,
                start_offset: offset,
            });
        }
        match lines.find(|(_, line)| !line.is_empty()) {
            Some((line, _)) => Err(EpochCheckpointError {
                line,
                reason: "more entries than announced",
            }),
            None => Ok(cache),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(entries: &[(i32, i64)]) -> EpochCache {
        let mut cache = EpochCache::default();
        for &(epoch, offset) in entries {
            assert!(cache.assign(LeaderEpoch(epoch), Offset(offset)));
        }
        cache
    }

    fn pairs(cache: &EpochCache) -> Vec<(i32, i64)> {
        cache.entries().iter().map(|entry| (entry.epoch.0, entry.start_offset.0)).collect()
    }

    #[test]
    fn trap_38_the_end_of_an_epoch_is_the_start_of_the_next() {
        let cache = cache(&[(2, 10), (4, 20), (7, 50)]);
        let end = |epoch| {
            let end = cache.end_offset_for(LeaderEpoch(epoch), Offset(60));
            (end.epoch.0, end.end_offset.0)
        };
        assert_eq!(
            [end(2), end(3), end(4), end(6), end(7)],
            [(2, 20), (2, 20), (4, 50), (4, 50), (7, 60)]
        );
        assert_eq!(end(1), (1, 10), "older than all that is kept");
        assert_eq!(end(8), (-1, -1), "newer than anything known");
        assert_eq!(end(-1), (-1, -1));
        assert_eq!(EpochCache::default().end_offset_for(LeaderEpoch(0), Offset(5)), EpochEnd::UNKNOWN);
    }

    #[test]
    fn assigning_keeps_epochs_and_offsets_rising() {
        let mut cache = cache(&[(1, 0), (3, 10), (5, 20)]);
        assert!(!cache.assign(LeaderEpoch(5), Offset(30)), "the same epoch goes on");
        assert!(!cache.assign(LeaderEpoch(-1), Offset(30)));
        assert!(
            cache.assign(LeaderEpoch(6), Offset(10)),
            "epochs 3 and 5 wrote nothing that is left"
        );
        assert_eq!(pairs(&cache), [(1, 0), (6, 10)]);
        assert!(
            cache.assign(LeaderEpoch(4), Offset(15)),
            "an older epoch after a newer one replaces it"
        );
        assert_eq!(pairs(&cache), [(1, 0), (4, 15)]);
    }

    #[test]
    fn truncation_moves_or_drops_entries() {
        let mut cache = cache(&[(1, 0), (3, 10), (5, 20)]);
        assert!(!cache.truncate_from_end(Offset(21)));
        assert!(cache.truncate_from_end(Offset(20)));
        assert_eq!(pairs(&cache), [(1, 0), (3, 10)]);
        assert!(cache.truncate_from_start(Offset(6)));
        assert_eq!(pairs(&cache), [(1, 6), (3, 10)]);
        assert!(!cache.truncate_from_start(Offset(6)) && !cache.truncate_from_start(Offset(2)));
        assert!(cache.truncate_from_start(Offset(10)));
        assert_eq!(pairs(&cache), [(3, 10)]);
        assert!(cache.truncate_from_start(Offset(99)));
        assert_eq!(pairs(&cache), [(3, 99)]);
        assert_eq!(
            (cache.epoch_at(Offset(98)), cache.epoch_at(Offset(99))),
            (None, Some(LeaderEpoch(3)))
        );
        assert!(cache.truncate_from_end(Offset(0)));
        assert_eq!(cache.latest(), None);
    }

    #[test]
    fn the_checkpoint_is_kafkas_text() {
        let cache = cache(&[(0, 0), (3, 1_000_000_000_000)]);
        assert_eq!(cache.to_checkpoint(), "0\n2\n0 0\n3 1000000000000\n");
        assert_eq!(EpochCache::from_checkpoint(&cache.to_checkpoint()), Ok(cache));
        assert_eq!(EpochCache::from_checkpoint("0\n0\n"), Ok(EpochCache::default()));
    }

    #[test]
    fn d4_a_garbage_checkpoint_is_refused() {
        for text in [
            "",
            "1\n0\n",
            "0\n",
            "0\nx\n",
            "0\n2\n0 0\n",
            "0\n1\n0\n",
            "0\n1\n0 -5\n",
            "0\n2\n3 5\n2 9\n",
            "0\n1\n0 0\n1 1\n",
            "\0\0\0",
        ] {
            assert!(EpochCache::from_checkpoint(text).is_err(), "{text:?}");
        }
    }
}
