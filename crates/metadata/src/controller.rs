//! Who may change the cluster, and how: a request becomes records, which are committed elsewhere, and the reply that then leaves.
//!
//! `decide` looks at the image that all earlier records amount to. The requests of clients and their replies are the messages of the
//! protocol; what brokers ask is in [`brokers`] and [`producer_ids`].

pub mod brokers;
mod configs;
mod draft;
mod leadership;
mod partitions;
mod placement;
pub mod producer_ids;
mod random;
mod refusal;
mod soft;
mod topics;

use std::collections::BTreeMap;

use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
use dohle_protocol::messages::create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
use dohle_protocol::messages::create_topics::{CreateTopicsRequest, CreateTopicsResponse};
use dohle_protocol::messages::delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
use dohle_protocol::messages::incremental_alter_configs::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use crate::config::broker::BrokerView;
use crate::config::key::ConfigKey;
use crate::image::ClusterImage;
use crate::limits::BROKER_SESSION_TIMEOUT_MS;
use crate::record::{ClusterRecord, FeatureLevelRecord, MetadataRecord};
use brokers::{BrokerHeartbeat, BrokerRegistration, BrokerState};
use draft::Draft;
use producer_ids::{ProducerIdBlock, ProducerIdsRequest};
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
    RegisterBroker(BrokerRegistration),
    BrokerHeartbeat(BrokerHeartbeat),
    /// To be asked now and then.
    FenceSilentBrokers,
    AllocateProducerIds(ProducerIdsRequest),
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
    FenceSilentBrokers,
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
        let mut random = Random::new(seed);
        let reply = match request {
            ControllerRequest::Bootstrap { cluster_id } => self.bootstrap(&mut draft, cluster_id),
            ControllerRequest::CreateTopics(request) => {
                ControllerReply::CreateTopics(self.create_topics(&mut draft, &mut random, &request))
            }
            ControllerRequest::DeleteTopics(request) => ControllerReply::DeleteTopics(topics::delete_topics(&mut draft, request)),
            ControllerRequest::CreatePartitions(request) => {
                ControllerReply::CreatePartitions(partitions::create_partitions(&mut draft, &mut random, &request))
            }
            ControllerRequest::AlterConfigs(request) => ControllerReply::AlterConfigs(self.alter_configs(&mut draft, &request)),
            ControllerRequest::IncrementalAlterConfigs(request) => {
                ControllerReply::IncrementalAlterConfigs(self.incremental_alter_configs(&mut draft, &request))
            }
            ControllerRequest::RegisterBroker(request) => {
                ControllerReply::RegisterBroker(self.register_broker(&mut draft, soft, now_ms, request))
            }
            ControllerRequest::BrokerHeartbeat(request) => {
                ControllerReply::BrokerHeartbeat(brokers::heartbeat(&mut draft, soft, now_ms, request))
            }
            ControllerRequest::FenceSilentBrokers => {
                self.fence_silent_brokers(&mut draft, soft, now_ms);
                ControllerReply::FenceSilentBrokers
            }
            ControllerRequest::AllocateProducerIds(request) => {
                ControllerReply::AllocateProducerIds(producer_ids::allocate(&mut draft, request))
            }
        };
        Decision {
            records: draft.into_records(),
            reply,
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
