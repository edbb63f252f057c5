//! Which partition a record goes to: by the hash of its key as Java's client does it, or wherever the current batch is.

use rand::RngExt;

use crate::cluster_metadata::Topic;

/// The partition that every client agrees on for this key.
pub fn partition_for_key(key: &[u8], partitions: usize) -> i32 {
    ((murmur2(key) & 0x7fff_ffff) as usize % partitions) as i32
}

/// 32-bit MurmurHash2 with the seed that Kafka's clients share.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (index, &byte) in tail.iter().enumerate() {
            hash ^= u32::from(byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// Records without a key stay with one partition until they fill a batch, then move to another one at random (KIP-480, KIP-794).
#[derive(Debug, Default)]
pub(super) struct StickyPartition {
    current: Option<i32>,
    bytes: usize,
}

impl StickyPartition {
    pub(super) fn next(&mut self, topic: &Topic, record_bytes: usize, batch_bytes: usize) -> i32 {
        let exists = |partition: &i32| topic.partitions.iter().any(|p| p.index == *partition && p.leader >= 0);
        if self.bytes >= batch_bytes.max(1) || !self.current.as_ref().is_some_and(exists) {
            let available: Vec<i32> = topic.partitions.iter().filter(|p| p.leader >= 0).map(|p| p.index).collect();
            // With no leader at all any partition is as good as another.
            let index = |count: usize| rand::rng().random_range(0..count);
            let chosen = if available.is_empty() {
                index(topic.partitions.len()) as i32
            } else {
                available[index(available.len())]
            };
            *self = StickyPartition {
                current: Some(chosen),
                bytes: 0,
            };
        }
        self.bytes += record_bytes;
        self.current.expect("chosen above")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dohle_protocol::error_code::ErrorCode;

    use super::*;
    use crate::cluster_metadata::Partition;

    #[test]
    fn the_hash_is_that_of_java() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
        assert_eq!(partition_for_key(b"foobar", 3), ((-790_332_482i32 & i32::MAX) % 3));
    }

    #[test]
    fn records_without_key_fill_a_batch_before_they_move_on() {
        let partition = |index, leader| Partition {
            index,
            leader,
            leader_epoch: 0,
            replicas: vec![],
            in_sync: vec![],
        };
        let topic = Topic {
            name: Arc::from("t"),
            id: uuid::Uuid::nil(),
            is_internal: false,
            error: ErrorCode::None,
            partitions: vec![partition(0, 1), partition(1, -1), partition(2, 1)],
        };
        let mut sticky = StickyPartition::default();
        let mut used = [0; 3];
        for _ in 0..64 {
            let batch: Vec<i32> = (0..10).map(|_| sticky.next(&topic, 10, 100)).collect();
            assert!(batch.iter().all(|&partition| partition == batch[0]), "{batch:?}");
            used[batch[0] as usize] += 1;
        }
        assert_eq!(used[1], 0, "a partition without leader is not chosen");
        assert!(used[0] > 0 && used[2] > 0);
    }
}
