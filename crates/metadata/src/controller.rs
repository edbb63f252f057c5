//! Who may change the cluster, and how: a request becomes records, which are committed elsewhere, and the reply that then leaves.
//!
//! `decide` looks at the image that all earlier records amount to. Requests are messages of the protocol, so that any node can ask any
//! other; [`brokers`] and [`producer_ids`] say what brokers are told.

mod alter_partition;
pub mod brokers;
mod configs;
mod draft;
mod elections;
mod features;
pub mod internal_topics;
mod leadership;
mod partition_change;
mod partitions;
mod placement;
pub mod producer_ids;
mod random;
pub mod reassignments;
mod refusal;
mod soft;
mod topics;

use std::collections::BTreeMap;

use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::allocate_producer_ids::AllocateProducerIdsRequest;
use dohle_protocol::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use dohle_protocol::messages::alter_partition::{AlterPartitionRequest, AlterPartitionResponse};
use dohle_protocol::messages::alter_partition_reassignments::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
use dohle_protocol::messages::broker_heartbeat::BrokerHeartbeatRequest;
use dohle_protocol::messages::broker_registration::BrokerRegistrationRequest;
use dohle_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use dohle_protocol::messages::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use dohle_protocol::messages::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use dohle_protocol::messages::elect_leaders::{ElectLeadersRequest, ElectLeadersResponse};
use dohle_protocol::messages::incremental_alter_configs::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
use dohle_protocol::messages::list_partition_reassignments::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
use dohle_protocol::messages::unregister_broker::UnregisterBrokerRequest;
use dohle_protocol::messages::update_features::{UpdateFeaturesRequest, UpdateFeaturesResponse};

use crate::config::broker::BrokerView;
use crate::config::key::ConfigKey;
use crate::image::ClusterImage;
use crate::limits::BROKER_SESSION_TIMEOUT_MS;
use crate::record::{ClusterRecord, FeatureLevelRecord, MetadataRecord};
use brokers::BrokerState;
use draft::Draft;
use producer_ids::ProducerIdBlock;
use random::Random;
pub use refusal::Refusal;
pub use soft::Soft;

/// The feature whose level says which metadata records the cluster may hold.
pub const METADATA_FEATURE: &str = "dohle.metadata";
const METADATA_LEVEL: i16 = 1;

/// Decides, with the configuration of the node on which it runs.
#[derive(Debug, Clone)]
pub struct Controller {
    pub node_id: BrokerId,
    /// What file and command line of this node set: defaults of new topics come from here, unless altered for brokers.
    pub file: BTreeMap<String, String>,
    /// The keys that a broker has besides the defaults of topics.
    pub broker_keys: Vec<ConfigKey>,
    /// A broker that was not heard of for this long is fenced.
    pub session_timeout_ms: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ControllerRequest {
    /// Names the cluster, unless it has a name already.
    Bootstrap {
        cluster_id: String,
    },
    CreateTopics(CreateTopicsRequest),
    DeleteTopics(DeleteTopicsRequest),
    CreatePartitions(CreatePartitionsRequest),
    AlterConfigs(AlterConfigsRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    RegisterBroker(BrokerRegistrationRequest),
    BrokerHeartbeat(BrokerHeartbeatRequest),
    UnregisterBroker(UnregisterBrokerRequest),
    /// The process of this registration is known to be gone: its connection broke, and its listener refuses another.
    FenceBroker {
        broker_id: BrokerId,
        broker_epoch: i64,
    },
    /// The connection by which the process of this registration was heard of has broken. That may have other reasons.
    BrokerHungUp {
        broker_id: BrokerId,
        broker_epoch: i64,
    },
    /// To be asked now and then.
    FenceSilentBrokers,
    /// Of the node that was the controller before. It was silent for some time when this one followed it, and should have been heard of since.
    FenceUnheard {
        broker_id: BrokerId,
    },
    AlterPartition(AlterPartitionRequest),
    ElectLeaders(ElectLeadersRequest),
    /// To be asked every `leader.imbalance.check.interval.seconds`.
    BalanceLeaders,
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    ListPartitionReassignments(ListPartitionReassignmentsRequest),
    UpdateFeatures(UpdateFeaturesRequest),
    AllocateProducerIds(AllocateProducerIdsRequest),
}

/// The reply to the request of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum ControllerReply {
    Bootstrap {
        cluster_id: String,
    },
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    CreatePartitions(CreatePartitionsResponse),
    AlterConfigs(AlterConfigsResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    /// The epoch of the registration.
    RegisterBroker(Result<i64, Refusal>),
    BrokerHeartbeat(Result<BrokerState, Refusal>),
    UnregisterBroker(Result<(), Refusal>),
    FenceBroker(Result<(), Refusal>),
    BrokerHungUp(Result<(), Refusal>),
    FenceSilentBrokers,
    FenceUnheard,
    AlterPartition(AlterPartitionResponse),
    ElectLeaders(ElectLeadersResponse),
    BalanceLeaders {
        moved: usize,
    },
    AlterPartitionReassignments(AlterPartitionReassignmentsResponse),
    ListPartitionReassignments(ListPartitionReassignmentsResponse),
    UpdateFeatures(UpdateFeaturesResponse),
    AllocateProducerIds(Result<ProducerIdBlock, Refusal>),
}

/// The records are committed as one, or not at all; the reply is true once they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub records: Vec<MetadataRecord>,
    pub reply: ControllerReply,
}

impl Controller {
    /// A controller that knows the keys of topics only.
    pub fn new(node_id: BrokerId) -> Controller {
        Controller {
            node_id,
            file: BTreeMap::new(),
            broker_keys: Vec::new(),
            session_timeout_ms: BROKER_SESSION_TIMEOUT_MS,
        }
    }

    /// The same arguments make the same decision; ids and placement are drawn from the seed.
    pub fn decide(&self, image: &ClusterImage, soft: &mut Soft, now_ms: i64, seed: u128, request: ControllerRequest) -> Decision {
        soft.observe(now_ms, self.session_timeout_ms);
        let mut draft = Draft::new(image);
        let reply = self.reply(&mut draft, soft, now_ms, seed, request);
        Decision {
            records: draft.into_records(),
            reply,
        }
    }

    fn reply(&self, draft: &mut Draft, soft: &mut Soft, now_ms: i64, seed: u128, request: ControllerRequest) -> ControllerReply {
        use ControllerReply as Reply;
        use ControllerRequest as Request;
        let mut random = Random::new(seed);
        match request {
            Request::Bootstrap { cluster_id } => self.bootstrap(draft, cluster_id),
            Request::CreateTopics(request) => Reply::CreateTopics(self.create_topics(draft, &mut random, &request)),
            Request::DeleteTopics(request) => Reply::DeleteTopics(topics::delete_topics(draft, request)),
            Request::CreatePartitions(request) => Reply::CreatePartitions(partitions::create_partitions(draft, &mut random, &request)),
            Request::AlterConfigs(request) => Reply::AlterConfigs(self.alter_configs(draft, &request)),
            Request::IncrementalAlterConfigs(request) => Reply::IncrementalAlterConfigs(self.incremental_alter_configs(draft, &request)),
            Request::RegisterBroker(request) => Reply::RegisterBroker(self.register_broker(draft, soft, now_ms, request)),
            Request::BrokerHeartbeat(request) => Reply::BrokerHeartbeat(self.heartbeat(draft, soft, &request)),
            Request::UnregisterBroker(request) => Reply::UnregisterBroker(self.unregister_broker(draft, soft, BrokerId(request.broker_id))),
            Request::FenceBroker { broker_id, broker_epoch } => Reply::FenceBroker(self.fence_broker(draft, soft, broker_id, broker_epoch)),
            Request::BrokerHungUp { broker_id, broker_epoch } => Reply::BrokerHungUp(self.hung_up(draft, soft, broker_id, broker_epoch)),
            Request::FenceSilentBrokers => {
                self.fence_silent_brokers(draft, soft);
                Reply::FenceSilentBrokers
            }
            Request::FenceUnheard { broker_id } => {
                self.fence_unheard(draft, soft, broker_id);
                Reply::FenceUnheard
            }
            Request::AlterPartition(request) => Reply::AlterPartition(self.alter_partition(draft, &request)),
            Request::ElectLeaders(request) => Reply::ElectLeaders(self.elect_leaders(draft, &request)),
            Request::BalanceLeaders => Reply::BalanceLeaders {
                moved: self.balance_leaders(draft),
            },
            Request::AlterPartitionReassignments(request) => Reply::AlterPartitionReassignments(self.alter_reassignments(draft, &request)),
            Request::ListPartitionReassignments(request) => {
                Reply::ListPartitionReassignments(reassignments::list_reassignments(draft.image(), &request))
            }
            Request::UpdateFeatures(request) => Reply::UpdateFeatures(features::update_features(draft, &request)),
            Request::AllocateProducerIds(request) => Reply::AllocateProducerIds(producer_ids::allocate(draft, &request)),
        }
    }

    fn bootstrap(&self, draft: &mut Draft, cluster_id: String) -> ControllerReply {
        if let Some(existing) = draft.image().cluster_id() {
            return ControllerReply::Bootstrap {
                cluster_id: existing.to_owned(),
            };
        }
        draft.push(ClusterRecord {
            cluster_id: cluster_id.clone(),
            ..Default::default()
        });
        draft.push(FeatureLevelRecord {
            name: METADATA_FEATURE.to_owned(),
            level: METADATA_LEVEL,
            ..Default::default()
        });
        ControllerReply::Bootstrap { cluster_id }
    }

    /// What is configured for the broker on this node.
    fn view<'a>(&'a self, image: &'a ClusterImage) -> BrokerView<'a> {
        BrokerView::of(image, self.node_id, &self.file)
    }
}

#[cfg(test)]
mod tests;
