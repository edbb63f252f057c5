//! The client's half of a fetch session (KIP-227): after the first request only what changed is named.

use std::collections::BTreeMap;

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic};
use uuid::Uuid;

use crate::cluster_metadata::TopicPartition;
use crate::config::ConsumerConfig;
use crate::error::ClientError;

/// From this version on topics are named by their id.
pub(super) const TOPIC_IDS_SINCE: i16 = 13;

/// A full request that opens a session.
const EPOCH_OPEN: i32 = 0;

/// What is asked of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) topic_id: Uuid,
    pub(super) leader_epoch: i32,
    pub(super) offset: i64,
    pub(super) bytes_max: i32,
}

#[derive(Debug, Default)]
pub(super) struct FetchSession {
    /// 0: none.
    id: i32,
    epoch: i32,
    /// What the server remembers.
    known: BTreeMap<TopicPartition, Wanted>,
}

impl FetchSession {
    pub(super) fn next_request(&mut self, wanted: BTreeMap<TopicPartition, Wanted>, config: &ConsumerConfig) -> FetchRequest {
        let full = self.epoch == EPOCH_OPEN;
        let mut topics: Vec<FetchTopic> = Vec::new();
        for (tp, wanted) in &wanted {
            if full || self.known.get(tp) != Some(wanted) {
                add_partition(&mut topics, tp, wanted);
            }
        }
        let mut forgotten: Vec<ForgottenTopic> = Vec::new();
        if !full {
            for (tp, known) in &self.known {
                // A topic that was created anew is another topic to the server.
                if wanted.get(tp).is_none_or(|wanted| wanted.topic_id != known.topic_id) {
                    forget_partition(&mut forgotten, tp, known.topic_id);
                }
            }
        }
        self.known = wanted;
        FetchRequest {
            max_wait_ms: config.fetch_wait_max.as_millis() as i32,
            min_bytes: config.fetch_bytes_min,
            max_bytes: config.fetch_bytes_max,
            isolation_level: config.isolation.on_the_wire(),
            session_id: self.id,
            session_epoch: self.epoch,
            topics,
            forgotten_topics_data: forgotten,
            rack_id: config.rack.clone(),
            ..Default::default()
        }
    }

    /// Follows what the server made of the session.
    pub(super) fn accept(&mut self, response: &FetchResponse) -> Result<(), ClientError> {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None if response.session_id == 0 => {
                self.id = 0;
                self.epoch = EPOCH_OPEN;
            }
            ErrorCode::None => {
                self.id = response.session_id;
                // After the largest epoch comes 1: 0 opens a session.
                self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
            }
            code @ (ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch | ErrorCode::FetchSessionTopicIdError) => {
                let forgotten = code == ErrorCode::FetchSessionIdNotFound;
                *self = FetchSession {
                    id: if forgotten { 0 } else { self.id },
                    ..FetchSession::default()
                };
                return Err(ClientError::refused(code.code(), None));
            }
            code => {
                self.lose();
                return Err(ClientError::refused(code.code(), None));
            }
        }
        Ok(())
    }

    /// At which offset the last request asked for a partition.
    pub(super) fn offset_asked(&self, tp: &TopicPartition) -> Option<i64> {
        self.known.get(tp).map(|wanted| wanted.offset)
    }

    /// The answer did not arrive: what the server remembers is not known. The next request replaces the session.
    pub(super) fn lose(&mut self) {
        self.epoch = EPOCH_OPEN;
        self.known.clear();
    }
}

fn add_partition(topics: &mut Vec<FetchTopic>, tp: &TopicPartition, wanted: &Wanted) {
    let partition = FetchPartition {
        partition: tp.partition,
        current_leader_epoch: wanted.leader_epoch,
        fetch_offset: wanted.offset,
        partition_max_bytes: wanted.bytes_max,
        ..Default::default()
    };
    match topics.last_mut().filter(|topic| *topic.topic == *tp.topic) {
        Some(topic) => topic.partitions.push(partition),
        None => topics.push(FetchTopic {
            topic: tp.topic.to_string(),
            topic_id: wanted.topic_id,
            partitions: vec![partition],
            ..Default::default()
        }),
    }
}

fn forget_partition(topics: &mut Vec<ForgottenTopic>, tp: &TopicPartition, topic_id: Uuid) {
    match topics.last_mut().filter(|topic| *topic.topic == *tp.topic) {
        Some(topic) => topic.partitions.push(tp.partition),
        None => topics.push(ForgottenTopic {
            topic: tp.topic.to_string(),
            topic_id,
            partitions: vec![tp.partition],
            ..Default::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::properties::Properties;

    fn config() -> ConsumerConfig {
        let mut properties = Properties::default();
        properties.set("bootstrap.servers", "localhost:9092");
        ConsumerConfig::from_properties(&properties).unwrap()
    }

    fn wanted(offsets: &[(i32, i64)]) -> BTreeMap<TopicPartition, Wanted> {
        let wanted = |offset| Wanted {
            topic_id: Uuid::from_u128(7),
            leader_epoch: 0,
            offset,
            bytes_max: 100,
        };
        offsets
            .iter()
            .map(|&(partition, offset)| (TopicPartition::new("t", partition), wanted(offset)))
            .collect()
    }

    fn named(request: &FetchRequest) -> Vec<i32> {
        request
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| partition.partition))
            .collect()
    }

    fn answer(error: ErrorCode, session_id: i32) -> FetchResponse {
        FetchResponse {
            error_code: error.code(),
            session_id,
            ..Default::default()
        }
    }

    #[test]
    fn trap_32_after_the_first_request_only_changes_are_named() {
        let (config, mut session) = (config(), FetchSession::default());
        let first = session.next_request(wanted(&[(0, 0), (1, 0), (2, 0)]), &config);
        assert_eq!((first.session_id, first.session_epoch, named(&first)), (0, 0, vec![0, 1, 2]));
        session.accept(&answer(ErrorCode::None, 42)).unwrap();
        let second = session.next_request(wanted(&[(0, 5), (1, 0)]), &config);
        assert_eq!((second.session_id, second.session_epoch, named(&second)), (42, 1, vec![0]));
        assert_eq!(second.forgotten_topics_data[0].partitions, [2]);
        session.accept(&answer(ErrorCode::None, 42)).unwrap();
        let third = session.next_request(wanted(&[(0, 5), (1, 0)]), &config);
        assert_eq!((third.session_epoch, named(&third)), (2, vec![]));
    }

    #[test]
    fn without_a_session_every_request_is_full() {
        let (config, mut session) = (config(), FetchSession::default());
        for _ in 0..2 {
            let request = session.next_request(wanted(&[(0, 0), (1, 0)]), &config);
            assert_eq!((request.session_id, request.session_epoch, named(&request)), (0, 0, vec![0, 1]));
            session.accept(&answer(ErrorCode::None, 0)).unwrap();
        }
    }

    #[test]
    fn a_lost_session_is_replaced_by_a_full_request() {
        let (config, mut session) = (config(), FetchSession::default());
        for (error, closes) in [(ErrorCode::InvalidFetchSessionEpoch, 42), (ErrorCode::FetchSessionIdNotFound, 0)] {
            session.next_request(wanted(&[(0, 0)]), &config);
            session.accept(&answer(ErrorCode::None, 42)).unwrap();
            session.next_request(wanted(&[(0, 1)]), &config);
            assert!(session.accept(&answer(error, 0)).unwrap_err().is_retriable());
            let request = session.next_request(wanted(&[(0, 1)]), &config);
            assert_eq!((request.session_id, request.session_epoch, named(&request)), (closes, 0, vec![0]));
            session.accept(&answer(ErrorCode::None, 0)).unwrap();
        }
    }
}
