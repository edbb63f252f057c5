//! How much of a log waits to be cleaned, and whether it is time.

use dohle_protocol::id::Offset;

use crate::partition_log::{LogError, PartitionLog};
use crate::segment::Segment;

/// What there is to clean in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dirtiness {
    /// Below it, the log was cleaned before.
    pub first_dirty: Offset,
    /// Where the round would end: the beginning of a segment.
    pub end: Offset,
    /// Bytes of the segments below the first dirty offset, and of those from there to the end.
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    /// For how long a dirty record has been older than `max.compaction.lag.ms`; negative: how long until then. `None` = no dirty segment.
    pub overdue_ms: Option<i64>,
    /// How long the segment that is too young for now has to wait for `min.compaction.lag.ms` to be over.
    pub ripe_in_ms: Option<i64>,
    /// A closed segment is not durable, not replicated, or holds an open transaction: worth a look before long.
    pub is_held_up: bool,
}

impl Dirtiness {
    /// The part that is dirty.
    pub fn ratio(&self) -> f64 {
        match self.clean_bytes + self.dirty_bytes {
            0 => 0.0,
            all => self.dirty_bytes as f64 / all as f64,
        }
    }

    pub fn is_overdue(&self) -> bool {
        self.dirty_bytes > 0 && self.overdue_ms.is_some_and(|overdue_ms| overdue_ms > 0)
    }
}

impl PartitionLog {
    /// Looks at the closed segments; no transaction is undecided below `last_stable_offset`.
    pub fn dirtiness(&self, last_stable_offset: Offset, now_ms: i64) -> Result<Dirtiness, LogError> {
        let first_dirty = match self.cleaning.cleaned_to {
            Some(offset) if (self.log_start..=self.log_end).contains(&offset) => offset,
            _ => self.log_start,
        };
        // What is removed must have been replaced by something that a power cut does not take away.
        let bound = last_stable_offset.min(self.durability.synced);
        let (min_lag_ms, max_lag_ms) = (self.config.min_compaction_lag_ms, self.config.max_compaction_lag_ms);
        let mut found = Dirtiness {
            first_dirty,
            end: self.segments[0].base_offset(),
            clean_bytes: 0,
            dirty_bytes: 0,
            overdue_ms: None,
            ripe_in_ms: None,
            is_held_up: false,
        };
        let mut is_open = true;
        for pair in self.segments.windows(2) {
            let (segment, next) = (&pair[0], pair[1].base_offset());
            let is_dirty = next > first_dirty;
            if is_dirty && let Some(first) = self.of_segment(segment, Segment::first_timestamp)? {
                let overdue_ms = now_ms.saturating_sub(first).saturating_sub(max_lag_ms);
                found.overdue_ms = Some(found.overdue_ms.map_or(overdue_ms, |most| most.max(overdue_ms)));
            }
            if is_open && next > bound {
                is_open = false;
                found.is_held_up = true;
            }
            if is_open && is_dirty && min_lag_ms > 0 {
                let newest = self.of_segment(segment, Segment::newest)?.map_or(0, |(timestamp, _)| timestamp);
                let ripe_in_ms = newest.saturating_add(min_lag_ms).saturating_sub(now_ms);
                if ripe_in_ms > 0 {
                    is_open = false;
                    found.ripe_in_ms = Some(ripe_in_ms);
                }
            }
            if !is_open {
                continue;
            }
            found.end = next;
            *if is_dirty { &mut found.dirty_bytes } else { &mut found.clean_bytes } += segment.size();
        }
        Ok(found)
    }

    fn of_segment<T>(&self, segment: &Segment, read: impl FnOnce(&Segment) -> std::io::Result<T>) -> Result<T, LogError> {
        read(segment).map_err(|source| self.error("reading", source))
    }
}
