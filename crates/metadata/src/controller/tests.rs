//! A cluster in memory: what is decided is applied at once.

mod alter_partition;
mod brokers;
mod configs;
mod elections;
mod eligible;
mod features;
mod internal_topics;
mod partitions;
mod placement;
mod properties;
mod random_cluster;
mod reassignments;
mod restarts;
mod shutdown;
mod topics;

use super::brokers::BrokerState;
use super::*;
use crate::image::topics::PartitionImage;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{Offset, PartitionIndex};
use dohle_protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult, CreateTopicsRequest,
};
use uuid::Uuid;

const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

struct Cluster {
    controller: Controller,
    image: ClusterImage,
    soft: Soft,
    now_ms: i64,
    seed: u128,
    log: Vec<MetadataRecord>,
}

impl Cluster {
    /// Brokers 1 to `brokers`, registered and active.
    fn of(brokers: i32) -> Cluster {
        let mut cluster = Cluster {
            controller: Controller::new(BrokerId(1)),
            image: ClusterImage::default(),
            soft: Soft::default(),
            now_ms: 1_000_000,
            seed: 7,
            log: Vec::new(),
        };
        cluster.ask(ControllerRequest::Bootstrap {
            cluster_id: CLUSTER.to_owned(),
        });
        for id in 1..=brokers {
            let epoch = cluster.register(id, 100 + id as u128).unwrap();
            cluster.beat(id, epoch, false, false).unwrap();
        }
        cluster
    }

    fn decide(&mut self, request: ControllerRequest) -> Decision {
        self.seed += 1;
        self.soft.reached(Offset(self.offset()));
        let decision = self.controller.decide(&self.image, &mut self.soft, self.now_ms, self.seed, request);
        for record in &decision.records {
            self.image.apply(record);
        }
        self.log.extend(decision.records.iter().cloned());
        decision
    }

    fn ask(&mut self, request: ControllerRequest) -> ControllerReply {
        self.decide(request).reply
    }

    /// The offset of the last record.
    fn offset(&self) -> i64 {
        self.log.len() as i64 - 1
    }

    /// A process that has not ended in order before.
    fn register(&mut self, id: i32, incarnation: u128) -> Result<i64, Refusal> {
        self.register_with(registration(id, incarnation))
    }

    /// A process that ended in order under this epoch before.
    fn register_again(&mut self, id: i32, incarnation: u128, previous_broker_epoch: i64) -> Result<i64, Refusal> {
        self.register_with(BrokerRegistrationRequest {
            previous_broker_epoch,
            ..registration(id, incarnation)
        })
    }

    fn register_with(&mut self, registration: BrokerRegistrationRequest) -> Result<i64, Refusal> {
        let ControllerReply::RegisterBroker(reply) = self.ask(ControllerRequest::RegisterBroker(registration)) else {
            unreachable!()
        };
        reply
    }

    fn beat(&mut self, id: i32, broker_epoch: i64, want_fence: bool, want_shut_down: bool) -> Result<BrokerState, Refusal> {
        self.beat_with(BrokerHeartbeatRequest {
            broker_id: id,
            broker_epoch,
            current_metadata_offset: self.offset(),
            want_fence,
            want_shut_down,
            ..Default::default()
        })
    }

    fn beat_with(&mut self, heartbeat: BrokerHeartbeatRequest) -> Result<BrokerState, Refusal> {
        let ControllerReply::BrokerHeartbeat(reply) = self.ask(ControllerRequest::BrokerHeartbeat(heartbeat)) else {
            unreachable!()
        };
        reply
    }

    /// A heartbeat of a broker that has nothing to ask for.
    fn alive(&mut self, id: i32) {
        let epoch = self.epoch(id);
        self.beat(id, epoch, false, false).unwrap();
    }

    fn fence(&mut self, id: i32) {
        let epoch = self.epoch(id);
        assert!(self.beat(id, epoch, true, false).unwrap().fenced);
    }

    /// The only partition of a topic `t` with these replicas.
    fn on_replicas(&mut self, replicas: &[i32]) {
        let result = self.create(with_replicas(topic("t", -1, -1), &[(0, replicas)]));
        assert_eq!(error_of(result.error_code, &result.error_message), (ErrorCode::None, ""));
    }

    fn partition(&self, topic: &str) -> &PartitionImage {
        self.image.partition(topic, PartitionIndex(0)).unwrap()
    }

    /// Leader and in-sync replicas of the first partition.
    fn led(&self, topic: &str) -> (i32, Vec<i32>) {
        let partition = self.partition(topic);
        (partition.leader.0, crate::image::topics::raw_ids(&partition.isr))
    }

    /// In-sync, eligible and last known eligible replicas of the first partition.
    fn holders(&self, topic: &str) -> [Vec<i32>; 3] {
        let partition = self.partition(topic);
        [&partition.isr, &partition.elr, &partition.last_known_elr].map(|ids| crate::image::topics::raw_ids(ids))
    }

    fn set_topic_config(&mut self, topic: &str, name: &str, value: &str) {
        let outcome = self.set_config(2, topic, &[(name, 0, Some(value))]);
        assert_eq!(outcome.0, ErrorCode::None, "{}", outcome.1);
    }

    fn epoch(&self, id: i32) -> i64 {
        self.image.broker(BrokerId(id)).unwrap().epoch
    }

    fn create_all(&mut self, topics: Vec<CreatableTopic>, validate_only: bool) -> Vec<CreatableTopicResult> {
        let request = CreateTopicsRequest {
            topics,
            validate_only,
            ..Default::default()
        };
        let ControllerReply::CreateTopics(response) = self.ask(ControllerRequest::CreateTopics(request)) else {
            unreachable!()
        };
        response.topics
    }

    fn create(&mut self, topic: CreatableTopic) -> CreatableTopicResult {
        self.create_all(vec![topic], false).remove(0)
    }

    /// A topic that must come to be.
    fn topic(&mut self, name: &str, partitions: i32, replication_factor: i16) {
        let result = self.create(topic(name, partitions, replication_factor));
        assert_eq!(error_of(result.error_code, &result.error_message), (ErrorCode::None, ""));
    }

    fn set_config(&mut self, resource: i8, name: &str, configs: &[(&str, i8, Option<&str>)]) -> (ErrorCode, String) {
        configs::incremental(self, vec![configs::resource(resource, name, configs)], false).remove(0)
    }
}

fn registration(id: i32, incarnation: u128) -> BrokerRegistrationRequest {
    BrokerRegistrationRequest {
        broker_id: id,
        incarnation_id: Uuid::from_u128(incarnation),
        cluster_id: CLUSTER.to_owned(),
        ..Default::default()
    }
}

fn ids(raw: &[i32]) -> Vec<BrokerId> {
    raw.iter().map(|id| BrokerId(*id)).collect()
}

fn topic(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.to_owned(),
        num_partitions,
        replication_factor,
        ..Default::default()
    }
}

fn with_configs(mut topic: CreatableTopic, configs: &[(&str, Option<&str>)]) -> CreatableTopic {
    let to_wire = |(name, value): &(&str, Option<&str>)| CreatableTopicConfig {
        name: name.to_string(),
        value: value.map(str::to_owned),
        ..Default::default()
    };
    topic.configs = configs.iter().map(to_wire).collect();
    topic
}

fn with_replicas(mut topic: CreatableTopic, assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let to_wire = |(partition_index, broker_ids): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: broker_ids.to_vec(),
        ..Default::default()
    };
    topic.assignments = assignments.iter().map(to_wire).collect();
    topic
}

fn error_of(code: i16, message: &Option<String>) -> (ErrorCode, &str) {
    (ErrorCode::from_code(code), message.as_deref().unwrap_or_default())
}
