//! One look at all partitions of a fetch, in their order: bounds and records of each, within the limits of the request.

use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};
use dohle_protocol::messages::fetch::{AbortedTransaction, EpochEndOffset, PartitionData};
use dohle_replication::{EpochEnd, FetchPartition, FetchPlan, FollowerAnswer, FollowerFetch, Reader, TopicRef};
use dohle_storage::{ReadRequest, ReadResult};

use crate::cluster::elsewhere;
use crate::limits;
use crate::replica::cell::Cell;
use crate::replica::fetch_wait::ParkedPlaces;
use crate::replica::partition_view::{Isolation, PartitionView};
use crate::state::BrokerState;

#[derive(Debug, Clone, Copy)]
pub(crate) struct FetchLimits {
    pub(crate) isolation: Isolation,
    pub(crate) bytes_max: usize,
    pub(crate) asker: Asker,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Asker {
    /// Of an older version of the protocol: only the leader will do.
    LeadersConsumer,
    Consumer,
    Follower(FollowingBroker),
}

/// A broker that follows this one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FollowingBroker {
    pub(crate) id: BrokerId,
    /// Of the process that asks; -1 if it does not say.
    pub(crate) epoch: i64,
    /// The epoch under which the metadata know it as one that is there.
    pub(crate) active_epoch: Option<i64>,
}

pub(crate) struct FetchPass {
    broker: Arc<BrokerState>,
    plan: FetchPlan,
    limits: FetchLimits,
    bytes_max: usize,
    bytes: usize,
    /// Of the partitions looked at in this pass.
    answers: Vec<PartitionData>,
    /// There is something that the client should know at once.
    is_urgent: bool,
    /// Of a follower's fetch: the answers to its partitions that it is told instead of records. Empty for a consumer.
    verdicts: Vec<Option<PartitionData>>,
    /// Brokers in the rack of the consumer, if it is to be sent there.
    near: Vec<BrokerId>,
}

/// What one partition has to say.
enum Look {
    Answer(PartitionData),
    /// The records are in files.
    Files(PartitionView, ReadRequest),
}

impl FetchPass {
    pub(crate) fn new(broker: &Arc<BrokerState>, plan: FetchPlan, limits: FetchLimits, near: Vec<BrokerId>) -> FetchPass {
        let answers = Vec::with_capacity(plan.partitions.len());
        let mut pass = FetchPass {
            broker: Arc::clone(broker),
            plan,
            limits,
            bytes_max: limits.bytes_max,
            bytes: 0,
            answers,
            is_urgent: false,
            verdicts: Vec::new(),
            near,
        };
        if let Asker::Follower(follower) = limits.asker {
            pass.hear(follower);
        }
        pass
    }

    /// A follower's question says what it keeps: that counts once, however often is looked for more.
    fn hear(&mut self, follower: FollowingBroker) {
        let verdict = |wanted: &FetchPartition| match self.hear_about(follower, wanted) {
            Ok(FollowerAnswer::Read) => None,
            Ok(FollowerAnswer::Diverging(end)) => Some(parts_at(wanted, end)),
            Err(error) => Some(refused(wanted, error)),
        };
        self.verdicts = self.plan.partitions.iter().map(verdict).collect();
    }

    fn hear_about(&self, follower: FollowingBroker, wanted: &FetchPartition) -> Result<FollowerAnswer, ErrorCode> {
        self.cell(wanted)?.on_follower_fetch(&FollowerFetch {
            replica: follower.id,
            broker_epoch: follower.epoch,
            active_epoch: follower.active_epoch,
            current_leader_epoch: LeaderEpoch(wanted.current_leader_epoch),
            offset: Offset(wanted.fetch_offset),
            last_fetched_epoch: LeaderEpoch(wanted.last_fetched_epoch),
            log_start: Offset(wanted.log_start_offset),
        })
    }

    pub(crate) fn is_of_follower(&self) -> bool {
        matches!(self.limits.asker, Asker::Follower(_))
    }

    /// Begins from the front. Returns the bytes that the pass may read.
    pub(crate) fn begin(&mut self) -> usize {
        self.answers.clear();
        self.bytes = 0;
        self.bytes_max = self
            .limits
            .bytes_max
            .min(self.plan.partitions.len().saturating_mul(limits::FETCH_PARTITION_BYTES_MAX));
        self.bytes_max
    }

    pub(crate) fn limit_to_one_batch(&mut self) {
        self.bytes_max = 0;
    }

    /// Bytes of records found.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether there is nothing to wait for.
    pub(crate) fn is_final(&self) -> bool {
        self.is_urgent || self.plan.partitions.is_empty()
    }

    /// Looks at partitions until one has to be read from the disk; false if there is one.
    pub(crate) fn read_memory(&mut self) -> bool {
        while let Some(wanted) = self.plan.partitions.get(self.answers.len()) {
            let answer = match self.look(wanted) {
                Look::Answer(answer) => answer,
                Look::Files(view, request) => match view.log.read_on(request) {
                    Some(read) => self.found(wanted, &view, read),
                    None => return false,
                },
            };
            self.push(answer);
        }
        true
    }

    /// Looks at the rest of the partitions. Blocks.
    pub(crate) fn read_files(&mut self) {
        while let Some(wanted) = self.plan.partitions.get(self.answers.len()) {
            let answer = match self.look(wanted) {
                Look::Answer(answer) => answer,
                Look::Files(view, request) => self.read(wanted, &view, request),
            };
            self.push(answer);
        }
    }

    /// Lets go of what was found, but not of how much it was: who waits has no share of the memory budget, and looks again afterwards.
    pub(crate) fn drop_records(&mut self) {
        self.answers.iter_mut().for_each(|answer| answer.records = None);
    }

    /// Parks at every partition; false if one has more to read by now.
    pub(crate) fn park(&self, parked: &mut ParkedPlaces) -> bool {
        self.plan.partitions.iter().zip(&self.answers).all(|(wanted, answer)| {
            let Ok(cell) = self.cell(wanted) else { return false };
            let (reader, seen) = match self.limits.asker {
                Asker::Follower(_) => (Reader::Follower, wanted.fetch_offset),
                Asker::Consumer | Asker::LeadersConsumer => (Reader::Consumer, answer.high_watermark),
            };
            let key = cell.park_fetch(reader, Offset(seen), parked.ticket());
            key.map(|key| parked.push(cell, key)).is_some()
        })
    }

    /// The plan and the answer to each of its partitions.
    pub(crate) fn finish(self) -> (FetchPlan, Vec<PartitionData>) {
        (self.plan, self.answers)
    }

    fn push(&mut self, answer: PartitionData) {
        self.bytes += answer.records.as_ref().map_or(0, Bytes::len);
        self.is_urgent |= answer.error_code != 0 || answer.diverging_epoch.epoch >= 0 || answer.preferred_read_replica >= 0;
        self.answers.push(answer);
    }

    fn cell(&self, wanted: &FetchPartition) -> Result<Arc<Cell>, ErrorCode> {
        let key = &wanted.key;
        self.find_cell(wanted)
            .map_err(|error| elsewhere::or(&self.broker, &key.topic, key.partition, error))
    }

    fn find_cell(&self, wanted: &FetchPartition) -> Result<Arc<Cell>, ErrorCode> {
        let topic = match &wanted.key.topic {
            TopicRef::Name(name) => self.broker.replicas.topic(name).ok_or(ErrorCode::UnknownTopicOrPartition)?,
            TopicRef::Id(id) => self.broker.replicas.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId)?,
        };
        topic.cell(wanted.key.partition).cloned()
    }

    fn look(&self, wanted: &FetchPartition) -> Look {
        self.try_look(wanted).unwrap_or_else(|error| Look::Answer(refused(wanted, error)))
    }

    fn try_look(&self, wanted: &FetchPartition) -> Result<Look, ErrorCode> {
        if let Some(Some(verdict)) = self.verdicts.get(self.answers.len()) {
            return Ok(Look::Answer(verdict.clone()));
        }
        let cell = self.cell(wanted)?;
        let offset = Offset(wanted.fetch_offset);
        let current_epoch = LeaderEpoch(wanted.current_leader_epoch);
        let partition_max = usize::try_from(wanted.partition_max_bytes)
            .unwrap_or_default()
            .min(limits::FETCH_PARTITION_BYTES_MAX);
        let max_bytes = partition_max.min(self.bytes_max.saturating_sub(self.bytes));
        // The first partition that has records gives one batch, however large: otherwise nobody could read past it.
        let min_one_batch = self.bytes == 0;
        let isolation = self.limits.isolation;
        let from_leader = !matches!(self.limits.asker, Asker::Consumer);
        let (view, tail) = cell.view_at((current_epoch, from_leader), offset, isolation, max_bytes, min_one_batch)?;
        if isolation != Isolation::Everything
            && let Some(diverging_epoch) = diverging(&cell, wanted)?
        {
            return Ok(Look::Answer(PartitionData {
                diverging_epoch,
                ..bounds(wanted, &view, isolation)
            }));
        }
        if offset < view.log_start_offset || offset > view.log_end_offset {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        if !self.near.is_empty()
            && let Some(nearer) = cell.preferred_read_replica(offset, &self.near)
        {
            return Ok(Look::Answer(PartitionData {
                preferred_read_replica: nearer.0,
                ..bounds(wanted, &view, isolation)
            }));
        }
        let upper_bound = view.upper_bound(isolation);
        match tail {
            Some(read) => Ok(Look::Answer(with_records(wanted, &view, isolation, read.records, read.next_offset))),
            None if offset >= upper_bound || (max_bytes == 0 && !min_one_batch) => Ok(Look::Answer(bounds(wanted, &view, isolation))),
            None => Ok(Look::Files(
                view,
                ReadRequest {
                    offset,
                    upper_bound,
                    max_bytes,
                    min_one_batch,
                },
            )),
        }
    }

    /// Files are read without the lock. Who has learnt meanwhile that it follows may have cut its log, and written another leader's records:
    /// they are not an answer to a follower of the epoch before.
    fn found(&self, wanted: &FetchPartition, view: &PartitionView, read: ReadResult) -> PartitionData {
        let is_sound = match self.limits.asker {
            Asker::Follower(_) => self.cell(wanted).and_then(|cell| cell.check_leads_in(view.leader_epoch)),
            Asker::Consumer | Asker::LeadersConsumer => Ok(()),
        };
        match is_sound {
            Ok(()) => with_records(wanted, view, self.limits.isolation, read.records, read.next_offset),
            Err(error) => refused(wanted, error),
        }
    }

    fn read(&self, wanted: &FetchPartition, view: &PartitionView, request: ReadRequest) -> PartitionData {
        match view.log.read(request) {
            Ok(read) => self.found(wanted, view, read),
            Err(error) => {
                let code = error.error_code();
                if code != ErrorCode::OffsetOutOfRange {
                    tracing::error!(topic = ?wanted.key.topic, partition = wanted.key.partition, offset = wanted.fetch_offset, "{error}");
                }
                refused(wanted, code)
            }
        }
    }
}

/// Where the log of a reader parts from this one, if it names the epoch of its last record (KIP-595).
fn diverging(cell: &Cell, wanted: &FetchPartition) -> Result<Option<EpochEndOffset>, ErrorCode> {
    let last_fetched = LeaderEpoch(wanted.last_fetched_epoch);
    if last_fetched.0 < 0 {
        return Ok(None);
    }
    let end = cell.end_offset_for_epoch(LeaderEpoch::NONE, last_fetched)?;
    if end.end_offset.0 < 0 {
        return Err(ErrorCode::OffsetOutOfRange);
    }
    let is_diverging = end.epoch < last_fetched || end.end_offset.0 < wanted.fetch_offset;
    Ok(is_diverging.then(|| EpochEndOffset {
        epoch: end.epoch.0,
        end_offset: end.end_offset.0,
        ..EpochEndOffset::default()
    }))
}

/// What a follower is told whose log parts from this one.
fn parts_at(wanted: &FetchPartition, end: EpochEnd) -> PartitionData {
    PartitionData {
        diverging_epoch: EpochEndOffset {
            epoch: end.epoch.0,
            end_offset: end.end_offset.0,
            ..EpochEndOffset::default()
        },
        ..refused(wanted, ErrorCode::None)
    }
}

/// An answer without records.
fn bounds(wanted: &FetchPartition, view: &PartitionView, isolation: Isolation) -> PartitionData {
    PartitionData {
        partition_index: wanted.key.partition,
        high_watermark: view.high_watermark.0,
        last_stable_offset: view.last_stable_offset.0,
        log_start_offset: view.log_start_offset.0,
        aborted_transactions: (isolation == Isolation::ReadCommitted).then(Vec::new),
        records: Some(Bytes::new()),
        ..PartitionData::default()
    }
}

fn with_records(wanted: &FetchPartition, view: &PartitionView, isolation: Isolation, records: Bytes, next_offset: Offset) -> PartitionData {
    let mut answer = bounds(wanted, view, isolation);
    if let Some(list) = &mut answer.aborted_transactions {
        let aborted = view.log.aborted_transactions(Offset(wanted.fetch_offset), next_offset).into_iter();
        list.extend(aborted.map(|aborted| AbortedTransaction {
            producer_id: aborted.producer_id.0,
            first_offset: aborted.first_offset.0,
            ..AbortedTransaction::default()
        }));
    }
    answer.records = Some(records);
    answer
}

fn refused(wanted: &FetchPartition, error: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: wanted.key.partition,
        error_code: error.code(),
        high_watermark: -1,
        // As in Kafka: empty where nothing was looked up, null where a log refused.
        aborted_transactions: matches!(error, ErrorCode::UnknownTopicOrPartition | ErrorCode::UnknownTopicId).then(Vec::new),
        records: Some(Bytes::new()),
        ..PartitionData::default()
    }
}
