//! An ordered map whose copies share what they have in common.
//!
//! The image of the cluster is copied at every change of the metadata, and there may be many thousands of topics and partitions. The
//! entries lie in sorted chunks behind `Arc`s: a copy costs nothing, the first change after it copies one chunk and the list of chunks,
//! further changes copy nothing that was copied before, and a comparison of two copies skips the chunks they share.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

const CHUNK_ENTRIES_MAX: usize = 128;

type Chunk<K, V> = Arc<Vec<(K, V)>>;

#[derive(Clone)]
pub struct SharedMap<K, V> {
    /// In order, none empty.
    chunks: Arc<Vec<Chunk<K, V>>>,
    len: usize,
}

/// A difference between two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference<'a, K, V> {
    Added(&'a K, &'a V),
    Removed(&'a K, &'a V),
    Changed { key: &'a K, before: &'a V, now: &'a V },
}

impl<K, V> SharedMap<K, V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().map(|(key, value)| (key, value)))
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

impl<K: Ord, V> SharedMap<K, V> {
    /// Where `key` is, or where it would be inserted: the chunk, and the place in it.
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<(usize, usize), (usize, usize)>
    where
        K: Borrow<Q>,
    {
        let after = self.chunks.partition_point(|chunk| chunk[0].0.borrow() <= key);
        let Some(chunk) = after.checked_sub(1) else { return Err((0, 0)) };
        match self.chunks[chunk].binary_search_by(|(candidate, _)| candidate.borrow().cmp(key)) {
            Ok(place) => Ok((chunk, place)),
            Err(place) => Err((chunk, place)),
        }
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|(chunk, place)| &self.chunks[chunk][place].1)
    }

    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    /// In the order of the keys, from `key` (or the one that would follow it) on.
    pub fn iter_from<Q: Ord + ?Sized>(&self, key: &Q) -> impl Iterator<Item = (&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (Ok((chunk, place)) | Err((chunk, place))) = self.find(key);
        let first = self.chunks.get(chunk).map_or(&[][..], |chunk| &chunk[place..]);
        let rest = self.chunks.iter().skip(chunk + 1).flat_map(|chunk| chunk.iter());
        first.iter().chain(rest).map(|(key, value)| (key, value))
    }

    /// What has to happen to this map to make it the `newer` one, in the order of the keys.
    pub fn differences<'a>(&'a self, newer: &'a Self) -> Vec<Difference<'a, K, V>>
    where
        V: PartialEq,
    {
        let mut differences = Vec::new();
        let (mut old, mut new) = (Cursor::new(self), Cursor::new(newer));
        loop {
            if Cursor::skip_shared(&mut old, &mut new) {
                continue;
            }
            match (old.entry(), new.entry()) {
                (None, None) => return differences,
                (Some((key, before)), Some((new_key, now))) if key == new_key => {
                    if before != now {
                        differences.push(Difference::Changed { key, before, now });
                    }
                    old.advance();
                    new.advance();
                }
                (Some((key, value)), following) if following.is_none_or(|(new_key, _)| key.cmp(new_key) == Ordering::Less) => {
                    differences.push(Difference::Removed(key, value));
                    old.advance();
                }
                (_, Some((key, value))) => {
                    differences.push(Difference::Added(key, value));
                    new.advance();
                }
                (Some(_), None) => unreachable!("the arm above takes what only the old map has"),
            }
        }
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (chunk, place) = self.find(key).ok()?;
        Some(&mut self.chunk_mut(chunk)[place].1)
    }

    /// The value that the key had before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let (chunk, place) = match self.find(&key) {
            Ok((chunk, place)) => return Some(std::mem::replace(&mut self.chunk_mut(chunk)[place].1, value)),
            Err(at) => at,
        };
        self.len += 1;
        if self.chunks.is_empty() {
            Arc::make_mut(&mut self.chunks).push(Arc::new(vec![(key, value)]));
        } else if self.chunks[chunk].len() < CHUNK_ENTRIES_MAX {
            self.chunk_mut(chunk).insert(place, (key, value));
        } else {
            self.split_and_insert(chunk, place, (key, value));
        }
        None
    }

    /// Keys often come in order (the partitions of a topic): then the full chunk stays full.
    fn split_and_insert(&mut self, chunk: usize, place: usize, entry: (K, V)) {
        let middle = if place == CHUNK_ENTRIES_MAX { place } else { CHUNK_ENTRIES_MAX / 2 };
        let mut upper = if middle == CHUNK_ENTRIES_MAX {
            Vec::new()
        } else {
            self.chunk_mut(chunk).split_off(middle)
        };
        if place < middle {
            self.chunk_mut(chunk).insert(place, entry);
        } else {
            upper.insert(place - middle, entry);
        }
        Arc::make_mut(&mut self.chunks).insert(chunk + 1, Arc::new(upper));
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (chunk, place) = self.find(key).ok()?;
        let (_, value) = self.chunk_mut(chunk).remove(place);
        if self.chunks[chunk].is_empty() {
            Arc::make_mut(&mut self.chunks).remove(chunk);
        }
        self.len -= 1;
        Some(value)
    }

    fn chunk_mut(&mut self, chunk: usize) -> &mut Vec<(K, V)> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.chunks)[chunk])
    }
}

/// A place in a map, for the comparison of two.
struct Cursor<'a, K, V> {
    chunks: &'a [Chunk<K, V>],
    place: usize,
}

impl<'a, K, V> Cursor<'a, K, V> {
    fn new(map: &'a SharedMap<K, V>) -> Cursor<'a, K, V> {
        Cursor {
            chunks: &map.chunks,
            place: 0,
        }
    }

    fn entry(&self) -> Option<(&'a K, &'a V)> {
        self.chunks.first().map(|chunk| &chunk[self.place]).map(|(key, value)| (key, value))
    }

    fn advance(&mut self) {
        self.place += 1;
        if self.place == self.chunks[0].len() {
            self.chunks = &self.chunks[1..];
            self.place = 0;
        }
    }

    /// Whether both stood at the start of the same chunk, which they leave behind.
    fn skip_shared(old: &mut Self, new: &mut Self) -> bool {
        let (Some(ours), Some(theirs)) = (old.chunks.first(), new.chunks.first()) else {
            return false;
        };
        let shared = old.place == 0 && new.place == 0 && Arc::ptr_eq(ours, theirs);
        if shared {
            old.chunks = &old.chunks[1..];
            new.chunks = &new.chunks[1..];
        }
        shared
    }
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        SharedMap {
            chunks: Arc::default(),
            len: 0,
        }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks) || self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for SharedMap<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn apply(map: &mut SharedMap<u16, u8>, model: &mut BTreeMap<u16, u8>, steps: &[(u16, Option<u8>)]) {
        for &(key, value) in steps {
            match value {
                Some(value) => assert_eq!(map.insert(key, value), model.insert(key, value)),
                None => assert_eq!(map.remove(&key), model.remove(&key)),
            }
        }
        assert!(map.iter().eq(model.iter()));
        assert_eq!(map.len(), model.len());
    }

    fn steps() -> impl Strategy<Value = Vec<(u16, Option<u8>)>> {
        prop::collection::vec((0u16..600, prop::option::weighted(0.7, any::<u8>())), 0..900)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn behaves_like_a_btree_map(first in steps(), second in steps(), probe in 0u16..600) {
            let (mut map, mut model) = (SharedMap::default(), BTreeMap::new());
            apply(&mut map, &mut model, &first);
            let (before, model_before) = (map.clone(), model.clone());
            apply(&mut map, &mut model, &second);

            prop_assert!(before.iter().eq(model_before.iter()), "a copy must not see later changes");
            prop_assert_eq!(map.get(&probe), model.get(&probe));
            prop_assert!(map.iter_from(&probe).eq(model.range(probe..)));
            let mut replayed = model_before;
            for difference in before.differences(&map) {
                match difference {
                    Difference::Added(key, value) => prop_assert_eq!(replayed.insert(*key, *value), None),
                    Difference::Removed(key, value) => prop_assert_eq!(replayed.remove(key), Some(*value)),
                    Difference::Changed { key, before, now } => prop_assert_eq!(replayed.insert(*key, *now), Some(*before)),
                }
            }
            prop_assert_eq!(replayed, model);
        }
    }

    #[test]
    fn keys_in_order_fill_their_chunks() {
        let mut map = SharedMap::default();
        for key in 0..10_000 {
            map.insert(key, ());
        }
        assert_eq!(map.chunks.len(), 10_000_usize.div_ceil(CHUNK_ENTRIES_MAX));
    }

    #[test]
    fn a_change_copies_one_chunk() {
        let mut map: SharedMap<i32, i32> = SharedMap::default();
        for key in 0..10_000 {
            map.insert(key, 0);
        }
        let before = map.clone();
        *map.get_mut(&5_000).unwrap() = 1;
        let copied = before
            .chunks
            .iter()
            .zip(map.chunks.iter())
            .filter(|(old, new)| !Arc::ptr_eq(old, new))
            .count();
        assert_eq!(copied, 1);
    }
}
