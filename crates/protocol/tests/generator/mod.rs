//! Random but valid messages, written from the schema alone: an encoder that shares nothing with the one under test.

use dohle_protocol::message::{FieldSchema, Kind, Schema};

/// Calls `$callback!` with every message of Kafka's protocol in the crate.
macro_rules! for_each_api {
    ($callback:ident) => {
        $callback! {
            add_raft_voter::AddRaftVoterRequest, AddRaftVoterResponse;
            allocate_producer_ids::AllocateProducerIdsRequest, AllocateProducerIdsResponse;
            alter_configs::AlterConfigsRequest, AlterConfigsResponse;
            alter_partition::AlterPartitionRequest, AlterPartitionResponse;
            alter_partition_reassignments::AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse;
            api_versions::ApiVersionsRequest, ApiVersionsResponse;
            broker_heartbeat::BrokerHeartbeatRequest, BrokerHeartbeatResponse;
            broker_registration::BrokerRegistrationRequest, BrokerRegistrationResponse;
            create_partitions::CreatePartitionsRequest, CreatePartitionsResponse;
            create_topics::CreateTopicsRequest, CreateTopicsResponse;
            delete_groups::DeleteGroupsRequest, DeleteGroupsResponse;
            delete_records::DeleteRecordsRequest, DeleteRecordsResponse;
            delete_topics::DeleteTopicsRequest, DeleteTopicsResponse;
            describe_cluster::DescribeClusterRequest, DescribeClusterResponse;
            describe_configs::DescribeConfigsRequest, DescribeConfigsResponse;
            describe_groups::DescribeGroupsRequest, DescribeGroupsResponse;
            describe_log_dirs::DescribeLogDirsRequest, DescribeLogDirsResponse;
            describe_producers::DescribeProducersRequest, DescribeProducersResponse;
            describe_quorum::DescribeQuorumRequest, DescribeQuorumResponse;
            describe_topic_partitions::DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
            elect_leaders::ElectLeadersRequest, ElectLeadersResponse;
            fetch::FetchRequest, FetchResponse;
            find_coordinator::FindCoordinatorRequest, FindCoordinatorResponse;
            heartbeat::HeartbeatRequest, HeartbeatResponse;
            incremental_alter_configs::IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
            init_producer_id::InitProducerIdRequest, InitProducerIdResponse;
            join_group::JoinGroupRequest, JoinGroupResponse;
            leave_group::LeaveGroupRequest, LeaveGroupResponse;
            list_config_resources::ListConfigResourcesRequest, ListConfigResourcesResponse;
            list_groups::ListGroupsRequest, ListGroupsResponse;
            list_offsets::ListOffsetsRequest, ListOffsetsResponse;
            list_partition_reassignments::ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse;
            metadata::MetadataRequest, MetadataResponse;
            offset_commit::OffsetCommitRequest, OffsetCommitResponse;
            offset_delete::OffsetDeleteRequest, OffsetDeleteResponse;
            offset_fetch::OffsetFetchRequest, OffsetFetchResponse;
            offset_for_leader_epoch::OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
            produce::ProduceRequest, ProduceResponse;
            remove_raft_voter::RemoveRaftVoterRequest, RemoveRaftVoterResponse;
            sync_group::SyncGroupRequest, SyncGroupResponse;
            unregister_broker::UnregisterBrokerRequest, UnregisterBrokerResponse;
            update_features::UpdateFeaturesRequest, UpdateFeaturesResponse;
        }
    };
}
pub(crate) use for_each_api;

/// A small generator of random numbers (SplitMix64): the same seed gives the same message for ever.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

/// The bytes of one message of `version`.
pub(crate) fn message(schema: &Schema, version: i16, random: &mut Random) -> Vec<u8> {
    let flexible = schema.flexible.contains(version);
    let mut bytes = Vec::new();
    let mut tagged = Vec::new();
    for field in schema.fields.iter().filter(|field| field.versions.contains(version)) {
        match field.tag {
            None => bytes.extend(value(&field.kind, field, version, flexible && !field.never_flexible, random)),
            Some(tag) if random.one_in(2) => tagged.push((tag, value(&field.kind, field, version, true, random))),
            Some(_) => {}
        }
    }
    if flexible {
        if random.one_in(4) {
            tagged.push((1000 + random.below(70_000) as u32, vec![7; random.below(200)]));
        }
        bytes.extend(unsigned_varint(tagged.len() as u32));
        for (tag, content) in tagged {
            bytes.extend(unsigned_varint(tag));
            bytes.extend(unsigned_varint(content.len() as u32));
            bytes.extend(content);
        }
    }
    bytes
}

fn value(kind: &Kind, field: &FieldSchema, version: i16, flexible: bool, random: &mut Random) -> Vec<u8> {
    match *kind {
        Kind::Nullable(inner) => nullable(inner, field, version, flexible, random),
        Kind::Bool => vec![random.below(2) as u8],
        Kind::Int8 => number(1, random),
        Kind::Int16 | Kind::Uint16 => number(2, random),
        Kind::Int32 | Kind::Uint32 => number(4, random),
        Kind::Int64 | Kind::Float64 => number(8, random),
        Kind::Uuid => [number(8, random), number(8, random)].concat(),
        Kind::String => {
            let length = if random.one_in(10) { 300 } else { random.below(20) };
            let text: String = (0..length).map(|_| ['a', 'Z', '0', '.', 'é', '토'][random.below(6)]).collect();
            [length_prefix(Some(text.len()), flexible, 2), text.into_bytes()].concat()
        }
        Kind::Bytes => {
            let length = if random.one_in(4) { 3000 } else { random.below(100) };
            let content: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
            [length_prefix(Some(length), flexible, 4), content].concat()
        }
        Kind::Array(element) => {
            let count = random.below(4);
            let mut bytes = length_prefix(Some(count), flexible, 4);
            bytes.extend((0..count).flat_map(|_| value(element, field, version, flexible, random)));
            bytes
        }
        Kind::Struct(schema) => message(schema, version, random),
    }
}

fn nullable(inner: &Kind, field: &FieldSchema, version: i16, flexible: bool, random: &mut Random) -> Vec<u8> {
    let null = field.nullable.contains(version) && random.one_in(3);
    match (inner, null) {
        (Kind::Struct(_), true) => vec![0xff],
        (Kind::Struct(schema), false) => [vec![1], message(schema, version, random)].concat(),
        (Kind::String, true) => length_prefix(None, flexible, 2),
        (_, true) => length_prefix(None, flexible, 4),
        (_, false) => value(inner, field, version, flexible, random),
    }
}

/// Small and large values, so that defaults (0 and -1) come up, too.
fn number(size: usize, random: &mut Random) -> Vec<u8> {
    match random.below(4) {
        0 => vec![0; size],
        1 => vec![0xff; size],
        _ => random.next().to_be_bytes()[8 - size..].to_vec(),
    }
}

fn length_prefix(length: Option<usize>, flexible: bool, classic_size: usize) -> Vec<u8> {
    if flexible {
        return unsigned_varint(length.map_or(0, |length| length as u32 + 1));
    }
    length.map_or(-1, |length| length as i64).to_be_bytes()[8 - classic_size..].to_vec()
}

pub(crate) fn unsigned_varint(mut value: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
