//! Fetches: one in flight per node, for all partitions that it leads and that have too little read ahead.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::fetch::{FetchResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
use tokio::time::Instant;

use super::fetch_session::{self, FetchSession, Wanted};
use super::fetched::Fetched;
use super::{ConsumeError, Consumer, ConsumerRecord};
use crate::cluster::Topics;
use crate::cluster_metadata::{Broker, Leader, TopicPartition};
use crate::error::ClientError;
use crate::limits::FETCHED_PER_PARTITION_MAX;

#[derive(Default)]
pub(super) struct NodeFetch {
    session: FetchSession,
    in_flight: bool,
}

pub(super) struct Answer {
    node: i32,
    response: Result<FetchResponse, ClientError>,
}

impl Consumer {
    pub(super) async fn start_fetches(&mut self) -> Result<(), ConsumeError> {
        let mut metadata = self.cluster.metadata();
        let mut ready = self.partitions.iter().filter(|(_, progress)| progress.to_fetch().is_some());
        if ready.any(|(tp, _)| metadata.leader(tp).is_none()) {
            self.refresh().await?;
            metadata = self.cluster.metadata();
        }
        let backoff = self.config.client.backoff();
        let mut by_node: BTreeMap<i32, BTreeMap<TopicPartition, Wanted>> = BTreeMap::new();
        for (tp, progress) in &mut self.partitions {
            let Some(offset) = progress.to_fetch() else { continue };
            let Some(Leader { node, epoch, topic_id }) = metadata.leader(tp) else {
                progress.back_off(&backoff);
                continue;
            };
            if progress.fetched < FETCHED_PER_PARTITION_MAX {
                let wanted = Wanted {
                    topic_id,
                    leader_epoch: epoch,
                    offset,
                    bytes_max: self.config.partition_bytes_max,
                };
                let source = progress.source(node, &metadata.brokers);
                by_node.entry(source).or_default().insert(tp.clone(), wanted);
            }
        }
        for (node, wanted) in by_node {
            if !self.sessions.get(&node).is_some_and(|fetch| fetch.in_flight) {
                self.start_fetch(node, wanted);
            }
        }
        Ok(())
    }

    fn start_fetch(&mut self, node: i32, wanted: BTreeMap<TopicPartition, Wanted>) {
        let fetch = self.sessions.entry(node).or_default();
        fetch.in_flight = true;
        let has_ids = wanted.values().all(|wanted| !wanted.topic_id.is_nil());
        let request = fetch.session.next_request(wanted, &self.config);
        let cluster = self.cluster.clone();
        let timeout = self.config.client.request_timeout + self.config.fetch_wait_max;
        self.in_flight.push(Box::pin(async move {
            let fetched = async {
                let connection = cluster.take_connection(node).await?;
                let newest = connection.version_of(dohle_protocol::ApiKey::Fetch)?;
                let version = if has_ids {
                    newest
                } else {
                    newest.min(fetch_session::TOPIC_IDS_SINCE - 1)
                };
                let response = connection.start(&request, version, timeout).await?.wait().await?;
                cluster.give_back(node, connection);
                Ok(response)
            };
            Answer {
                node,
                response: fetched.await,
            }
        }));
    }

    pub(super) async fn take_answer(&mut self, answer: Answer) -> Result<(), ConsumeError> {
        let Some(fetch) = self.sessions.get_mut(&answer.node) else {
            return Ok(());
        };
        fetch.in_flight = false;
        let response = match answer.response {
            Ok(response) => response,
            Err(error) => {
                fetch.session.lose();
                return self.back_off_node(answer.node, error).await;
            }
        };
        if let Err(error) = fetch.session.accept(&response) {
            return if error.is_retriable() { Ok(()) } else { Err(error.into()) };
        }
        self.refresh_failures = 0;
        let metadata = self.cluster.metadata();
        let nodes: Vec<Broker> = response.node_endpoints.into_iter().map(read_node).collect();
        let mut stale = false;
        for topic in response.responses {
            let name = if topic.topic_id.is_nil() {
                Some(Arc::from(topic.topic))
            } else {
                metadata.topic_name(&topic.topic_id)
            };
            let Some(name) = name else {
                stale = true;
                continue;
            };
            for data in topic.partitions {
                let tp = TopicPartition {
                    topic: name.clone(),
                    partition: data.partition_index,
                };
                let LeaderIdAndEpoch {
                    leader_id, leader_epoch, ..
                } = data.current_leader;
                if leader_id >= 0 && self.cluster.learn_leader(&tp, leader_id, leader_epoch, &nodes) {
                    // It is asked at once.
                    continue;
                }
                stale |= self.take_partition(answer.node, tp, data)?;
            }
        }
        if stale { self.refresh().await } else { Ok(()) }
    }

    /// Keeps what came for one partition; whether the metadata looks out of date.
    fn take_partition(&mut self, node: i32, tp: TopicPartition, data: PartitionData) -> Result<bool, ConsumeError> {
        let asked = self.sessions.get(&node).and_then(|fetch| fetch.session.offset_asked(&tp));
        let Some(progress) = self.partitions.get_mut(&tp) else {
            return Ok(false);
        };
        let (Some(asked), true) = (asked, progress.next_fetch == asked) else {
            // The position has been set elsewhere since.
            return Ok(false);
        };
        let error = ErrorCode::from_code(data.error_code);
        let follower_failed = error != ErrorCode::None && progress.leave_follower(node);
        match error {
            ErrorCode::None => {}
            // The leader may have what the follower has not.
            ErrorCode::OffsetOutOfRange if follower_failed => return Ok(false),
            ErrorCode::OffsetOutOfRange => return self.reset_position(&tp, asked),
            code if code.is_retriable() || matches!(code, ErrorCode::FencedLeaderEpoch | ErrorCode::UnknownServerError) => {
                progress.back_off(&self.config.client.backoff());
                return Ok(true);
            }
            code => {
                return Err(ConsumeError::Partition {
                    partition: tp,
                    reason: ClientError::refused(code.code(), None),
                });
            }
        }
        progress.note_ends(&data);
        if data.preferred_read_replica >= 0 {
            progress.read_from_follower(data.preferred_read_replica, self.config.client.metadata_max_age);
        }
        let fetched = Fetched::new(tp.clone(), asked, data, &self.config);
        let next = fetched.next_fetch().map_err(|reason| ConsumeError::BadBatch {
            partition: tp,
            offset: asked,
            reason,
        })?;
        if next > asked {
            progress.next_fetch = Some(next);
            progress.fetched += 1;
            self.fetched.push_back(fetched);
        }
        Ok(false)
    }

    /// What was fetched before is still handed out: it was in the log.
    fn reset_position(&mut self, tp: &TopicPartition, offset: i64) -> Result<bool, ConsumeError> {
        let out_of_range = |_| ConsumeError::OutOfRange {
            partition: tp.clone(),
            offset,
        };
        let start = self.start_without_position(tp).map_err(out_of_range)?;
        if let Some(progress) = self.partitions.get_mut(tp) {
            progress.start = start;
            progress.next_fetch = None;
        }
        Ok(false)
    }

    pub(super) fn take_records(&mut self) -> Result<Vec<ConsumerRecord>, ConsumeError> {
        let mut records = Vec::new();
        while records.len() < self.config.poll_records_max {
            let may_be_read = |fetched: &Fetched| self.partitions.get(fetched.partition()).is_some_and(|progress| !progress.paused);
            let Some(index) = self.fetched.iter().position(may_be_read) else {
                break;
            };
            let fetched = &mut self.fetched[index];
            let taken = fetched.take(self.config.poll_records_max - records.len(), &mut records);
            let progress = self.partitions.get_mut(fetched.partition()).expect("just seen");
            progress.position = Some(fetched.position());
            progress.position_epoch = fetched.position_epoch();
            match taken {
                Ok(false) => {}
                Ok(true) => {
                    progress.fetched -= 1;
                    self.fetched.remove(index);
                }
                Err(error) if records.is_empty() => return Err(error),
                // Met again by the next call; the records before it are handed out by this one.
                Err(_) => break,
            }
        }
        Ok(records)
    }

    async fn back_off_node(&mut self, node: i32, error: ClientError) -> Result<(), ConsumeError> {
        if !error.is_retriable() {
            return Err(error.into());
        }
        tracing::debug!("node {node}: {error}");
        for progress in self.partitions.values_mut() {
            progress.leave_follower(node);
        }
        self.refresh().await
    }

    /// Asks for the leaders again; the more often this has been of no use, the longer it waits before it.
    async fn refresh(&mut self) -> Result<(), ConsumeError> {
        let mut names: Vec<Arc<str>> = self.partitions.keys().map(|tp| tp.topic.clone()).collect();
        names.dedup();
        tokio::time::sleep_until(self.refresh_not_before).await;
        self.refresh_failures += 1;
        self.refresh_not_before = Instant::now() + self.config.client.backoff().after(self.refresh_failures);
        match self
            .cluster
            .refresh(Topics::Named {
                names: &names,
                create_missing: false,
            })
            .await
        {
            Err(error) if !error.is_retriable() => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn read_node(node: NodeEndpoint) -> Broker {
    Broker {
        id: node.node_id,
        host: node.host,
        port: node.port,
        rack: node.rack,
    }
}
