//! The last offset of each key, in bounded memory.

use std::hash::{BuildHasher, RandomState};

use dohle_protocol::id::Offset;

use super::CleanerLimits;

/// Bytes per key.
const SLOT_BYTES: usize = 24;

/// An open hash table. A key is remembered as two hashes of 64 bits with secret seeds, so that two keys are taken for one only by an accident
/// that nobody can bring about.
#[derive(Debug)]
pub(crate) struct Keys {
    /// Hash and offset plus one; all zeros is free. Untouched slots cost no memory.
    slots: Vec<[u64; 3]>,
    keys: usize,
    keys_max: usize,
    seeds: [RandomState; 2],
    /// All keys below this offset have been taken in.
    end: Offset,
}

impl Keys {
    /// A table for the keys from `begin` on, of which there are no more than `keys_expected`.
    pub(crate) fn new(limits: CleanerLimits, begin: Offset, keys_expected: u64) -> Keys {
        let load_factor = limits.load_factor.clamp(0.01, 1.0);
        let slots_max = (limits.key_bytes_max / SLOT_BYTES).max(1);
        let slots_wanted = (keys_expected as f64 / load_factor) as usize;
        let slots = slots_max.min(slots_wanted.saturating_add(1));
        Keys {
            slots: vec![[0; 3]; slots],
            keys: 0,
            // One slot stays free, where a search ends.
            keys_max: ((slots as f64 * load_factor) as usize).min(slots - 1),
            seeds: [RandomState::new(), RandomState::new()],
            end: begin,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    pub(crate) fn keys_max(&self) -> usize {
        self.keys_max
    }

    /// Everything below has been taken in.
    pub(crate) fn end(&self) -> Offset {
        self.end
    }

    pub(crate) fn advance(&mut self, end: Offset) {
        self.end = self.end.max(end);
    }

    /// Notes the last record of a key. False if there is no room for another key.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let at = self.find(hash);
        if self.slots[at][2] == 0 {
            if self.keys == self.keys_max {
                return false;
            }
            self.keys += 1;
        }
        self.slots[at] = [hash[0], hash[1], offset.0 as u64 + 1];
        true
    }

    /// Offset of the last record that is known of a key.
    pub(crate) fn last(&self, key: &[u8]) -> Option<Offset> {
        let slot = self.slots[self.find(self.hash(key))];
        slot[2].checked_sub(1).map(|offset| Offset(offset as i64))
    }

    fn hash(&self, key: &[u8]) -> [u64; 2] {
        [self.seeds[0].hash_one(key), self.seeds[1].hash_one(key)]
    }

    /// The slot of a key, or the free one where it would be.
    fn find(&self, hash: [u64; 2]) -> usize {
        let mut at = ((u128::from(hash[0]) * self.slots.len() as u128) >> 64) as usize;
        loop {
            let slot = &self.slots[at];
            if slot[2] == 0 || slot[..2] == hash {
                return at;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(key_bytes_max: usize, load_factor: f64) -> CleanerLimits {
        CleanerLimits {
            key_bytes_max,
            load_factor,
        }
    }

    #[test]
    fn the_last_offset_of_each_key_is_remembered() {
        let mut keys = Keys::new(limits(1 << 20, 0.9), Offset(0), 3000);
        for offset in 0..3000i64 {
            assert!(keys.put(&(offset % 1000).to_be_bytes(), Offset(offset)));
        }
        assert_eq!(keys.len(), 1000);
        for key in 0..1000i64 {
            assert_eq!(keys.last(&key.to_be_bytes()), Some(Offset(2000 + key)));
        }
        assert_eq!(keys.last(b"no such key"), None);
        assert!(keys.put(b"", Offset(0)));
        assert_eq!(keys.last(b""), Some(Offset(0)));
    }

    #[test]
    fn memory_is_bounded_and_a_known_key_always_fits() {
        let mut keys = Keys::new(limits(24 * 100, 0.5), Offset(0), u64::MAX);
        let taken = (0..1000i64).take_while(|key| keys.put(&key.to_be_bytes(), Offset(*key))).count();
        assert_eq!((taken, keys.slots.len()), (50, 100));
        assert!(keys.put(&0i64.to_be_bytes(), Offset(2000)));
        assert_eq!(keys.last(&0i64.to_be_bytes()), Some(Offset(2000)));
        assert_eq!(
            Keys::new(limits(1 << 30, 0.9), Offset(0), 9).slots.len(),
            11,
            "no more than is needed"
        );
    }

    #[test]
    fn a_full_table_still_ends_every_search() {
        let mut keys = Keys::new(limits(24 * 4, 1.0), Offset(0), 100);
        let taken = (0..10i64).filter(|key| keys.put(&key.to_be_bytes(), Offset(*key))).count();
        assert_eq!(taken, 3);
        assert_eq!(keys.last(b"unknown"), None);
    }
}
