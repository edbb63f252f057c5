//! What the leader remembers of earlier questions (KIP-227): only what has changed is sent, and only what is new is answered.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic, PartitionData};
use dohle_replication::{EpochEnd, FetchAnswer};

use super::{Key, Question, key};
use crate::limits;
use crate::replica::cell::Cell;

/// The follower's half of a fetch session.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// 0: none.
    id: i32,
    /// 0: the next question opens a session, in the place of the one that there was.
    epoch: i32,
    told: BTreeMap<Key, Told>,
}

#[derive(Debug)]
struct Told {
    asked: FetchPartition,
    /// As they were answered last; -1 unless that was without an error.
    high_watermark: i64,
    log_start: i64,
}

/// The answers to one question about several partitions.
pub(super) struct Answers {
    news: HashMap<Key, PartitionData>,
    /// Of a partition that is not among them there is no news; otherwise it should be there.
    is_incremental: bool,
}

pub(super) enum Answer {
    Decided(FetchAnswer, Bytes),
    /// The leader's log does not hold what was asked for. It has to be asked what it holds.
    OutOfRange,
}

impl Session {
    /// Nobody knows what the leader remembers.
    pub(super) fn forget(&mut self) {
        self.epoch = 0;
    }

    /// The part of a request that is about partitions.
    pub(super) fn ask(&mut self, questions: &[Question]) -> FetchRequest {
        if self.epoch == 0 {
            self.told.clear();
        }
        let mut request = FetchRequest {
            session_id: self.id,
            session_epoch: self.epoch,
            ..FetchRequest::default()
        };
        let asked: BTreeSet<Key> = questions.iter().map(|question| key(&question.cell)).collect();
        for ((topic, partition), _) in self.told.extract_if(.., |key, _| !asked.contains(key)) {
            request.forgotten_topics_data.push(ForgottenTopic {
                topic_id: topic.0,
                partitions: vec![partition.0],
                ..ForgottenTopic::default()
            });
        }
        for question in questions {
            let asked = partition(question);
            let key = key(&question.cell);
            let told = self.told.get_mut(&key);
            match told {
                Some(told) if told.asked == asked => continue,
                Some(told) => told.asked = asked.clone(),
                None => {
                    let told = Told {
                        asked: asked.clone(),
                        high_watermark: -1,
                        log_start: -1,
                    };
                    self.told.insert(key, told);
                }
            }
            add(&mut request.topics, key, asked);
        }
        request
    }

    pub(super) fn answered(&mut self, response: FetchResponse) -> Answers {
        let is_incremental = self.epoch != 0;
        if is_incremental {
            // 0 opens a session, so the number after the largest is 1.
            self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        } else {
            self.id = response.session_id;
            self.epoch = i32::from(self.id != 0);
        }
        let mut news = HashMap::new();
        for topic in response.responses {
            for answer in topic.partitions {
                let key = (TopicId(topic.topic_id), PartitionIndex(answer.partition_index));
                if let Some(told) = self.told.get_mut(&key) {
                    let is_well = answer.error_code == ErrorCode::None.code() && answer.diverging_epoch.epoch < 0;
                    told.high_watermark = if is_well { answer.high_watermark } else { -1 };
                    told.log_start = answer.log_start_offset;
                    news.insert(key, answer);
                }
            }
        }
        Answers { news, is_incremental }
    }

    /// What the leader has to say about one partition.
    pub(super) fn take(&self, answers: &mut Answers, cell: &Cell) -> Answer {
        let failed = Answer::Decided(FetchAnswer::Failed, Bytes::new());
        let records = |high_watermark: i64, log_start: i64| FetchAnswer::Records {
            high_watermark: Offset(high_watermark),
            log_start: Offset(log_start),
        };
        let Some(answer) = answers.news.remove(&key(cell)) else {
            return match self.told.get(&key(cell)).filter(|told| told.high_watermark >= 0) {
                Some(told) if answers.is_incremental => Answer::Decided(records(told.high_watermark, told.log_start), Bytes::new()),
                _ => failed,
            };
        };
        match ErrorCode::from_code(answer.error_code) {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => return Answer::OutOfRange,
            code => {
                tracing::debug!("{}-{}: the leader says {code}", cell.topic, cell.partition.0);
                return failed;
            }
        }
        let diverging = answer.diverging_epoch;
        if diverging.epoch >= 0 {
            let end = EpochEnd {
                epoch: LeaderEpoch(diverging.epoch),
                end_offset: Offset(diverging.end_offset),
            };
            return Answer::Decided(FetchAnswer::Diverging(end), Bytes::new());
        }
        let decided = records(answer.high_watermark, answer.log_start_offset);
        Answer::Decided(decided, answer.records.unwrap_or_default())
    }
}

fn partition(question: &Question) -> FetchPartition {
    let position = question.position;
    FetchPartition {
        partition: question.cell.partition.0,
        current_leader_epoch: position.current_leader_epoch.0,
        fetch_offset: position.offset.0,
        last_fetched_epoch: position.last_fetched_epoch.0,
        log_start_offset: question.log_start.0,
        partition_max_bytes: limits::REPLICA_FETCH_PARTITION_BYTES_MAX,
        ..FetchPartition::default()
    }
}

fn add(topics: &mut Vec<FetchTopic>, (topic_id, _): Key, partition: FetchPartition) {
    match topics.last_mut().filter(|topic| topic.topic_id == topic_id.0) {
        Some(topic) => topic.partitions.push(partition),
        None => topics.push(FetchTopic {
            topic_id: topic_id.0,
            partitions: vec![partition],
            ..FetchTopic::default()
        }),
    }
}
