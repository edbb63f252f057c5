//! Numbers that look random and follow from a seed: topic ids, and where the replicas of a topic begin.

use dohle_protocol::id::TopicId;
use uuid::Uuid;

/// Two independent SplitMix64 generators, so that ids have the 128 bits of the seed and not 64.
pub(super) struct Random {
    high: u64,
    low: u64,
}

impl Random {
    pub(super) fn new(seed: u128) -> Random {
        Random {
            high: (seed >> 64) as u64,
            low: seed as u64,
        }
    }

    /// A number below `bound`, which is not zero.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (split_mix(&mut self.low) % bound as u64) as usize
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// Not an id that looks like an option on a command line.
    pub(super) fn topic_id(&mut self) -> TopicId {
        loop {
            let bits = u128::from(split_mix(&mut self.high)) << 64 | u128::from(split_mix(&mut self.low));
            let id = TopicId(uuid::Builder::from_random_bytes(Uuid::from_u128(bits).into_bytes()).into_uuid());
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }
}

fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
