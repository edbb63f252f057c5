//! Parked replies, and the event that ends each wait: an offset is reached (produce), or enough bytes became readable (fetch).

use std::collections::{BTreeMap, VecDeque};

use dohle_protocol::id::Offset;

/// Produce replies in the order of the offsets that they wait for.
///
/// Appends happen under the lock of the partition, so offsets are parked in ascending order and what is reached is always a prefix.
#[derive(Debug)]
pub(crate) struct OffsetWaiters<P> {
    parked: VecDeque<(Offset, P)>,
}

impl<P> OffsetWaiters<P> {
    pub(crate) fn new() -> OffsetWaiters<P> {
        OffsetWaiters { parked: VecDeque::new() }
    }

    /// Parks until everything below `end` is acknowledged.
    pub(crate) fn park(&mut self, end: Offset, parked: P) {
        // A duplicate batch is acknowledged at the end of the original: in that case the order has to be made.
        let position = self.parked.partition_point(|(other, _)| *other <= end);
        self.parked.insert(position, (end, parked));
    }

    pub(crate) fn take_reached(&mut self, reached: Offset) -> impl Iterator<Item = P> + '_ {
        let count = self.parked.partition_point(|(end, _)| *end <= reached);
        self.parked.drain(..count).map(|(_, parked)| parked)
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = P> + '_ {
        self.parked.drain(..).map(|(_, parked)| parked)
    }
}

/// A fetch that waits for bytes, possibly of several partitions: it counts them itself.
pub trait ParkedFetch {
    /// More bytes became readable. True once the fetch has enough: it is woken then, and no longer parked here.
    fn on_readable(&self, bytes: u64) -> bool;
}

/// Names a parked fetch, so that it can be taken back when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WaitKey(u64);

/// What a fetch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A higher high watermark.
    Consumer,
    /// A later end of the log.
    Follower,
}

/// Fetches that wait at the end of one partition.
#[derive(Debug)]
pub(crate) struct ByteWaiters<F> {
    parked: BTreeMap<WaitKey, (Reader, F)>,
    next_key: u64,
}

impl<F: ParkedFetch> ByteWaiters<F> {
    pub(crate) fn new() -> ByteWaiters<F> {
        ByteWaiters {
            parked: BTreeMap::new(),
            next_key: 0,
        }
    }

    pub(crate) fn park(&mut self, reader: Reader, parked: F) -> WaitKey {
        let key = WaitKey(self.next_key);
        self.next_key += 1;
        self.parked.insert(key, (reader, parked));
        key
    }

    pub(crate) fn cancel(&mut self, key: WaitKey) {
        self.parked.remove(&key);
    }

    pub(crate) fn take_satisfied(&mut self, reader: Reader, bytes: u64) -> impl Iterator<Item = F> + '_ {
        let is_satisfied = move |(of, parked): &(Reader, F)| *of == reader && parked.on_readable(bytes);
        self.parked
            .extract_if(.., move |_, waiting| is_satisfied(waiting))
            .map(|(_, (_, parked))| parked)
    }

    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = F> + '_ {
        std::mem::take(&mut self.parked).into_values().map(|(_, parked)| parked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn offsets_wake_a_prefix_in_order() {
        let mut waiters = OffsetWaiters::new();
        for (end, name) in [(3, "a"), (5, "b"), (9, "d"), (5, "c")] {
            waiters.park(Offset(end), name);
        }
        assert_eq!(waiters.take_reached(Offset(2)).count(), 0);
        assert_eq!(waiters.take_reached(Offset(8)).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(waiters.take_all().collect::<Vec<_>>(), ["d"]);
    }

    #[derive(Debug)]
    struct Need(Cell<i64>);

    impl ParkedFetch for Need {
        fn on_readable(&self, bytes: u64) -> bool {
            self.0.set(self.0.get() - bytes as i64);
            self.0.get() <= 0
        }
    }

    #[test]
    fn bytes_wake_those_who_have_enough() {
        let mut waiters = ByteWaiters::new();
        waiters.park(Reader::Consumer, Need(Cell::new(10)));
        let cancelled = waiters.park(Reader::Consumer, Need(Cell::new(1)));
        waiters.park(Reader::Consumer, Need(Cell::new(100)));
        assert_eq!(waiters.take_satisfied(Reader::Follower, 1000).count(), 0);
        waiters.cancel(cancelled);
        assert_eq!(waiters.take_satisfied(Reader::Consumer, 9).count(), 0);
        assert_eq!(waiters.take_satisfied(Reader::Consumer, 1).count(), 1);
        assert_eq!(waiters.take_all().map(|need| need.0.get()).collect::<Vec<_>>(), [90]);
    }
}
