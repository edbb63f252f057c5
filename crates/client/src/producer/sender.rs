//! The one task that moves batches: takes those that are due, hands them to the nodes, judges the answers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_protocol::messages::init_producer_id::InitProducerIdRequest;
use dohle_protocol::messages::produce::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::ProduceError;
use super::accumulator::Accumulator;
use super::batch::{Batch, Identity, Stamp};
use super::delivery::Ack;
use super::node_link::{NodeLink, Outcome, Shipment, ack_timeout_ms};
use super::verdict::{Verdict, judge};
use crate::cluster::{Cluster, Topics};
use crate::cluster_metadata::{Broker, Leader, TopicPartition};
use crate::config::ProducerConfig;
use crate::error::ClientError;

/// Looked at again at the latest after this long, whatever happens.
const IDLE_WAKE: Duration = Duration::from_secs(60);

pub(super) struct Sender {
    cluster: Arc<Cluster>,
    config: Arc<ProducerConfig>,
    accumulator: Arc<Accumulator>,
    nodes: HashMap<i32, NodeLink>,
    outcomes: mpsc::UnboundedReceiver<Outcome>,
    outcome_sender: mpsc::UnboundedSender<Outcome>,
    identity: Option<Identity>,
    /// Where the next round starts, so that no partition is always first.
    last_served: Option<TopicPartition>,
    refreshing: Arc<AtomicBool>,
    refresh_not_before: Instant,
}

/// A batch that was taken to be sent.
struct Taken {
    tp: TopicPartition,
    leader: Leader,
    batch: Batch,
    stamp: Stamp,
}

impl Sender {
    pub(super) fn new(cluster: Arc<Cluster>, config: Arc<ProducerConfig>, accumulator: Arc<Accumulator>) -> Sender {
        let (outcome_sender, outcomes) = mpsc::unbounded_channel();
        Sender {
            cluster,
            config,
            accumulator,
            nodes: HashMap::new(),
            outcomes,
            outcome_sender,
            identity: None,
            last_served: None,
            refreshing: Arc::default(),
            refresh_not_before: Instant::now(),
        }
    }

    pub(super) async fn run(mut self) {
        while !self.accumulator.is_finished() {
            self.expire();
            let wake = self.dispatch().await;
            let accumulator = self.accumulator.clone();
            tokio::select! {
                Some(outcome) = self.outcomes.recv() => {
                    self.settle(outcome);
                    while let Ok(outcome) = self.outcomes.try_recv() {
                        self.settle(outcome);
                    }
                }
                () = accumulator.work.notified() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Sends what is due; when to look again if nothing happens before.
    async fn dispatch(&mut self) -> Instant {
        let now = Instant::now();
        if self.cluster.metadata().fetched_at.elapsed() > self.config.client.metadata_max_age {
            self.refresh(now);
        }
        if self.config.idempotent && self.lacks_identity(now) {
            match self.acquire_identity().await {
                Ok(identity) => self.identity = Some(identity),
                Err(error) if error.is_retriable() => return now + self.config.client.retry_backoff,
                Err(error) => {
                    self.fail_all_waiting(&error);
                    return now + IDLE_WAKE;
                }
            }
        }
        let (taken, wake) = self.take_due(now);
        let mut by_node: BTreeMap<i32, Vec<Taken>> = BTreeMap::new();
        for taken in taken {
            by_node.entry(taken.leader.node).or_default().push(taken);
        }
        for (node, taken) in by_node {
            let shipment = self.pack(taken);
            self.link(node).send(shipment);
        }
        wake
    }

    /// Whether a batch is due that cannot be numbered yet.
    fn lacks_identity(&self, now: Instant) -> bool {
        self.accumulator.with(|state| {
            let (linger, at_once) = self.accumulator.linger(state);
            let mut queues = state.queues.values();
            queues.any(|queue| {
                let due = queue.due_at(linger, self.config.batch_bytes, at_once).is_some_and(|due| due <= now);
                due && queue.needs_identity() && (self.identity.is_none() || queue.has_spent_identity(self.identity))
            })
        })
    }

    async fn acquire_identity(&self) -> Result<Identity, ClientError> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let response = self.cluster.any().await?.call(&request).await?;
        ClientError::check(response.error_code, None)?;
        Ok(Identity {
            id: ProducerId(response.producer_id),
            epoch: ProducerEpoch(response.producer_epoch),
        })
    }

    /// Takes at most one batch per partition, for nodes that may have another request in flight.
    fn take_due(&mut self, now: Instant) -> (Vec<Taken>, Instant) {
        let metadata = self.cluster.metadata();
        let in_flight_max = self.config.in_flight_max;
        let free = |node: i32| self.nodes.get(&node).is_none_or(|link| link.in_flight < in_flight_max);
        let start = self.last_served.clone();
        let (taken, wake, leaderless) = self.accumulator.with(|state| {
            let (linger, at_once) = self.accumulator.linger(state);
            let mut taken: Vec<Taken> = Vec::new();
            let mut wake = now + IDLE_WAKE;
            let mut leaderless = false;
            let mut node_bytes: HashMap<i32, usize> = HashMap::new();
            let due: Vec<TopicPartition> = state
                .queues
                .iter()
                .filter_map(|(tp, queue)| {
                    let due = queue.due_at(linger, self.config.batch_bytes, at_once)?;
                    wake = wake.min(if due > now { due } else { wake });
                    (due <= now).then(|| tp.clone())
                })
                .collect();
            let split = start.map_or(0, |start| due.partition_point(|tp| *tp <= start));
            for tp in due[split..].iter().chain(&due[..split]) {
                let Some(leader) = metadata.leader(tp) else {
                    leaderless = true;
                    continue;
                };
                let queue = state.queues.get_mut(tp).expect("it is due");
                let bytes = node_bytes.entry(leader.node).or_default();
                let fits = *bytes == 0 || *bytes + queue.first_bytes() <= self.config.request_bytes_max;
                if !fits || !free(leader.node) {
                    continue;
                }
                *bytes += queue.first_bytes();
                let (batch, stamp) = queue.take(self.identity);
                taken.push(Taken {
                    tp: tp.clone(),
                    leader,
                    batch,
                    stamp,
                });
            }
            if let Some(oldest) = state.queues.values().filter_map(|queue| queue.oldest()).min() {
                wake = wake.min((oldest + self.config.delivery_timeout).max(now + Duration::from_millis(1)));
            }
            (taken, wake, leaderless)
        });
        self.last_served = taken.last().map(|taken| taken.tp.clone()).or(self.last_served.take());
        if leaderless {
            self.refresh(now);
            return (taken, wake.min(self.refresh_not_before));
        }
        (taken, wake)
    }

    /// Encodes and compresses, outside of any lock.
    fn pack(&self, taken: Vec<Taken>) -> Shipment {
        let mut topics: BTreeMap<Arc<str>, TopicProduceData> = BTreeMap::new();
        let mut batches = Vec::with_capacity(taken.len());
        for Taken {
            tp,
            leader,
            mut batch,
            stamp,
        } in taken
        {
            let topic = topics.entry(tp.topic.clone()).or_insert_with(|| TopicProduceData {
                name: tp.topic.to_string(),
                topic_id: leader.topic_id,
                ..Default::default()
            });
            let records = Some(batch.stamped(stamp, self.config.compression));
            topic.partition_data.push(PartitionProduceData {
                index: tp.partition,
                records,
                ..Default::default()
            });
            batches.push((tp, batch));
        }
        let request = ProduceRequest {
            acks: self.config.acks.on_the_wire(),
            timeout_ms: ack_timeout_ms(self.config.client.request_timeout),
            topic_data: topics.into_values().collect(),
            ..Default::default()
        };
        Shipment { request, batches }
    }

    fn link(&mut self, node: i32) -> &mut NodeLink {
        let start = || NodeLink::start(self.cluster.clone(), node, self.config.acks, self.outcome_sender.clone());
        self.nodes.entry(node).or_insert_with(start)
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(link) = self.nodes.get_mut(&outcome.node) {
            link.in_flight -= 1;
        }
        let mut nodes: Vec<Broker> = Vec::new();
        let mut answers = match outcome.answer {
            Ok(Some(mut response)) => {
                nodes.extend(std::mem::take(&mut response.node_endpoints).into_iter().map(read_node));
                self.by_partition(response)
            }
            Ok(None) => {
                for (tp, batch) in outcome.batches {
                    self.finish(
                        &tp,
                        &batch,
                        Ok(Ack {
                            base_offset: -1,
                            log_append_time_ms: -1,
                        }),
                    );
                }
                return;
            }
            Err(error) => {
                self.refresh(Instant::now());
                for (tp, batch) in outcome.batches {
                    let retriable = error.is_retriable();
                    let verdict = if retriable {
                        Verdict::Retry(error.to_string())
                    } else {
                        Verdict::GiveUp(ProduceError::Client(error.clone()))
                    };
                    self.carry_out(&tp, batch, verdict, outcome.node);
                }
                return;
            }
        };
        for (tp, batch) in outcome.batches {
            let verdict = match answers.remove(&tp) {
                Some(answer) => {
                    let LeaderIdAndEpoch {
                        leader_id, leader_epoch, ..
                    } = answer.current_leader;
                    if leader_id >= 0 {
                        self.cluster.learn_leader(&tp, leader_id, leader_epoch, &nodes);
                    }
                    let others_in_flight = self.accumulator.with(|state| state.queues[&tp].has_other_in_flight());
                    judge(&answer, self.config.idempotent, others_in_flight)
                }
                None => Verdict::Retry("the answer does not mention the partition".to_owned()),
            };
            self.carry_out(&tp, batch, verdict, outcome.node);
        }
    }

    fn by_partition(&self, response: ProduceResponse) -> HashMap<TopicPartition, PartitionProduceResponse> {
        let metadata = self.cluster.metadata();
        let mut answers = HashMap::new();
        for topic in response.responses {
            let name = match topic.topic_id == Uuid::nil() {
                true => Some(Arc::from(topic.name)),
                false => metadata.topic_name(&topic.topic_id),
            };
            // An id that is no longer known belongs to a topic that was created anew meanwhile; its batches are retried.
            let Some(name) = name else { continue };
            for partition in topic.partition_responses {
                answers.insert(
                    TopicPartition {
                        topic: name.clone(),
                        partition: partition.index,
                    },
                    partition,
                );
            }
        }
        answers
    }

    /// `node` is the one that was asked.
    fn carry_out(&mut self, tp: &TopicPartition, mut batch: Batch, verdict: Verdict, node: i32) {
        let (reason, number_anew) = match verdict {
            Verdict::Delivered(ack) => return self.finish(tp, &batch, Ok(ack)),
            Verdict::GiveUp(error) => return self.finish(tp, &batch, Err(error)),
            Verdict::Split => return self.split(tp, &batch),
            Verdict::Retry(reason) => (reason, false),
            Verdict::RetryNumberedAnew(reason) => (reason, true),
        };
        self.refresh(Instant::now());
        if batch.attempts > self.config.retries_max || batch.created.elapsed() >= self.config.delivery_timeout {
            let error = expired(tp, &batch, reason);
            return self.finish(tp, &batch, Err(error));
        }
        tracing::debug!("{tp}: attempt {} failed, will retry: {reason}", batch.attempts);
        batch.last_error = Some(reason);
        // If another node is known to lead, that one is asked at once.
        let leader = self.cluster.metadata().leader(tp);
        let has_moved = leader.is_some_and(|leader| leader.node != node);
        let not_before = (!has_moved).then(|| Instant::now() + self.config.client.backoff().after(batch.attempts));
        self.accumulator.with(|state| {
            let queue = state.queues.get_mut(tp).expect("the batch came from it");
            queue.put_back([batch], not_before, number_anew);
        });
    }

    fn split(&mut self, tp: &TopicPartition, batch: &Batch) {
        match batch.split(self.config.compression) {
            Some(halves) => self.accumulator.with(|state| {
                state.outstanding += 1;
                state
                    .queues
                    .get_mut(tp)
                    .expect("the batch came from it")
                    .put_back(halves, None, false);
            }),
            None => {
                let code = dohle_protocol::ErrorCode::MessageTooLarge;
                self.finish(
                    tp,
                    batch,
                    Err(ProduceError::Refused {
                        code,
                        message: code.message().to_owned(),
                    }),
                );
            }
        }
    }

    fn finish(&self, tp: &TopicPartition, batch: &Batch, outcome: Result<Ack, ProduceError>) {
        self.accumulator.with(|state| {
            let queue = state.queues.get_mut(tp).expect("the batch came from it");
            queue.settle(outcome.is_err());
        });
        self.accumulator.complete(batch, outcome);
    }

    /// Gives up what has waited longer than `delivery.timeout.ms`.
    fn expire(&mut self) {
        let Some(cutoff) = Instant::now().checked_sub(self.config.delivery_timeout) else {
            return;
        };
        let expired_batches = self.accumulator.with(|state| {
            let queues = state.queues.iter_mut();
            queues
                .flat_map(|(tp, queue)| queue.take_expired(cutoff).into_iter().map(|batch| (tp.clone(), batch)))
                .collect::<Vec<_>>()
        });
        for (tp, batch) in expired_batches {
            let reason = batch.last_error.clone().unwrap_or_else(|| "no leader was reachable".to_owned());
            self.accumulator.complete(&batch, Err(expired(&tp, &batch, reason)));
        }
    }

    fn fail_all_waiting(&self, error: &ClientError) {
        let waiting: Vec<Batch> = self
            .accumulator
            .with(|state| state.queues.values_mut().flat_map(|queue| queue.take_all_waiting()).collect());
        for batch in waiting {
            self.accumulator.complete(&batch, Err(ProduceError::Client(error.clone())));
        }
    }

    /// Asks for the leaders of all topics in use, in the background, and not more often than the back-off allows.
    fn refresh(&mut self, now: Instant) {
        if now < self.refresh_not_before || self.refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        self.refresh_not_before = now + self.config.client.retry_backoff;
        let topics: BTreeSet<Arc<str>> = self
            .accumulator
            .with(|state| state.queues.keys().map(|tp| tp.topic.clone()).collect());
        let (cluster, accumulator, refreshing) = (self.cluster.clone(), self.accumulator.clone(), self.refreshing.clone());
        tokio::spawn(async move {
            let names: Vec<Arc<str>> = topics.into_iter().collect();
            if let Err(error) = cluster
                .refresh(Topics::Named {
                    names: &names,
                    create_missing: true,
                })
                .await
            {
                tracing::debug!("metadata cannot be refreshed: {error}");
                tokio::time::sleep(cluster.config().retry_backoff).await;
            }
            refreshing.store(false, Ordering::Release);
            accumulator.work.notify_one();
        });
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

fn expired(tp: &TopicPartition, batch: &Batch, last: String) -> ProduceError {
    ProduceError::Expired {
        records: batch.record_count as usize,
        partition: tp.clone(),
        waited_ms: batch.created.elapsed().as_millis(),
        last,
    }
}
