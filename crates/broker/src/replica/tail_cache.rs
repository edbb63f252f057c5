//! The last batches of a partition, as they were written: who reads at the end of a log, reads no file.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use dohle_protocol::id::Offset;

use crate::limits;

/// Bytes in the tail caches of all partitions together.
#[derive(Debug, Default)]
pub(crate) struct TailBudget {
    used: AtomicUsize,
}

#[derive(Debug)]
struct CachedBatch {
    base: Offset,
    next: Offset,
    bytes: Bytes,
}

/// Batches without a gap between them, up to the last that was appended.
#[derive(Debug)]
pub(crate) struct TailCache {
    budget: Arc<TailBudget>,
    batches: VecDeque<CachedBatch>,
    bytes: usize,
}

/// Whole batches, never none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TailRead {
    pub(crate) records: Bytes,
    pub(crate) next_offset: Offset,
}

impl TailCache {
    pub(crate) fn new(budget: Arc<TailBudget>) -> TailCache {
        TailCache {
            budget,
            batches: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Takes a batch in. `bytes` may be part of a request of `request_bytes`, which it would keep in memory: a small part is copied.
    pub(crate) fn push(&mut self, base: Offset, next: Offset, bytes: Bytes, request_bytes: usize) {
        if self.batches.back().is_some_and(|last| last.next != base) {
            self.clear();
        }
        let bytes = if bytes.len() < request_bytes / 2 {
            Bytes::copy_from_slice(&bytes)
        } else {
            bytes
        };
        self.bytes += bytes.len();
        let mut used = self.budget.used.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
        self.batches.push_back(CachedBatch { base, next, bytes });
        while (self.bytes > limits::TAIL_CACHE_BYTES_PER_PARTITION || used > limits::TAIL_CACHE_BYTES)
            && let Some(oldest) = self.batches.pop_front()
        {
            self.bytes -= oldest.bytes.len();
            used = self.budget.used.fetch_sub(oldest.bytes.len(), Ordering::Relaxed) - oldest.bytes.len();
        }
    }

    /// The batch that contains `offset` and those that follow it, as far as `bytes_max` and `upper_bound` allow; the first one in any case
    /// if `min_one_batch`. `None`: the files have to be read.
    pub(crate) fn read(&self, offset: Offset, upper_bound: Offset, bytes_max: usize, min_one_batch: bool) -> Option<TailRead> {
        let first = self.batches.partition_point(|batch| batch.next <= offset);
        if self.batches.get(first)?.base > offset {
            return None;
        }
        let mut bytes = 0;
        let fitting = self.batches.range(first..).take_while(|batch| {
            let fits = bytes + batch.bytes.len() <= bytes_max || (bytes == 0 && min_one_batch);
            bytes += batch.bytes.len();
            fits && batch.next <= upper_bound
        });
        let count = fitting.count();
        let last = self.batches.get((first + count).checked_sub(1).filter(|_| count > 0)?)?;
        let records = match count {
            1 => last.bytes.clone(),
            _ => {
                let mut together = BytesMut::with_capacity(bytes);
                self.batches
                    .range(first..first + count)
                    .for_each(|batch| together.extend_from_slice(&batch.bytes));
                together.freeze()
            }
        };
        Some(TailRead {
            records,
            next_offset: last.next,
        })
    }

    pub(crate) fn clear(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        self.batches = VecDeque::new();
        self.bytes = 0;
    }
}

impl Drop for TailCache {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(batches: &[(i64, i64, &'static str)]) -> TailCache {
        let mut cache = TailCache::new(Arc::default());
        for (base, next, bytes) in batches {
            cache.push(Offset(*base), Offset(*next), Bytes::from_static(bytes.as_bytes()), 0);
        }
        cache
    }

    fn read(cache: &TailCache, offset: i64, upper_bound: i64, bytes_max: usize, min_one_batch: bool) -> Option<(String, i64)> {
        let read = cache.read(Offset(offset), Offset(upper_bound), bytes_max, min_one_batch)?;
        Some((String::from_utf8(read.records.to_vec()).unwrap(), read.next_offset.0))
    }

    #[test]
    fn whole_batches_from_the_one_that_contains_the_offset() {
        let cache = cache(&[(10, 13, "aaa"), (13, 14, "b"), (14, 20, "cccc")]);
        assert_eq!(read(&cache, 12, 20, 100, false), Some(("aaabcccc".to_string(), 20)));
        assert_eq!(read(&cache, 13, 20, 100, false), Some(("bcccc".to_string(), 20)));
        assert_eq!(read(&cache, 10, 20, 4, false), Some(("aaab".to_string(), 14)));
        assert_eq!(
            read(&cache, 10, 14, 100, false),
            Some(("aaab".to_string(), 14)),
            "bounded by the high watermark"
        );
        assert_eq!(read(&cache, 14, 20, 1, true), Some(("cccc".to_string(), 20)));
        assert_eq!(read(&cache, 14, 20, 1, false), None);
        assert_eq!(read(&cache, 9, 20, 100, true), None, "older than what is cached");
        assert_eq!(read(&cache, 20, 20, 100, true), None);
        assert_eq!(read(&cache, 14, 14, 100, true), None);
    }

    #[test]
    fn a_gap_empties_the_cache() {
        let mut cache = cache(&[(10, 13, "aaa")]);
        cache.push(Offset(15), Offset(16), Bytes::from_static(b"d"), 0);
        assert_eq!(read(&cache, 10, 20, 100, true), None);
        assert_eq!(read(&cache, 15, 20, 100, true), Some(("d".to_string(), 16)));
    }

    #[test]
    fn the_oldest_batches_make_room_and_the_budget_is_given_back() {
        let mut cache = cache(&[]);
        let budget = Arc::clone(&cache.budget);
        let piece = Bytes::from(vec![0; limits::TAIL_CACHE_BYTES_PER_PARTITION / 2]);
        for offset in 0..5 {
            cache.push(Offset(offset), Offset(offset + 1), piece.clone(), 0);
        }
        assert_eq!(cache.batches.len(), 2);
        assert_eq!(budget.used.load(Ordering::Relaxed), 2 * piece.len());
        drop(cache);
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_small_part_of_a_large_request_does_not_keep_it_in_memory() {
        let mut cache = cache(&[]);
        let request = Bytes::from(vec![7; 1000]);
        cache.push(Offset(0), Offset(1), request.slice(..100), 1000);
        cache.push(Offset(1), Offset(2), request.slice(..900), 1000);
        assert_ne!(cache.batches[0].bytes.as_ptr(), request.as_ptr());
        assert_eq!(cache.batches[1].bytes.as_ptr(), request.as_ptr());
    }
}
