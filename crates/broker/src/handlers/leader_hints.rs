//! Who leads a partition, told with the error that says that this broker does not, so that the client need not ask (KIP-951).

use std::collections::BTreeSet;
use std::sync::Arc;

use dohle_metadata::image::ClusterImage;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, PartitionIndex};
use dohle_replication::TopicRef;

use crate::cluster::endpoints;
use crate::config::Endpoint;
use crate::dispatch::RequestContext;
use crate::state::BrokerState;

/// Collects the leaders that one answer names. Costs nothing while there is no error of leadership.
#[derive(Default)]
pub(super) struct LeaderHints {
    image: Option<Arc<ClusterImage>>,
    leaders: BTreeSet<BrokerId>,
}

/// How a leader is reached.
pub(super) struct Leader {
    pub(super) node_id: i32,
    pub(super) endpoint: Endpoint,
    pub(super) rack: Option<String>,
}

impl LeaderHints {
    /// Leader and leader epoch of a partition, if `error_code` says that the client has them wrong.
    pub(super) fn hint(&mut self, broker: &BrokerState, topic: &TopicRef, partition: i32, error_code: i16) -> Option<(i32, i32)> {
        let error = ErrorCode::from_code(error_code);
        if error != ErrorCode::NotLeaderOrFollower && error != ErrorCode::FencedLeaderEpoch {
            return None;
        }
        let image = self.image.get_or_insert_with(|| broker.quorum.image());
        let topic = match topic {
            TopicRef::Name(name) => image.topic(name),
            TopicRef::Id(id) => image.topic_by_id(*id),
        };
        let partition = topic?.partitions.get(&PartitionIndex(partition))?;
        self.leaders.insert(partition.leader);
        Some((partition.leader.0, partition.leader_epoch.0))
    }

    /// The brokers that were named, as this client reaches them.
    pub(super) fn leaders(self, ctx: &RequestContext) -> impl Iterator<Item = Leader> {
        let image = self.image.unwrap_or_default();
        let connection = Arc::clone(&ctx.connection);
        self.leaders.into_iter().filter_map(move |id| {
            let broker = image.broker(id)?;
            let endpoint = endpoints::reached_by(broker, &connection)?;
            Some(Leader {
                node_id: id.0,
                endpoint,
                rack: broker.rack.clone(),
            })
        })
    }
}
