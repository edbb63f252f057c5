//! Brokers come, are heard of, fall silent, and go.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::BrokerId;
use uuid::Uuid;

use super::Controller;
use super::draft::Draft;
use super::leadership::{WithoutSuccessor, elect, leave};
use super::refusal::Refusal;
use super::soft::Soft;
use crate::image::ClusterImage;
use crate::image::brokers::BrokerImage;
use crate::record::{BrokerChangeRecord, BrokerEndpoint, RegisterBrokerRecord};

/// A broker process joins.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerRegistration {
    pub broker_id: BrokerId,
    /// Drawn by the process at its start.
    pub incarnation_id: Uuid,
    /// The cluster that the broker takes itself to belong to.
    pub cluster_id: String,
    pub endpoints: Vec<BrokerEndpoint>,
    pub rack: Option<String>,
}

/// A registered broker is alive, and says what it wants to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerHeartbeat {
    pub broker_id: BrokerId,
    /// From the registration.
    pub broker_epoch: i64,
    /// Lead nothing (yet).
    pub want_fence: bool,
    /// Stop, as soon as others lead what they can.
    pub want_shut_down: bool,
}

/// What a broker is, as of its heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerState {
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    /// Nothing keeps the broker from stopping.
    pub should_shut_down: bool,
}

impl Controller {
    pub(super) fn register_broker(
        &self,
        draft: &mut Draft,
        soft: &mut Soft,
        now_ms: i64,
        request: BrokerRegistration,
    ) -> Result<i64, Refusal> {
        let expected = draft.image().cluster_id().unwrap_or_default();
        if expected != request.cluster_id {
            let message = format!("Expected cluster ID {expected}, but got cluster ID {}", request.cluster_id);
            return Err(Refusal::new(ErrorCode::InconsistentClusterId, message));
        }
        if request.broker_id.0 < 0 {
            return Err(Refusal::new(
                ErrorCode::InvalidRegistration,
                format!("{} is no broker id", request.broker_id),
            ));
        }
        let existing = draft.image().broker(request.broker_id).cloned();
        let amended = existing.as_deref().filter(|broker| broker.incarnation_id == request.incarnation_id);
        if let (Some(other), None) = (&existing, amended) {
            if self.is_live(other, soft, now_ms) {
                let message = "Another broker is registered with that broker id.";
                return Err(Refusal::new(ErrorCode::DuplicateBrokerRegistration, message));
            }
            if !other.fenced {
                // It did not stop in order.
                fence(draft, soft, other, WithoutSuccessor::Loses);
            }
        }
        let epoch = amended.map_or_else(
            || existing.as_ref().map_or(now_ms, |broker| now_ms.max(broker.epoch + 1)),
            |broker| broker.epoch,
        );
        draft.push(RegisterBrokerRecord {
            broker_id: request.broker_id.0,
            incarnation_id: request.incarnation_id,
            broker_epoch: epoch,
            endpoints: request.endpoints,
            rack: request.rack,
            fenced: amended.is_none_or(|broker| broker.fenced),
            in_controlled_shutdown: amended.is_some_and(|broker| broker.in_controlled_shutdown),
            ..Default::default()
        });
        soft.heard_of(request.broker_id, now_ms);
        Ok(epoch)
    }

    /// Whether the process behind a registration may still be there. The one that was here on this node before is not: it held the lock
    /// of the directory that this one has now.
    fn is_live(&self, broker: &BrokerImage, soft: &Soft, now_ms: i64) -> bool {
        let may_be = soft.knows(broker.id) || !broker.fenced && broker.id != self.node_id;
        may_be && !soft.is_silent(broker.id, now_ms, self.session_timeout_ms)
    }

    pub(super) fn fence_silent_brokers(&self, draft: &mut Draft, soft: &mut Soft, now_ms: i64) {
        let is_silent = |broker: &&Arc<BrokerImage>| !broker.fenced && soft.is_silent(broker.id, now_ms, self.session_timeout_ms);
        let silent: Vec<_> = draft.image().brokers().iter().filter(is_silent).cloned().collect();
        for broker in silent {
            fence(draft, soft, &broker, WithoutSuccessor::Loses);
        }
    }
}

pub(super) fn heartbeat(draft: &mut Draft, soft: &mut Soft, now_ms: i64, request: BrokerHeartbeat) -> Result<BrokerState, Refusal> {
    check_epoch(draft.image(), request.broker_id, request.broker_epoch)?;
    soft.heard_of(request.broker_id, now_ms);
    let broker = draft.image().broker(request.broker_id).expect("its epoch was just checked").clone();
    let mut should_shut_down = false;
    match (broker.fenced, request.want_fence, request.want_shut_down) {
        (true, _, true) => should_shut_down = true,
        (true, true, false) | (false, false, false) => {}
        (true, false, false) => {
            draft.push(change_of(&broker, |record| record.fenced = -1));
            elect(draft);
        }
        (false, true, false) => fence(draft, soft, &broker, WithoutSuccessor::Loses),
        (false, _, true) => should_shut_down = shut_down(draft, soft, &broker),
    }
    let broker = draft.image().broker(request.broker_id).expect("a heartbeat does not unregister");
    Ok(BrokerState {
        fenced: broker.fenced,
        in_controlled_shutdown: broker.in_controlled_shutdown,
        should_shut_down,
    })
}

/// First everything that others can lead is handed over, and the broker stays until its next heartbeat; then it may go.
fn shut_down(draft: &mut Draft, soft: &mut Soft, broker: &BrokerImage) -> bool {
    let before = draft.len();
    leave(draft, broker.id, WithoutSuccessor::Keeps);
    let handed_over = draft.len() > before;
    if !handed_over {
        fence(draft, soft, broker, WithoutSuccessor::Keeps);
        return true;
    }
    if !broker.in_controlled_shutdown {
        draft.push(change_of(broker, |record| record.in_controlled_shutdown = 1));
    }
    false
}

fn fence(draft: &mut Draft, soft: &mut Soft, broker: &BrokerImage, without_successor: WithoutSuccessor) {
    leave(draft, broker.id, without_successor);
    draft.push(change_of(broker, |record| record.fenced = 1));
    soft.forget(broker.id);
}

fn change_of(broker: &BrokerImage, change: impl FnOnce(&mut BrokerChangeRecord)) -> BrokerChangeRecord {
    let mut record = BrokerChangeRecord {
        broker_id: broker.id.0,
        broker_epoch: broker.epoch,
        ..Default::default()
    };
    change(&mut record);
    record
}

/// Whether a request comes from the process that is registered.
pub(super) fn check_epoch(image: &ClusterImage, broker: BrokerId, epoch: i64) -> Result<(), Refusal> {
    let message = match image.broker(broker) {
        Some(registered) if registered.epoch == epoch => return Ok(()),
        Some(registered) => format!("Expected broker epoch {}, but got broker epoch {epoch}", registered.epoch),
        None => format!("No broker registration found for broker id {broker}"),
    };
    Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message))
}
