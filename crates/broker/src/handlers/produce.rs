//! Produce: appends one batch to each partition, in the order of the request, and answers when they are acknowledged.

use std::sync::Arc;
use std::time::Duration;

use dohle_metadata::topic_name;
use dohle_protocol::batch::BatchHeader;
use dohle_protocol::id::{LeaderEpoch, TopicId};
use dohle_protocol::messages::produce::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceData, TopicProduceResponse,
};
use dohle_protocol::{ApiKey, ErrorCode};
use dohle_replication::{Acks, TopicRef};
use dohle_storage::batch_validator::ValidationError;
use dohle_storage::{AppendError, AppendOrigin};
use uuid::Uuid;

use crate::clock;
use crate::cluster::elsewhere;
use crate::dispatch::{Answer, RequestContext};
use crate::handlers::leader_hints::{Leader, LeaderHints};
use crate::replica::cell::{ProduceContext, ProduceError};
use crate::replica::produce_wait::ProduceWait;
use crate::replica::table::TopicReplicas;
use crate::replica::turned_away::{Sender, TurnedAway};
use crate::state::BrokerState;

/// From this version on zstd is allowed (KIP-110).
const ZSTD_FROM: i16 = 7;
/// From this version on topics are named by id.
const TOPIC_IDS_FROM: i16 = 13;
/// From this version on errors of leadership come with the right leader (KIP-951).
const LEADER_HINTS_FROM: i16 = 10;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: ProduceRequest) -> Answer<ProduceResponse> {
    let mut produce = Produce::new(broker, ctx, &request);
    let mut responses = produce.append_all(request.topic_data);
    if let Some(wait) = &produce.wait {
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or_default());
        // Whoever has not answered by then has timed out, which is how the answer says it.
        let _ = tokio::time::timeout(timeout, wait.all_answered()).await;
        take_outcomes(wait, &mut responses);
    }
    let partitions = || responses.iter().flat_map(|topic| &topic.partition_responses);
    for failed in partitions().filter(|partition| partition.error_code != 0) {
        broker.metrics.error(ApiKey::Produce, ErrorCode::from_code(failed.error_code));
    }
    if request.acks == 0 {
        let failed = partitions()
            .find(|partition| partition.error_code != 0)
            .map(|partition| ErrorCode::from_code(partition.error_code));
        return failed.map_or(Answer::Silence, |error| {
            Answer::Close(format!("a produce request with acks=0 failed with {error}"))
        });
    }
    let mut response = ProduceResponse {
        responses,
        ..ProduceResponse::default()
    };
    if ctx.api_version >= LEADER_HINTS_FROM {
        add_leader_hints(&mut response, broker, ctx);
    }
    response.into()
}

struct Produce<'a> {
    broker: &'a Arc<BrokerState>,
    by_id: bool,
    /// Or why the request as a whole is refused.
    context: Result<ProduceContext, ErrorCode>,
    /// Made when the first partition has to be waited for.
    wait: Option<Arc<ProduceWait>>,
    /// Partitions seen so far: the place of the next one.
    places: usize,
}

impl Produce<'_> {
    fn new<'a>(broker: &'a Arc<BrokerState>, ctx: &RequestContext, request: &ProduceRequest) -> Produce<'a> {
        let zstd_allowed = ctx.api_version >= ZSTD_FROM;
        let context = match Acks::try_from(request.acks) {
            // There are no transactions yet, so nobody can have begun one.
            Ok(_) if request.transactional_id.is_some() => Err(ErrorCode::InvalidTxnState),
            Ok(acks) => Ok(ProduceContext {
                origin: AppendOrigin::Client,
                leader_epoch: LeaderEpoch::NONE,
                acks,
                zstd_allowed,
                turned_away: None,
                now_ms: clock::now_ms(),
                now: ctx.begun,
                request_bytes: ctx.request_bytes,
            }),
            Err(error) => Err(error),
        };
        Produce {
            broker,
            by_id: ctx.api_version >= TOPIC_IDS_FROM,
            context,
            wait: None,
            places: 0,
        }
    }

    fn append_all(&mut self, topics: Vec<TopicProduceData>) -> Vec<TopicProduceResponse> {
        topics.into_iter().map(|topic| self.append_topic(topic)).collect()
    }

    fn append_topic(&mut self, topic: TopicProduceData) -> TopicProduceResponse {
        let found = if topic_name::is_internal(&topic.name) {
            Err(ErrorCode::InvalidTopicException)
        } else if self.by_id {
            self.broker
                .replicas
                .topic_by_id(TopicId(topic.topic_id))
                .ok_or(ErrorCode::UnknownTopicId)
        } else {
            self.broker.replicas.topic(&topic.name).ok_or(ErrorCode::UnknownTopicOrPartition)
        };
        let found = match &found {
            // Named by its id.
            Ok(topic) if topic_name::is_internal(&topic.name) => Err(ErrorCode::InvalidTopicException),
            Ok(topic) => Ok(&**topic),
            Err(error) => Err(*error),
        };
        let partition_responses = topic
            .partition_data
            .into_iter()
            .map(|partition| self.append_partition(found, (&topic.name, topic.topic_id), partition))
            .collect();
        TopicProduceResponse {
            name: topic.name,
            topic_id: topic.topic_id,
            partition_responses,
            ..TopicProduceResponse::default()
        }
    }

    fn append_partition(
        &mut self,
        topic: Result<&TopicReplicas, ErrorCode>,
        (name, id): (&str, Uuid),
        partition: PartitionProduceData,
    ) -> PartitionProduceResponse {
        let index = partition.index;
        let by_id = self.by_id;
        let named = || {
            if by_id {
                TopicRef::Id(TopicId(id))
            } else {
                TopicRef::Name(name.to_owned())
            }
        };
        let appended = self.append_in_turn(topic, &named, partition);
        self.places += 1;
        match appended {
            Ok(response) => response,
            Err(ProduceError::Refused(error)) => {
                let error = elsewhere::or(self.broker, &named(), index, error);
                refused(index, error, error.message().to_string())
            }
            Err(ProduceError::Log(error)) => PartitionProduceResponse {
                record_errors: record_errors(&error),
                log_start_offset: log_start_beside(&error, topic, index),
                ..refused(index, error.error_code(), error.to_string())
            },
        }
    }

    /// Appends a batch, unless one that its producer sent before it was turned away and has not come again: see [`TurnedAway`].
    fn append_in_turn(
        &mut self,
        topic: Result<&TopicReplicas, ErrorCode>,
        named: &dyn Fn() -> TopicRef,
        partition: PartitionProduceData,
    ) -> Result<PartitionProduceResponse, ProduceError> {
        let context = self.context?;
        let index = partition.index;
        let Some(batch) = partition.records.as_ref().and_then(|records| BatchHeader::parse(records).ok()) else {
            return self.append(topic, partition, context);
        };
        if batch.is_transactional() {
            // Nobody could end the transaction that this would begin.
            return Err(ErrorCode::InvalidTxnState.into());
        }
        let turned_away = &self.broker.turned_away;
        let sender = || Sender::of(&batch, named(), index);
        let known = if turned_away.is_empty(context.now) { None } else { sender() };
        let context = ProduceContext {
            turned_away: known
                .as_ref()
                .and_then(|sender| turned_away.reason_before(sender, &batch, context.now)),
            ..context
        };
        let appended = self.append(topic, partition, context);
        match (&appended, known) {
            (Ok(_), Some(sender)) => turned_away.forget(&sender, &batch),
            (Err(error), known) if TurnedAway::is_noted(error) => {
                if let Some(sender) = known.or_else(sender) {
                    turned_away.note(sender, &batch, error.error_code(), context.now);
                }
            }
            _ => {}
        }
        appended
    }

    fn append(
        &mut self,
        topic: Result<&TopicReplicas, ErrorCode>,
        partition: PartitionProduceData,
        context: ProduceContext,
    ) -> Result<PartitionProduceResponse, ProduceError> {
        let cell = topic?.cell(partition.index)?;
        let records = partition
            .records
            .filter(|records| !records.is_empty())
            .ok_or(ErrorCode::InvalidRecord)?;
        let (wait, place) = (&mut self.wait, self.places);
        let (info, is_parked) = cell.append(records, context, || wait.get_or_insert_default().ticket(place).into())?;
        Ok(PartitionProduceResponse {
            index: partition.index,
            base_offset: info.base_offset.0,
            log_append_time_ms: info.log_append_time_ms,
            log_start_offset: info.log_start_offset.0,
            // Until the ticket is answered.
            error_code: if is_parked {
                ErrorCode::RequestTimedOut.code()
            } else {
                ErrorCode::None.code()
            },
            ..PartitionProduceResponse::default()
        })
    }
}

/// Enters what became of the partitions that were waited for.
fn take_outcomes(wait: &ProduceWait, responses: &mut [TopicProduceResponse]) {
    let mut partitions: Vec<&mut PartitionProduceResponse> =
        responses.iter_mut().flat_map(|topic| &mut topic.partition_responses).collect();
    for (place, outcome) in wait.take_outcomes() {
        match outcome {
            Ok(()) => partitions[place].error_code = ErrorCode::None.code(),
            Err(error) => *partitions[place] = refused(partitions[place].index, error, error.message().to_string()),
        }
    }
}

fn refused(index: i32, error: ErrorCode, message: String) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: error.code(),
        base_offset: -1,
        error_message: Some(message),
        ..PartitionProduceResponse::default()
    }
}

/// As in Kafka, where the log begins comes with what is wrong with records or their producer, and not with what is wrong with the form or
/// size of a batch, or with a disk.
fn log_start_beside(error: &AppendError, topic: Result<&TopicReplicas, ErrorCode>, index: i32) -> i64 {
    use AppendError::{Invalid, Producer};
    use ValidationError::{Format, NotOneBatch, TooLarge, ZstdTooEarly};
    match error {
        Invalid(Format(_) | NotOneBatch(_) | TooLarge { .. } | ZstdTooEarly) => -1,
        Invalid(_) | Producer(_) => {
            let cell = topic.and_then(|topic| topic.cell(index));
            cell.map_or(-1, |cell| cell.inspect(|log| log.log_start_offset().0))
        }
        _ => -1,
    }
}

fn record_errors(error: &AppendError) -> Vec<BatchIndexAndErrorMessage> {
    let rejections = error.rejections().iter().map(|rejection| BatchIndexAndErrorMessage {
        batch_index: rejection.batch_index,
        batch_index_error_message: Some(rejection.reason.to_string()),
        ..BatchIndexAndErrorMessage::default()
    });
    rejections.collect()
}

fn add_leader_hints(response: &mut ProduceResponse, broker: &BrokerState, ctx: &RequestContext) {
    let mut hints = LeaderHints::default();
    for topic in &mut response.responses {
        let named = if topic.topic_id.is_nil() {
            TopicRef::Name(topic.name.clone())
        } else {
            TopicRef::Id(TopicId(topic.topic_id))
        };
        for partition in &mut topic.partition_responses {
            if let Some((leader_id, leader_epoch)) = hints.hint(broker, &named, partition.index, partition.error_code) {
                partition.current_leader = LeaderIdAndEpoch {
                    leader_id,
                    leader_epoch,
                    ..LeaderIdAndEpoch::default()
                };
            }
        }
    }
    let endpoint = |leader: Leader| NodeEndpoint {
        node_id: leader.node_id,
        host: leader.endpoint.host,
        port: leader.endpoint.port.into(),
        rack: leader.rack,
        ..NodeEndpoint::default()
    };
    response.node_endpoints = hints.leaders(ctx).map(endpoint).collect();
}
