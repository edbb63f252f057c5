//! Where the last reads of a segment ended: who reads on from there needs no index, and no byte that it does not return.

use dohle_protocol::id::Offset;
use parking_lot::Mutex;

use crate::limits;

/// Where a reader goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadEnd {
    pub(crate) offset: Offset,
    /// Of the batch that begins with `offset`.
    pub(crate) position: u64,
    /// Size of that batch, if its header was among what had been read.
    pub(crate) batch_bytes: Option<usize>,
}

/// The ends of the last reads, each of which one reader takes up. Nothing is allocated for a segment that nobody reads.
#[derive(Debug, Default)]
pub(crate) struct ReadEnds {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The oldest first.
    ends: Vec<ReadEnd>,
    truncations: u64,
}

impl ReadEnds {
    /// To be noted before a read, and given back with its end.
    pub(crate) fn truncations(&self) -> u64 {
        self.state.lock().truncations
    }

    pub(crate) fn find(&self, offset: Offset) -> Option<ReadEnd> {
        let state = self.state.lock();
        state.ends.iter().rev().find(|end| end.offset == offset).copied()
    }

    /// Notes where a read ended that began at `from`. Ignored if something has been cut off the segment since.
    pub(crate) fn note(&self, from: Offset, end: ReadEnd, truncations: u64) {
        let mut state = self.state.lock();
        if state.truncations != truncations {
            return;
        }
        let replaced = state
            .ends
            .iter()
            .position(|known| known.offset == from || known.offset == end.offset);
        if let Some(at) = replaced.or((state.ends.len() == limits::READ_ENDS_MAX).then_some(0)) {
            state.ends.remove(at);
        }
        state.ends.push(end);
    }

    /// The segment is being cut.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        state.ends = Vec::new();
        state.truncations += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(offset: i64) -> ReadEnd {
        ReadEnd {
            offset: Offset(offset),
            position: offset as u64 * 100,
            batch_bytes: None,
        }
    }

    #[test]
    fn a_reader_finds_where_it_was_and_leaves_that_place() {
        let ends = ReadEnds::default();
        ends.note(Offset(0), end(5), ends.truncations());
        assert_eq!(ends.find(Offset(5)), Some(end(5)));
        assert_eq!(ends.find(Offset(4)), None);
        ends.note(Offset(5), end(9), ends.truncations());
        assert_eq!(ends.find(Offset(5)), None, "taken up");
        assert_eq!(ends.find(Offset(9)), Some(end(9)));
    }

    #[test]
    fn the_oldest_end_makes_room() {
        let ends = ReadEnds::default();
        for number in 0..=limits::READ_ENDS_MAX as i64 {
            ends.note(Offset(-1), end(number), ends.truncations());
        }
        assert_eq!(ends.find(Offset(0)), None);
        assert_eq!(ends.find(Offset(1)), Some(end(1)));
    }

    #[test]
    fn a_read_that_a_truncation_overtook_leaves_no_end() {
        let ends = ReadEnds::default();
        let before = ends.truncations();
        ends.forget();
        ends.note(Offset(0), end(5), before);
        assert_eq!(ends.find(Offset(5)), None);
    }
}
