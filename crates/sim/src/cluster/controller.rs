//! The active controller and the metadata that it has written: the real decisions, committed at once and in order.

use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest, Soft};
use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::topics::PartitionImage;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};
use dohle_protocol::messages::alter_partition::{AlterPartitionRequest, AlterPartitionResponse, BrokerState, PartitionData, TopicData};
use dohle_protocol::messages::create_topics::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_replication::{IsrProposal, IsrState};

use super::plan::SESSION_MS;

pub(super) const CLUSTER: &str = "simulated";
pub(super) const TOPIC: &str = "t";

pub(super) struct ActiveController {
    inner: Controller,
    soft: Soft,
    /// What its clock is ahead of time.
    skew_ms: i64,
    seed: u128,
    pub(super) is_up: bool,
    /// The metadata after each entry.
    pub(super) images: Vec<ClusterImage>,
    pub(super) topic: Option<TopicId>,
}

impl ActiveController {
    pub(super) fn new() -> ActiveController {
        let mut controller = ActiveController {
            inner: inner(BrokerId(100)),
            soft: Soft::default(),
            skew_ms: 0,
            seed: 0,
            is_up: true,
            images: vec![ClusterImage::default()],
            topic: None,
        };
        controller.ask(
            0,
            ControllerRequest::Bootstrap {
                cluster_id: CLUSTER.to_owned(),
            },
        );
        controller
    }

    /// Another node is active from now on. It knows what is written, and nothing else.
    pub(super) fn replace(&mut self, node: BrokerId, skew_ms: i64) {
        self.inner = inner(node);
        self.soft = Soft::default();
        self.skew_ms = skew_ms;
    }

    pub(super) fn image(&self) -> &ClusterImage {
        self.images.last().expect("the first is always there")
    }

    pub(super) fn latest(&self) -> usize {
        self.images.len() - 1
    }

    /// Decides and commits. Whether anything has changed can be seen by the number of images.
    pub(super) fn ask(&mut self, now_ms: i64, request: ControllerRequest) -> ControllerReply {
        self.seed += 1;
        self.soft.reached(Offset(self.latest() as i64));
        let mut image = self.image().clone();
        let decision = self.inner.decide(&image, &mut self.soft, now_ms + self.skew_ms, self.seed, request);
        if !decision.records.is_empty() {
            decision.records.iter().for_each(|record| image.apply(record));
            self.topic = image.topic(TOPIC).map(|topic| topic.id);
            self.images.push(image);
        }
        decision.reply
    }

    pub(super) fn partition(&self, partition: usize) -> Option<&PartitionImage> {
        partition_of(self.image(), partition)
    }

    pub(super) fn alter(
        &mut self,
        now_ms: i64,
        broker: BrokerId,
        broker_epoch: i64,
        partition: usize,
        proposal: &IsrProposal,
    ) -> Result<IsrState, ErrorCode> {
        let topic_id = self.topic.ok_or(ErrorCode::UnknownTopicId)?.0;
        let states = proposal.isr.iter().map(|replica| BrokerState {
            broker_id: replica.id.0,
            broker_epoch: replica.broker_epoch,
            ..Default::default()
        });
        let data = PartitionData {
            partition_index: partition as i32,
            leader_epoch: proposal.leader_epoch.0,
            new_isr_with_epochs: states.collect(),
            partition_epoch: proposal.partition_epoch,
            ..Default::default()
        };
        let request = AlterPartitionRequest {
            broker_id: broker.0,
            broker_epoch,
            topics: vec![TopicData {
                topic_id,
                partitions: vec![data],
                ..Default::default()
            }],
            ..Default::default()
        };
        let ControllerReply::AlterPartition(response) = self.ask(now_ms, ControllerRequest::AlterPartition(request)) else {
            unreachable!("each request has its reply")
        };
        isr_state(&response)
    }

    /// One topic, with these replicas of each partition.
    pub(super) fn create(&mut self, now_ms: i64, replicas: &[Vec<i32>], min_insync_replicas: usize) {
        let assignments = replicas.iter().enumerate().map(|(index, ids)| CreatableReplicaAssignment {
            partition_index: index as i32,
            broker_ids: ids.clone(),
            ..Default::default()
        });
        let topic = CreatableTopic {
            name: TOPIC.to_owned(),
            num_partitions: -1,
            replication_factor: -1,
            assignments: assignments.collect(),
            configs: vec![CreatableTopicConfig {
                name: "min.insync.replicas".to_owned(),
                value: Some(min_insync_replicas.to_string()),
                ..Default::default()
            }],
            ..Default::default()
        };
        let request = CreateTopicsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        self.ask(now_ms, ControllerRequest::CreateTopics(request));
    }
}

fn inner(node: BrokerId) -> Controller {
    Controller {
        session_timeout_ms: SESSION_MS,
        ..Controller::new(node)
    }
}

pub(super) fn partition_of(image: &ClusterImage, partition: usize) -> Option<&PartitionImage> {
    image.topic(TOPIC)?.partitions.get(&PartitionIndex(partition as i32))
}

fn isr_state(response: &AlterPartitionResponse) -> Result<IsrState, ErrorCode> {
    let code = |code| match ErrorCode::from_code(code) {
        ErrorCode::None => Ok(()),
        error => Err(error),
    };
    code(response.error_code)?;
    let result = &response.topics[0].partitions[0];
    code(result.error_code)?;
    Ok(IsrState {
        leader_epoch: LeaderEpoch(result.leader_epoch),
        partition_epoch: result.partition_epoch,
        isr: result.isr.iter().map(|id| BrokerId(*id)).collect(),
    })
}
