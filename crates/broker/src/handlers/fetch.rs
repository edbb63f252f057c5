//! Fetch: reads batches from each partition in order; if there is too little, waits for an append to wake it.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::id::{BrokerId, TopicId};
use dohle_protocol::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData};
use dohle_protocol::{ApiKey, ErrorCode};
use dohle_replication::{FetchPartition, PartitionKey, SessionRequest, TopicRef};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use uuid::Uuid;

use crate::clock;
use crate::dispatch::{Answer, RequestContext};
use crate::handlers::leader_hints::{Leader, LeaderHints};
use crate::replica::fetch_pass::{Asker, FetchLimits, FetchPass, FollowingBroker};
use crate::replica::fetch_wait::ParkedPlaces;
use crate::replica::partition_view::Isolation;
use crate::state::BrokerState;

/// From this version on topics are named by id.
const TOPIC_IDS_FROM: i16 = 13;
/// From this version on consumers may read from followers (KIP-392).
const FOLLOWERS_SERVE_FROM: i16 = 11;
/// The one value of `replica.selector.class` that sends consumers to replicas near them.
const RACK_AWARE: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";
/// From this version on errors of leadership come with the right leader (KIP-951).
const LEADER_HINTS_FROM: i16 = 16;

pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: FetchRequest) -> Answer<FetchResponse> {
    let wait_max = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or_default());
    let mut bytes_min = usize::try_from(request.min_bytes).unwrap_or_default();
    let asker = asker(broker, &request, ctx.api_version);
    let is_follower = matches!(asker, Asker::Follower(_));
    if is_follower {
        // It is woken by the first record, whatever it says.
        bytes_min = bytes_min.min(1);
    }
    let limits = FetchLimits {
        isolation: if is_follower {
            Isolation::Everything
        } else {
            Isolation::from_wire(request.isolation_level)
        },
        bytes_max: usize::try_from(request.max_bytes.min(broker.settings.load().fetch_max_bytes)).unwrap_or_default(),
        asker,
    };
    let near = brokers_near(broker, &request.rack_id);
    let session = session_request(&request, ctx.api_version);
    let planned = broker.fetch_sessions.lock().begin(session, clock::now_ms());
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => {
            broker.metrics.error(ApiKey::Fetch, error);
            return FetchResponse {
                error_code: error.code(),
                ..FetchResponse::default()
            }
            .into();
        }
    };
    let deadline = Instant::now() + wait_max;
    let mut pass = FetchPass::new(broker, plan, limits, near);
    let held = loop {
        let held = reserve(broker, &mut pass);
        pass = read(pass).await;
        if pass.is_final() || pass.bytes() >= bytes_min || Instant::now() >= deadline {
            break held.and_then(|held| shrink(held, pass.bytes()));
        }
        pass.drop_records();
        drop(held);
        // An error means that time is up: one last look.
        let _ = tokio::time::timeout_at(deadline, wait_for_more(&pass, bytes_min)).await;
    };
    let response = respond(broker, ctx, pass);
    Answer::Send { response, held }
}

fn replica_id(request: &FetchRequest) -> i32 {
    request.replica_id.max(request.replica_state.replica_id)
}

fn asker(broker: &BrokerState, request: &FetchRequest, version: i16) -> Asker {
    let id = BrokerId(replica_id(request));
    if id.0 < 0 {
        return if version >= FOLLOWERS_SERVE_FROM {
            Asker::Consumer
        } else {
            Asker::LeadersConsumer
        };
    }
    let image = broker.quorum.image();
    let active = image.broker(id).filter(|broker| broker.is_active());
    Asker::Follower(FollowingBroker {
        id,
        epoch: request.replica_state.replica_epoch,
        active_epoch: active.map(|broker| broker.epoch),
    })
}

/// The brokers to which a consumer in this rack is to be sent.
fn brokers_near(broker: &BrokerState, rack: &str) -> Vec<BrokerId> {
    if rack.is_empty() || broker.config.values.optional("replica.selector.class") != Some(RACK_AWARE) {
        return Vec::new();
    }
    let image = broker.quorum.image();
    let near = image
        .brokers()
        .iter()
        .filter(|broker| broker.is_active() && broker.rack.as_deref() == Some(rack));
    near.map(|broker| broker.id).collect()
}

fn session_request(request: &FetchRequest, version: i16) -> SessionRequest {
    let uses_topic_ids = version >= TOPIC_IDS_FROM;
    let topic = |name: &str, id: Uuid| {
        if uses_topic_ids {
            TopicRef::Id(TopicId(id))
        } else {
            TopicRef::Name(name.to_owned())
        }
    };
    let is_follower = replica_id(request) >= 0;
    let mut partitions = Vec::new();
    for asked in &request.topics {
        partitions.extend(asked.partitions.iter().map(|partition| FetchPartition {
            key: PartitionKey {
                topic: topic(&asked.topic, asked.topic_id),
                partition: partition.partition,
            },
            fetch_offset: partition.fetch_offset,
            partition_max_bytes: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
            log_start_offset: partition.log_start_offset,
        }));
    }
    let mut forgotten = Vec::new();
    for gone in &request.forgotten_topics_data {
        let key = |partition: &i32| PartitionKey {
            topic: topic(&gone.topic, gone.topic_id),
            partition: *partition,
        };
        forgotten.extend(gone.partitions.iter().map(key));
    }
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        uses_topic_ids,
        is_follower,
        partitions,
        forgotten,
    }
}

/// Takes the memory that the answer may need from the budget of all answers. If there is none, the answer gets one batch. Followers take
/// nothing from it: they are few, and those that consumers hold up would lag.
fn reserve(broker: &BrokerState, pass: &mut FetchPass) -> Option<OwnedSemaphorePermit> {
    let wanted = u32::try_from(pass.begin().max(1)).unwrap_or(u32::MAX);
    if pass.is_of_follower() {
        return None;
    }
    let held = Arc::clone(&broker.response_budget).try_acquire_many_owned(wanted).ok();
    if held.is_none() {
        pass.limit_to_one_batch();
    }
    held
}

/// Gives back what was not needed.
fn shrink(mut held: OwnedSemaphorePermit, bytes: usize) -> Option<OwnedSemaphorePermit> {
    held.split(bytes.min(held.num_permits()))
}

/// Reads what is in memory here, and files on a thread where they disturb nobody.
async fn read(mut pass: FetchPass) -> FetchPass {
    if pass.read_memory() {
        return pass;
    }
    let blocking = tokio::task::spawn_blocking(move || {
        pass.read_files();
        pass
    });
    match blocking.await {
        Ok(pass) => pass,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Parks at every partition until together they have `bytes_min`.
async fn wait_for_more(pass: &FetchPass, bytes_min: usize) {
    let mut parked = ParkedPlaces::new(bytes_min - pass.bytes());
    if pass.park(&mut parked) {
        parked.woken().await;
    }
}

fn respond(broker: &Arc<BrokerState>, ctx: &RequestContext, pass: FetchPass) -> FetchResponse {
    let (plan, answers) = pass.finish();
    let new_id = if plan.opens_session() {
        (Uuid::new_v4().as_u128() as i32) & i32::MAX
    } else {
        0
    };
    let finished = broker.fetch_sessions.lock().finish(&plan, &answers, new_id, clock::now_ms());
    let mut hints = LeaderHints::default();
    let mut responses: Vec<FetchableTopicResponse> = Vec::new();
    let mut topic: Option<TopicRef> = None;
    for (place, (FetchPartition { key, .. }, mut answer)) in plan.partitions.into_iter().zip(answers).enumerate() {
        if finished.is_sent.as_ref().is_some_and(|is_sent| !is_sent[place]) {
            continue;
        }
        if answer.error_code != 0 {
            broker.metrics.error(ApiKey::Fetch, ErrorCode::from_code(answer.error_code));
        }
        if ctx.api_version >= LEADER_HINTS_FROM
            && let Some((leader_id, leader_epoch)) = hints.hint(broker, &key.topic, key.partition, answer.error_code)
        {
            answer.current_leader = LeaderIdAndEpoch {
                leader_id,
                leader_epoch,
                ..LeaderIdAndEpoch::default()
            };
        }
        match responses.last_mut() {
            Some(last) if topic.as_ref() == Some(&key.topic) => last.partitions.push(answer),
            _ => {
                responses.push(topic_response(&key.topic, answer));
                topic = Some(key.topic);
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
    let node_endpoints = hints.leaders(ctx).map(endpoint).collect();
    FetchResponse {
        session_id: finished.session_id,
        responses,
        node_endpoints,
        ..FetchResponse::default()
    }
}

fn topic_response(topic: &TopicRef, first: PartitionData) -> FetchableTopicResponse {
    let (name, id) = match topic {
        TopicRef::Name(name) => (name.clone(), Uuid::nil()),
        TopicRef::Id(id) => (String::new(), id.0),
    };
    FetchableTopicResponse {
        topic: name,
        topic_id: id,
        partitions: vec![first],
        ..FetchableTopicResponse::default()
    }
}
