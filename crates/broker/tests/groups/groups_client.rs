//! What the tests of this folder ask for, in few words.

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use dohle_protocol::messages::find_coordinator::FindCoordinatorRequest;
use dohle_protocol::messages::heartbeat::HeartbeatRequest;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use dohle_protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use dohle_protocol::messages::offset_commit::{OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use dohle_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use dohle_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse};

use crate::harness::{Client, TestBroker, error_of};

/// Groups begin at once, and are all in one shard, unless a test wants otherwise.
pub(crate) const AT_ONCE: &[(&str, &str)] = &[("group.initial.rebalance.delay.ms", "0"), ("offsets.topic.num.partitions", "1")];

pub(crate) async fn start() -> TestBroker {
    let broker = TestBroker::start_with(AT_ONCE).await;
    ready(&broker).await;
    broker
}

/// Returns when there is a coordinator.
pub(crate) async fn ready(broker: &TestBroker) {
    let mut client = broker.connect().await;
    while find(&mut client, "g").await != ErrorCode::None {}
}

pub(crate) async fn find(client: &mut Client, group: &str) -> ErrorCode {
    let request = FindCoordinatorRequest {
        coordinator_keys: vec![group.to_string()],
        ..FindCoordinatorRequest::default()
    };
    let found = client.call(6, &request).await.coordinators.remove(0);
    let error = error_of(found.error_code);
    // Trap 41: a coordinator is somebody.
    assert_eq!(found.node_id >= 0 && found.port > 0, error == ErrorCode::None, "{found:?}");
    error
}

/// A member of a group, with a connection of its own.
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) generation: i32,
    pub(crate) is_leader: bool,
}

pub(crate) fn join_request(group: &str, member_id: &str, subscription: &[u8]) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.to_string(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: member_id.to_string(),
        protocol_type: "consumer".to_string(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_string(),
            metadata: Bytes::copy_from_slice(subscription),
            ..JoinGroupRequestProtocol::default()
        }],
        ..JoinGroupRequest::default()
    }
}

impl Member {
    /// Has asked for an id, and is not in the group yet.
    pub(crate) async fn introduce(broker: &TestBroker, group: &str) -> Member {
        let mut client = broker.connect().await;
        let answer = client.call(9, &join_request(group, "", b"s")).await;
        assert_eq!(error_of(answer.error_code), ErrorCode::MemberIdRequired);
        Member {
            client,
            group: group.to_string(),
            id: answer.member_id,
            generation: -1,
            is_leader: false,
        }
    }

    /// The only member of a stable group.
    pub(crate) async fn alone(broker: &TestBroker, group: &str) -> Member {
        let mut member = Member::introduce(broker, group).await;
        member.join().await;
        let own = member.id.clone();
        assert_eq!(member.sync(&[(&own, b"everything")]).await.assignment, "everything");
        member
    }

    pub(crate) async fn send_join(&mut self) -> i32 {
        self.client.send(9, &join_request(&self.group, &self.id, b"s")).await
    }

    pub(crate) async fn receive_join(&mut self, correlation_id: i32) -> JoinGroupResponse {
        let answer = self.client.receive::<JoinGroupRequest>(9, correlation_id).await;
        assert_eq!(error_of(answer.error_code), ErrorCode::None);
        self.generation = answer.generation_id;
        self.is_leader = answer.leader == self.id;
        assert_eq!(answer.members.is_empty(), !self.is_leader, "only the leader learns who is there");
        answer
    }

    pub(crate) async fn join(&mut self) -> JoinGroupResponse {
        let id = self.send_join().await;
        self.receive_join(id).await
    }

    pub(crate) async fn send_sync(&mut self, assignments: &[(&str, &[u8])]) -> i32 {
        let assignments = assignments.iter().map(|(member_id, assignment)| SyncGroupRequestAssignment {
            member_id: member_id.to_string(),
            assignment: Bytes::copy_from_slice(assignment),
            ..SyncGroupRequestAssignment::default()
        });
        let request = SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".to_string()),
            protocol_name: Some("range".to_string()),
            assignments: assignments.collect(),
            ..SyncGroupRequest::default()
        };
        self.client.send(5, &request).await
    }

    pub(crate) async fn receive_sync(&mut self, correlation_id: i32) -> SyncGroupResponse {
        let answer = self.client.receive::<SyncGroupRequest>(5, correlation_id).await;
        assert_eq!(error_of(answer.error_code), ErrorCode::None);
        answer
    }

    pub(crate) async fn sync(&mut self, assignments: &[(&str, &[u8])]) -> SyncGroupResponse {
        let id = self.send_sync(assignments).await;
        self.receive_sync(id).await
    }

    pub(crate) async fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..HeartbeatRequest::default()
        };
        error_of(self.client.call(4, &request).await.error_code)
    }

    pub(crate) async fn leave(&mut self) {
        let request = LeaveGroupRequest {
            group_id: self.group.clone(),
            members: vec![MemberIdentity {
                member_id: self.id.clone(),
                ..MemberIdentity::default()
            }],
            ..LeaveGroupRequest::default()
        };
        let answer = self.client.call(5, &request).await;
        assert_eq!((answer.error_code, answer.members[0].error_code), (0, 0));
    }

    pub(crate) async fn commit(&mut self, partition: i32, offset: i64) -> ErrorCode {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            ..commit_request(&self.group, &[("t", partition, offset, "")])
        };
        commit_error(&mut self.client, &request).await
    }
}

/// By nobody in particular; topic, partition, offset and text.
pub(crate) fn commit_request(group: &str, offsets: &[(&str, i32, i64, &str)]) -> OffsetCommitRequest {
    let topics = offsets.iter().map(|(topic, partition, offset, text)| OffsetCommitRequestTopic {
        name: topic.to_string(),
        partitions: vec![OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            committed_metadata: Some(text.to_string()),
            ..OffsetCommitRequestPartition::default()
        }],
        ..OffsetCommitRequestTopic::default()
    });
    OffsetCommitRequest {
        group_id: group.to_string(),
        topics: topics.collect(),
        ..OffsetCommitRequest::default()
    }
}

/// The error of the only partition.
pub(crate) async fn commit_error(client: &mut Client, request: &OffsetCommitRequest) -> ErrorCode {
    error_of(client.call(9, request).await.topics[0].partitions[0].error_code)
}

pub(crate) async fn commit(client: &mut Client, group: &str, partition: i32, offset: i64) -> ErrorCode {
    commit_error(client, &commit_request(group, &[("t", partition, offset, "")])).await
}

/// All that a group has committed: topic, partition, offset and text. Or why it is not told.
pub(crate) async fn committed(client: &mut Client, group: &str) -> Result<Vec<(String, i32, i64, String)>, ErrorCode> {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.to_string(),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    let group = client.call(9, &request).await.groups.remove(0);
    if group.error_code != 0 {
        return Err(error_of(group.error_code));
    }
    let partitions = group.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| {
            (
                name.clone(),
                partition.partition_index,
                partition.committed_offset,
                partition.metadata.unwrap(),
            )
        })
    });
    Ok(partitions.collect())
}

/// What a group has committed for partition 0 of `t`.
pub(crate) async fn position(client: &mut Client, group: &str) -> i64 {
    let topics = vec![OffsetFetchRequestTopics {
        name: "t".to_string(),
        partition_indexes: vec![0],
        ..OffsetFetchRequestTopics::default()
    }];
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: group.to_string(),
            topics: Some(topics),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    let group = client.call(9, &request).await.groups.remove(0);
    assert_eq!(error_of(group.error_code), ErrorCode::None);
    group.topics[0].partitions[0].committed_offset
}

pub(crate) async fn describe(client: &mut Client, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest {
        groups: vec![group.to_string()],
        ..DescribeGroupsRequest::default()
    };
    client.call(5, &request).await.groups.remove(0)
}
