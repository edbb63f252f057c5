//! What a voter does when the process of the active controller ends: another one takes over at once, rather than when the lease is over.

use crate::cluster::{active_controller, controller};
use crate::limits;
use crate::state::BrokerState;

/// A connection between controllers is closed, perhaps because the one that leads is gone: then its listener refuses another.
pub(crate) async fn connection_closed(broker: &BrokerState) {
    let Some(leader) = controller::other_leader(broker) else { return };
    for pause in limits::DIAL_AFTER {
        tokio::time::sleep(pause).await;
        if controller::other_leader(broker).is_none_or(|now| now.node_id != leader.node_id) {
            return;
        }
        if active_controller::refuses(&leader.address).await {
            return broker.quorum.leader_is_gone(leader.node_id).await;
        }
    }
}
