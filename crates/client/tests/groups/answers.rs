//! What the scripted server answers.

use bytes::Bytes;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::consumer_protocol::ConsumerProtocolAssignment;
use dohle_protocol::id::Offset;
use dohle_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use dohle_protocol::messages::fetch::{FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData};
use dohle_protocol::messages::find_coordinator::FindCoordinatorResponse;
use dohle_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse};
use dohle_protocol::messages::list_offsets::{
    ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use dohle_protocol::messages::metadata::{MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
use dohle_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use dohle_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchResponse, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use dohle_protocol::wire::Rope;
use dohle_protocol::{ApiKey, ErrorCode};

use crate::server::{Asked, RECORDS, State, TOPIC, assignment, listed, owned_in};

pub(crate) fn answer(asked: &Asked, state: &mut State) -> Rope {
    match asked.api {
        ApiKey::ApiVersions => asked.answer(&versions()),
        ApiKey::Metadata => asked.answer(&metadata(state)),
        ApiKey::FindCoordinator => asked.answer(&FindCoordinatorResponse {
            node_id: state.coordinator,
            ..Default::default()
        }),
        ApiKey::ListOffsets => asked.answer(&offsets(&asked.read())),
        ApiKey::Fetch => asked.answer(&fetch(&asked.read())),
        ApiKey::JoinGroup => asked.answer(&join(asked, &asked.read(), state)),
        ApiKey::SyncGroup => asked.answer(&sync(asked, &asked.read(), state)),
        ApiKey::Heartbeat => asked.answer(&heartbeat(asked, &asked.read(), state)),
        ApiKey::LeaveGroup => asked.answer(&leave(&asked.read(), state)),
        ApiKey::OffsetCommit => asked.answer(&commit(asked, &asked.read(), state)),
        ApiKey::OffsetFetch => asked.answer(&committed(asked, &asked.read(), state)),
        other => panic!("{other} was not expected"),
    }
}

/// Versions that name topics, and groups one by one.
fn versions() -> ApiVersionsResponse {
    let range = |(api, max_version): (ApiKey, i16)| ApiVersion {
        api_key: api.code(),
        min_version: 0,
        max_version,
        ..Default::default()
    };
    let ranges = [
        (ApiKey::ApiVersions, 5),
        (ApiKey::Metadata, 9),
        (ApiKey::FindCoordinator, 3),
        (ApiKey::ListOffsets, 5),
        (ApiKey::Fetch, 11),
        (ApiKey::JoinGroup, 7),
        (ApiKey::SyncGroup, 5),
        (ApiKey::Heartbeat, 4),
        (ApiKey::LeaveGroup, 4),
        (ApiKey::OffsetCommit, 8),
        (ApiKey::OffsetFetch, 7),
    ];
    ApiVersionsResponse {
        api_keys: ranges.map(range).to_vec(),
        ..Default::default()
    }
}

fn metadata(state: &State) -> MetadataResponse {
    let broker = |(port, node_id): (u16, i32)| MetadataResponseBroker {
        node_id,
        host: "127.0.0.1".into(),
        port: i32::from(port),
        ..Default::default()
    };
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some(TOPIC.into()),
        partitions: (0..state.partitions).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: state.ports.into_iter().zip(1..).map(broker).collect(),
        topics: vec![topic],
        ..Default::default()
    }
}

/// -2 asks for the beginning, -1 for the end.
fn offsets(request: &ListOffsetsRequest) -> ListOffsetsResponse {
    let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
    let partition = |partition: &dohle_protocol::messages::list_offsets::ListOffsetsPartition| ListOffsetsPartitionResponse {
        partition_index: partition.partition_index,
        offset: if partition.timestamp == -2 { 0 } else { RECORDS },
        ..Default::default()
    };
    let topic = ListOffsetsTopicResponse {
        name: TOPIC.into(),
        partitions: asked.map(partition).collect(),
        ..Default::default()
    };
    ListOffsetsResponse {
        topics: vec![topic],
        ..Default::default()
    }
}

fn fetch(request: &FetchRequest) -> FetchResponse {
    let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
    let partition = |partition: &dohle_protocol::messages::fetch::FetchPartition| PartitionData {
        partition_index: partition.partition,
        high_watermark: RECORDS,
        records: Some(records(partition.partition, partition.fetch_offset)),
        ..Default::default()
    };
    let topic = FetchableTopicResponse {
        topic: TOPIC.into(),
        partitions: asked.map(partition).collect(),
        ..Default::default()
    };
    FetchResponse {
        responses: vec![topic],
        ..Default::default()
    }
}

/// One record to a batch; the value of the third of partition 1 is `1-2`.
fn records(partition: i32, from: i64) -> Bytes {
    let batch = |offset: i64| {
        let mut builder = RecordBatchBuilder::new().base_offset(Offset(offset));
        builder.append(0, None, Some(format!("{partition}-{offset}").as_bytes()), &[]);
        builder.build()
    };
    let batches: Vec<Bytes> = (from..RECORDS).map(batch).collect();
    Bytes::from(batches.concat())
}

fn join(asked: &Asked, request: &JoinGroupRequest, state: &mut State) -> JoinGroupResponse {
    let refused = |code: ErrorCode| JoinGroupResponse {
        error_code: code.code(),
        ..Default::default()
    };
    if asked.node != state.coordinator {
        return refused(ErrorCode::NotCoordinator);
    }
    if let Some(code) = state.join {
        return refused(code);
    }
    if request.member_id.is_empty() && request.group_instance_id.is_none() {
        state.members_made += 1;
        return JoinGroupResponse {
            member_id: format!("member {}", state.members_made),
            ..refused(ErrorCode::MemberIdRequired)
        };
    }
    let member_id = if request.member_id.is_empty() {
        "static"
    } else {
        &request.member_id
    };
    let protocol = &request.protocols[0];
    state
        .events
        .push(format!("join {member_id} owning {}", owned_in(&protocol.metadata)));
    state.generation += 1;
    state.heartbeat = None;
    let member = JoinGroupResponseMember {
        member_id: member_id.to_owned(),
        metadata: protocol.metadata.clone(),
        ..Default::default()
    };
    JoinGroupResponse {
        generation_id: state.generation,
        protocol_type: Some("consumer".into()),
        protocol_name: Some(protocol.name.clone()),
        leader: if state.leads { member_id.to_owned() } else { "other".to_owned() },
        member_id: member_id.to_owned(),
        members: if state.leads { vec![member] } else { Vec::new() },
        ..Default::default()
    }
}

fn sync(asked: &Asked, request: &SyncGroupRequest, state: &mut State) -> SyncGroupResponse {
    let mut response = SyncGroupResponse::default();
    if asked.node != state.coordinator {
        response.error_code = ErrorCode::NotCoordinator.code();
    } else if let Some(own) = request.assignments.first() {
        let decided = ConsumerProtocolAssignment::decode(own.assignment.clone()).unwrap();
        state.events.push(format!("assign {}", listed(&decided.assigned_partitions)));
        response.assignment = own.assignment.clone();
    } else {
        response.assignment = assignment(&state.assigned);
    }
    response
}

fn heartbeat(asked: &Asked, request: &HeartbeatRequest, state: &mut State) -> HeartbeatResponse {
    let code = if asked.node != state.coordinator {
        ErrorCode::NotCoordinator
    } else if request.generation_id != state.generation {
        ErrorCode::IllegalGeneration
    } else {
        state.heartbeat.unwrap_or(ErrorCode::None)
    };
    if code == ErrorCode::None {
        state.events.retain(|event| !event.starts_with("heartbeat"));
        state
            .events
            .push(format!("heartbeat of {} at node {}", request.member_id, asked.node));
    }
    HeartbeatResponse {
        error_code: code.code(),
        ..Default::default()
    }
}

fn leave(request: &LeaveGroupRequest, state: &mut State) -> LeaveGroupResponse {
    let ids: Vec<&str> = request.members.iter().map(|member| member.member_id.as_str()).collect();
    state.events.push(format!("leave {}", ids.join(",")));
    LeaveGroupResponse::default()
}

fn commit(asked: &Asked, request: &OffsetCommitRequest, state: &mut State) -> OffsetCommitResponse {
    let generation = request.generation_id_or_member_epoch;
    let code = if asked.node != state.coordinator {
        ErrorCode::NotCoordinator
    } else if generation >= 0 && generation != state.generation {
        ErrorCode::IllegalGeneration
    } else {
        ErrorCode::None
    };
    let mut partitions = Vec::new();
    for partition in request.topics.iter().flat_map(|topic| &topic.partitions) {
        let (index, offset) = (partition.partition_index, partition.committed_offset);
        if code == ErrorCode::None {
            state.committed.insert(index, offset);
            state.events.push(format!("commit {index} at {offset} in {generation}"));
        }
        partitions.push(OffsetCommitResponsePartition {
            partition_index: index,
            error_code: code.code(),
            ..Default::default()
        });
    }
    let topic = OffsetCommitResponseTopic {
        name: TOPIC.into(),
        partitions,
        ..Default::default()
    };
    OffsetCommitResponse {
        topics: vec![topic],
        ..Default::default()
    }
}

fn committed(asked: &Asked, request: &OffsetFetchRequest, state: &State) -> OffsetFetchResponse {
    if asked.node != state.coordinator {
        return OffsetFetchResponse {
            error_code: ErrorCode::NotCoordinator.code(),
            ..Default::default()
        };
    }
    let indexes: Vec<i32> = match &request.topics {
        Some(topics) => topics.iter().flat_map(|topic| topic.partition_indexes.clone()).collect(),
        None => state.committed.keys().copied().collect(),
    };
    let partition = |&index: &i32| OffsetFetchResponsePartition {
        partition_index: index,
        committed_offset: state.committed.get(&index).copied().unwrap_or(-1),
        ..Default::default()
    };
    let topic = OffsetFetchResponseTopic {
        name: TOPIC.into(),
        partitions: indexes.iter().map(partition).collect(),
        ..Default::default()
    };
    OffsetFetchResponse {
        topics: vec![topic],
        ..Default::default()
    }
}
