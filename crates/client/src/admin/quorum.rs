//! The metadata quorum: who votes, who leads, who lags; and other voters.

use dohle_protocol::messages::add_raft_voter::{AddRaftVoterRequest, Listener};
use dohle_protocol::messages::describe_quorum::{DescribeQuorumRequest, Node, ReplicaState, RequestPartitionData, RequestTopicData};
use dohle_protocol::messages::remove_raft_voter::RemoveRaftVoterRequest;
use uuid::Uuid;

use super::Admin;
use crate::error::ClientError;

const METADATA_TOPIC: &str = "__cluster_metadata";

#[derive(Debug, Clone)]
pub struct QuorumDescription {
    pub leader_id: i32,
    pub leader_epoch: i32,
    pub high_watermark: i64,
    pub voters: Vec<ReplicaState>,
    pub observers: Vec<ReplicaState>,
    pub nodes: Vec<Node>,
}

impl Admin {
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, ClientError> {
        let partition = RequestPartitionData {
            partition_index: 0,
            ..Default::default()
        };
        let topic = RequestTopicData {
            topic_name: METADATA_TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let response = self
            .cluster
            .call_controller(&DescribeQuorumRequest {
                topics: vec![topic],
                ..Default::default()
            })
            .await?;
        ClientError::check(response.error_code, response.error_message)?;
        let partition = response.topics.into_iter().flat_map(|topic| topic.partitions).next();
        let partition = partition.ok_or_else(|| ClientError::Incomplete("the server's answer describes no quorum".to_owned()))?;
        ClientError::check(partition.error_code, partition.error_message)?;
        Ok(QuorumDescription {
            leader_id: partition.leader_id,
            leader_epoch: partition.leader_epoch,
            high_watermark: partition.high_watermark,
            voters: partition.current_voters,
            observers: partition.observers,
            nodes: response.nodes,
        })
    }

    /// Gives a controller that runs a vote, when it has caught up.
    pub async fn add_voter(&self, id: i32, directory_id: Uuid, listeners: Vec<Listener>) -> Result<(), ClientError> {
        let request = AddRaftVoterRequest {
            timeout_ms: self.timeout_ms(),
            voter_id: id,
            voter_directory_id: directory_id,
            listeners,
            ..Default::default()
        };
        let asked = self.ask_controller(&request, |response| (response.error_code, response.error_message.clone()));
        asked.await.map(drop)
    }

    pub async fn remove_voter(&self, id: i32, directory_id: Uuid) -> Result<(), ClientError> {
        let request = RemoveRaftVoterRequest {
            voter_id: id,
            voter_directory_id: directory_id,
            ..Default::default()
        };
        let asked = self.ask_controller(&request, |response| (response.error_code, response.error_message.clone()));
        asked.await.map(drop)
    }
}
