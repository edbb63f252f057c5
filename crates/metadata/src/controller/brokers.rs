//! Brokers come, are heard of, fall silent, and go.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use dohle_protocol::messages::broker_registration::{BrokerRegistrationRequest, BrokerRegistrationResponse};

use super::Controller;
use super::draft::Draft;
use super::leadership::Leaving;
use super::refusal::{Refusal, wire_error};
use super::soft::Soft;
use crate::image::ClusterImage;
use crate::image::brokers::BrokerImage;
use crate::record::{BrokerChangeRecord, BrokerEndpoint, RegisterBrokerRecord, UnregisterBrokerRecord};

/// What a broker is, as of its heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerState {
    /// It has read the metadata up to its registration.
    pub caught_up: bool,
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    /// Nothing keeps the broker from stopping.
    pub should_shut_down: bool,
}

/// The reply to a registration on the wire, which has no room for the sentence.
pub fn registration_response(reply: &Result<i64, Refusal>) -> BrokerRegistrationResponse {
    BrokerRegistrationResponse {
        error_code: wire_error(reply).0,
        broker_epoch: *reply.as_ref().unwrap_or(&-1),
        ..Default::default()
    }
}

/// The reply to a heartbeat on the wire.
pub fn heartbeat_response(reply: &Result<BrokerState, Refusal>) -> BrokerHeartbeatResponse {
    let told = BrokerHeartbeatResponse {
        error_code: wire_error(reply).0,
        ..Default::default()
    };
    match reply {
        Err(_) => told,
        Ok(state) => BrokerHeartbeatResponse {
            is_caught_up: state.caught_up,
            is_fenced: state.fenced,
            should_shut_down: state.should_shut_down,
            ..told
        },
    }
}

impl Controller {
    pub(super) fn register_broker(
        &self,
        draft: &mut Draft,
        soft: &mut Soft,
        now_ms: i64,
        request: BrokerRegistrationRequest,
    ) -> Result<i64, Refusal> {
        check_registration(draft.image(), &request)?;
        let id = BrokerId(request.broker_id);
        let existing = draft.image().broker(id).cloned();
        let same_process = existing.as_deref().filter(|broker| broker.incarnation_id == request.incarnation_id);
        let record = RegisterBrokerRecord {
            broker_id: id.0,
            incarnation_id: request.incarnation_id,
            endpoints: request.listeners.into_iter().map(endpoint).collect(),
            rack: request.rack,
            ..Default::default()
        };
        let record = if let Some(broker) = same_process {
            RegisterBrokerRecord {
                broker_epoch: broker.epoch,
                fenced: broker.fenced,
                in_controlled_shutdown: broker.in_controlled_shutdown,
                ..record
            }
        } else {
            self.replace(draft, soft, existing.as_deref(), (request.previous_broker_epoch, &record))?;
            let last_epoch = draft.image().brokers().last_epoch(id);
            RegisterBrokerRecord {
                broker_epoch: last_epoch.map_or(now_ms, |last| now_ms.max(last + 1)),
                fenced: true,
                ..record
            }
        };
        let epoch = record.broker_epoch;
        draft.push(record);
        soft.registered(id);
        Ok(epoch)
    }

    /// A process takes the place of the one that had the id before.
    fn replace(
        &self,
        draft: &mut Draft,
        soft: &Soft,
        existing: Option<&BrokerImage>,
        (ended_epoch, newcomer): (i64, &RegisterBrokerRecord),
    ) -> Result<(), Refusal> {
        let ended_in_order = existing.is_some_and(|broker| broker.epoch == ended_epoch);
        if let Some(broker) = existing {
            if !ended_in_order && self.is_live(broker, soft, newcomer) {
                let message = "Another broker is registered with that broker id.";
                return Err(Refusal::new(ErrorCode::DuplicateBrokerRegistration, message));
            }
            if !broker.fenced {
                self.fence(draft, broker, Leaving::Lost);
            }
        }
        if !ended_in_order {
            // What was in memory only may be lost. The registration is not accepted without this, so it cannot be forgotten.
            self.distrust(draft, BrokerId(newcomer.broker_id));
        }
        Ok(())
    }

    /// Whether the process behind a registration may still be there. The one that was here on this node before is not: it held the lock
    /// of the directory that the newcomer has now. Nor is one whose listeners the newcomer has, unless it is connected.
    fn is_live(&self, broker: &BrokerImage, soft: &Soft, newcomer: &RegisterBrokerRecord) -> bool {
        let may_be = if is_reached_at(&newcomer.endpoints) && broker.endpoints == newcomer.endpoints {
            soft.is_connected(broker.id)
        } else {
            soft.knows(broker.id) || !broker.fenced && broker.id != self.node_id
        };
        may_be && !soft.is_silent(broker.id, self.session_timeout_ms)
    }

    pub(super) fn fence_silent_brokers(&self, draft: &mut Draft, soft: &mut Soft) {
        let is_silent = |broker: &&Arc<BrokerImage>| !broker.fenced && soft.is_silent(broker.id, self.session_timeout_ms);
        let silent: Vec<_> = draft.image().brokers().iter().filter(is_silent).cloned().collect();
        for broker in silent {
            self.fence(draft, &broker, Leaving::Lost);
            soft.forget(broker.id);
        }
    }

    pub(super) fn fence_unheard(&self, draft: &mut Draft, soft: &Soft, id: BrokerId) {
        let unheard = draft.image().broker(id).filter(|broker| !broker.fenced && !soft.knows(id)).cloned();
        if let Some(broker) = unheard {
            self.fence(draft, &broker, Leaving::Lost);
        }
    }

    /// The connection by which the process was heard of has broken.
    pub(super) fn hung_up(&self, draft: &Draft, soft: &mut Soft, id: BrokerId, epoch: i64) -> Result<(), Refusal> {
        registered(draft.image(), id, epoch)?;
        soft.hung_up(id);
        Ok(())
    }

    /// The process is known to be gone.
    pub(super) fn fence_broker(&self, draft: &mut Draft, soft: &mut Soft, id: BrokerId, epoch: i64) -> Result<(), Refusal> {
        let broker = registered(draft.image(), id, epoch)?;
        if !broker.fenced {
            self.fence(draft, &broker, Leaving::Lost);
        }
        soft.forget(id);
        Ok(())
    }

    pub(super) fn unregister_broker(&self, draft: &mut Draft, soft: &mut Soft, id: BrokerId) -> Result<(), Refusal> {
        let Some(broker) = draft.image().broker(id).cloned() else {
            let message = format!("Broker ID {id} is not currently registered");
            return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
        };
        self.leave(draft, id, Leaving::Lost);
        self.distrust(draft, id);
        draft.push(UnregisterBrokerRecord {
            broker_id: id.0,
            broker_epoch: broker.epoch,
            ..Default::default()
        });
        soft.forget(id);
        Ok(())
    }

    pub(super) fn heartbeat(&self, draft: &mut Draft, soft: &mut Soft, request: &BrokerHeartbeatRequest) -> Result<BrokerState, Refusal> {
        let id = BrokerId(request.broker_id);
        let broker = registered(draft.image(), id, request.broker_epoch)?;
        soft.heard_of(id, request.current_metadata_offset);
        let caught_up = soft.is_caught_up(id, request.current_metadata_offset);
        let wants_shut_down = request.want_shut_down || broker.in_controlled_shutdown && !broker.fenced;
        let mut should_shut_down = false;
        match (broker.fenced, request.want_fence, wants_shut_down) {
            (true, _, true) => should_shut_down = true,
            (true, true, false) | (false, false, false) => {}
            (true, false, false) if !caught_up => {}
            (true, false, false) => {
                draft.push(change_of(&broker, |record| record.fenced = -1));
                self.elect(draft);
                self.grow_internal_topics(draft);
            }
            // It is there all the same: nobody else gets its id.
            (false, true, false) => self.fence(draft, &broker, Leaving::Lost),
            (false, _, true) => should_shut_down = self.shut_down(draft, soft, &broker),
        }
        let broker = draft.image().broker(id).expect("a heartbeat does not unregister");
        Ok(BrokerState {
            caught_up,
            fenced: broker.fenced,
            in_controlled_shutdown: broker.in_controlled_shutdown,
            should_shut_down,
        })
    }

    /// First everything that others can lead is handed over, and the broker stays until they know; then it may go.
    fn shut_down(&self, draft: &mut Draft, soft: &mut Soft, broker: &BrokerImage) -> bool {
        let before = draft.len();
        self.leave(draft, broker.id, Leaving::InOrder);
        let hands_over = draft.len() > before;
        if hands_over {
            soft.hands_over(broker.id);
            if !broker.in_controlled_shutdown {
                draft.push(change_of(broker, |record| record.in_controlled_shutdown = 1));
            }
        }
        let active = draft
            .image()
            .brokers()
            .iter()
            .filter(|other| other.is_active())
            .map(|other| other.id);
        if hands_over || !soft.has_handed_over(broker.id, active) {
            return false;
        }
        self.fence(draft, broker, Leaving::InOrder);
        soft.forget(broker.id);
        true
    }

    fn fence(&self, draft: &mut Draft, broker: &BrokerImage, leaving: Leaving) {
        self.leave(draft, broker.id, leaving);
        draft.push(change_of(broker, |record| record.fenced = 1));
    }
}

/// Whether others reach a broker by these, so that no two processes can have them at the same time.
fn is_reached_at(endpoints: &[BrokerEndpoint]) -> bool {
    !endpoints.is_empty() && endpoints.iter().all(|endpoint| !endpoint.host.is_empty())
}

fn check_registration(image: &ClusterImage, request: &BrokerRegistrationRequest) -> Result<(), Refusal> {
    let expected = image.cluster_id().unwrap_or_default();
    if expected != request.cluster_id {
        let message = format!("Expected cluster ID {expected}, but got cluster ID {}", request.cluster_id);
        return Err(Refusal::new(ErrorCode::InconsistentClusterId, message));
    }
    if request.broker_id < 0 {
        let message = format!("{} is no broker id", request.broker_id);
        return Err(Refusal::new(ErrorCode::InvalidRegistration, message));
    }
    if request.is_migrating_zk_broker {
        let message = "Controller does not support registering ZK brokers.";
        return Err(Refusal::new(ErrorCode::BrokerIdNotRegistered, message));
    }
    for feature in &request.features {
        let (level, min, max) = (
            image.features().level(&feature.name),
            feature.min_supported_version,
            feature.max_supported_version,
        );
        if level != 0 && !(min..=max).contains(&level) {
            let message = format!(
                "Unable to register because the broker does not support finalized version {level} of {}. The broker wants a version between \
                 {min} and {max}, inclusive.",
                feature.name
            );
            return Err(Refusal::new(ErrorCode::UnsupportedVersion, message));
        }
    }
    Ok(())
}

fn endpoint(listener: dohle_protocol::messages::broker_registration::Listener) -> BrokerEndpoint {
    BrokerEndpoint {
        name: listener.name,
        host: listener.host,
        port: listener.port,
        security_protocol: listener.security_protocol,
        ..Default::default()
    }
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

/// The broker, if a request with this epoch comes from the process that is registered.
pub(super) fn registered(image: &ClusterImage, id: BrokerId, epoch: i64) -> Result<Arc<BrokerImage>, Refusal> {
    let message = match image.broker(id) {
        Some(registered) if registered.epoch == epoch => return Ok(Arc::clone(registered)),
        Some(registered) => format!("Expected broker epoch {}, but got broker epoch {epoch}", registered.epoch),
        None => format!("No broker registration found for broker id {id}"),
    };
    Err(Refusal::new(ErrorCode::StaleBrokerEpoch, message))
}
