//! One incremental fetch session (KIP-227): the partitions that a client reads, and what it was last told about each.

use std::collections::BTreeMap;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::TopicId;
use dohle_protocol::messages::fetch::PartitionData;

/// A topic as the client names it: by name up to version 12, by id from then on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum TopicRef {
    Name(String),
    Id(TopicId),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionKey {
    pub topic: TopicRef,
    pub partition: i32,
}

/// What a client wants of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchPartition {
    pub key: PartitionKey,
    pub fetch_offset: i64,
    pub partition_max_bytes: i32,
    pub current_leader_epoch: i32,
    pub last_fetched_epoch: i32,
    /// Where the log of a follower begins; -1 for consumers.
    pub log_start_offset: i64,
}

#[derive(Debug)]
struct Remembered {
    wanted: FetchPartition,
    high_watermark: i64,
    log_start_offset: i64,
}

impl Remembered {
    /// Nothing told yet: whatever is answered first is news.
    fn new(wanted: FetchPartition) -> Remembered {
        Remembered {
            wanted,
            high_watermark: -1,
            log_start_offset: -1,
        }
    }

    /// Notes what the client is about to be told; true if that is news to it.
    fn learn(&mut self, answer: &PartitionData) -> bool {
        let failed = answer.error_code != ErrorCode::None.code();
        let is_news = failed
            || has_records(answer)
            || self.high_watermark != answer.high_watermark
            || self.log_start_offset != answer.log_start_offset
            || answer.preferred_read_replica >= 0
            || answer.diverging_epoch.epoch >= 0;
        // After an error the next answer without one is news, even if nothing else has changed.
        self.high_watermark = if failed { -1 } else { answer.high_watermark };
        self.log_start_offset = answer.log_start_offset;
        is_news
    }
}

fn has_records(answer: &PartitionData) -> bool {
    answer.records.as_ref().is_some_and(|records| !records.is_empty())
}

#[derive(Debug)]
pub(crate) struct FetchSession {
    /// The epoch that the next request must carry.
    pub(crate) epoch: i32,
    pub(crate) uses_topic_ids: bool,
    pub(crate) is_follower: bool,
    pub(crate) last_used_ms: i64,
    /// In the order in which they are served: whoever got records goes to the end.
    partitions: BTreeMap<u64, Remembered>,
    places: BTreeMap<PartitionKey, u64>,
    next_place: u64,
}

impl FetchSession {
    pub(crate) fn new(uses_topic_ids: bool, is_follower: bool, now_ms: i64) -> FetchSession {
        let (partitions, places) = (BTreeMap::new(), BTreeMap::new());
        FetchSession {
            epoch: 1,
            uses_topic_ids,
            is_follower,
            last_used_ms: now_ms,
            partitions,
            places,
            next_place: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Adds a partition, or changes what is wanted of one.
    pub(crate) fn want(&mut self, wanted: FetchPartition) {
        if let Some(place) = self.places.get(&wanted.key) {
            self.at(*place).wanted = wanted;
        } else {
            self.append(Remembered::new(wanted));
        }
    }

    pub(crate) fn forget(&mut self, key: &PartitionKey) {
        if let Some(place) = self.places.remove(key) {
            self.partitions.remove(&place);
        }
    }

    pub(crate) fn wanted(&self) -> Vec<FetchPartition> {
        self.partitions.values().map(|remembered| remembered.wanted.clone()).collect()
    }

    /// Notes the answer for a partition; true if it has to be sent.
    pub(crate) fn learn(&mut self, key: &PartitionKey, answer: &PartitionData) -> bool {
        // It may have been forgotten by a later request of an impatient client: that is not an error, and the answer does no harm.
        let Some(&place) = self.places.get(key) else { return true };
        let is_news = self.at(place).learn(answer);
        if has_records(answer)
            && let Some(remembered) = self.partitions.remove(&place)
        {
            self.append(remembered);
        }
        is_news
    }

    pub(crate) fn advance_epoch(&mut self) {
        // 0 opens a session and -1 means none, so the number after the largest is 1.
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
    }

    fn append(&mut self, remembered: Remembered) {
        self.places.insert(remembered.wanted.key.clone(), self.next_place);
        self.partitions.insert(self.next_place, remembered);
        self.next_place += 1;
    }

    fn at(&mut self, place: u64) -> &mut Remembered {
        self.partitions.get_mut(&place).expect("every place holds a partition")
    }
}
