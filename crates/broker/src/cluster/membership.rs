//! This broker's membership of the cluster: it registers, is heard of, and leaves in order.
//!
//! A node that is the whole cluster sends no heartbeats: there is nobody to hear them.

use std::collections::BTreeMap;
use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest, Refusal, brokers};
use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::brokers::BrokerImage;
use dohle_protocol::id::BrokerId;
use dohle_protocol::messages::broker_heartbeat::{BrokerHeartbeatRequest, BrokerHeartbeatResponse};
use dohle_protocol::messages::broker_registration::{BrokerRegistrationRequest, Listener};
use dohle_protocol::{ApiKey, ErrorCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::cluster::{controller, voters};
use crate::config::{self, NodeConfig};
use crate::limits;
use crate::net::listener::BoundListener;
use crate::state::BrokerState;

/// This broker cannot be part of the cluster.
#[derive(Debug, thiserror::Error)]
#[error("the controller refuses this broker: {0}")]
pub struct RegistrationError(#[from] Refusal);

/// What this process tells the controller of itself.
#[derive(Debug)]
pub(crate) struct Membership {
    incarnation_id: Uuid,
    /// As other nodes reach them.
    listeners: Vec<Listener>,
    /// As its own file says. Without a host, clients are told the address that they dialled.
    advertised: Vec<Listener>,
    /// Whether others were told where this broker is.
    is_reachable: AtomicBool,
    /// Everything that is assigned to this broker is open.
    is_ready: AtomicBool,
    /// One heartbeat at a time: what an earlier one wanted must not be heard after a later one.
    beating: tokio::sync::Mutex<()>,
}

impl Membership {
    pub(crate) fn new(bound: &[BoundListener]) -> Membership {
        let listener = |bound: &BoundListener, host: String| Listener {
            name: bound.listener.name.clone(),
            host,
            port: bound.reachable().port,
            ..Listener::default()
        };
        let advertised_host = |bound: &BoundListener| bound.listener.advertised.as_ref().map_or(String::new(), |told| told.host.clone());
        Membership {
            incarnation_id: Uuid::new_v4(),
            listeners: bound.iter().map(|bound| listener(bound, bound.reachable().host)).collect(),
            advertised: bound.iter().map(|bound| listener(bound, advertised_host(bound))).collect(),
            is_reachable: AtomicBool::new(false),
            is_ready: AtomicBool::new(false),
            beating: tokio::sync::Mutex::default(),
        }
    }
}

/// The controller of this node.
pub(crate) fn controller(config: &NodeConfig) -> Controller {
    let file: BTreeMap<String, String> = config.values.as_map().clone();
    Controller {
        file,
        broker_keys: config::BROKER_KEYS.to_vec(),
        session_timeout_ms: i64::try_from(config.broker_session_timeout().as_millis()).unwrap_or(i64::MAX),
        ..Controller::new(BrokerId(config.node_id))
    }
}

/// Whether this node is the only voter and the only broker.
pub(crate) fn is_alone(broker: &BrokerState) -> bool {
    let me = broker.config.quorum_id();
    let votes_alone = broker.config.roles.controller && broker.quorum.status().voters.iter().all(|voter| voter.node_id == me);
    votes_alone && is_only_broker(broker, &broker.quorum.image())
}

fn is_only_broker(broker: &BrokerState, image: &ClusterImage) -> bool {
    image.brokers().iter().all(|other| other.id == broker.services.me)
}

/// Why others should lead instead: a directory whose disk has failed takes no records until the process is restarted, one that is full none until
/// there is room. A broker that has nobody beside it serves what can be read.
fn steps_aside(broker: &BrokerState) -> Option<&'static str> {
    let directories = broker.replicas.directories();
    let why = if directories.iter().any(|directory| directory.is_offline()) {
        "a log directory has failed; it takes no records until the broker is restarted"
    } else if directories.iter().any(|directory| directory.is_full_for_replicated()) {
        "a log directory is full"
    } else {
        return None;
    };
    let (me, image) = (broker.services.me, broker.quorum.image());
    let has_others = image.brokers().iter().any(|other| other.id != me && other.is_active());
    has_others.then_some(why)
}

fn wants_fence(broker: &BrokerState) -> bool {
    !broker.membership.is_ready.load(Ordering::Acquire) || steps_aside(broker).is_some()
}

/// Registers this broker, however long it takes until there is a controller. It is fenced until [`unfence`]. `ended_epoch` is the one
/// under which the last process ended in order.
pub(crate) async fn join(broker: &Arc<BrokerState>, ended_epoch: i64) -> Result<(), RegistrationError> {
    let patience = broker.config.broker_session_timeout() + limits::REGISTRATION_PATIENCE;
    let id_is_free_by = Instant::now() + patience;
    loop {
        match register(broker, ended_epoch).await {
            Err(refusal) if refusal.code == ErrorCode::DuplicateBrokerRegistration && Instant::now() < id_is_free_by => {
                tracing::info!(
                    "waiting: another process with the id of this broker may be alive; if it is not, its session is about to end"
                );
                tokio::time::sleep(limits::MEMBERSHIP_POLL * 4).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

async fn register(broker: &Arc<BrokerState>, ended_epoch: i64) -> Result<(), Refusal> {
    let membership = &broker.membership;
    let image = broker.quorum.image();
    let is_reachable = !is_alone(broker);
    let registration = BrokerRegistrationRequest {
        broker_id: broker.config.node_id,
        incarnation_id: membership.incarnation_id,
        cluster_id: image.cluster_id().unwrap_or_default().to_owned(),
        listeners: if is_reachable {
            membership.listeners.clone()
        } else {
            membership.advertised.clone()
        },
        rack: broker.config.rack.clone(),
        previous_broker_epoch: ended_epoch,
        ..BrokerRegistrationRequest::default()
    };
    let registered = async {
        loop {
            let request = ControllerRequest::RegisterBroker(registration.clone());
            match controller::ask(broker, request, limits::WAITING_SAID_EVERY).await {
                // Said by whoever waits with us.
                Err(refusal) if is_passing(refusal.code) => tokio::time::sleep(limits::CONTROLLER_RETRY).await,
                outcome => break outcome,
            }
        }
    };
    let (reply, offset) = voters::waiting(broker, registered).await?;
    let ControllerReply::RegisterBroker(epoch) = reply else {
        unreachable!("the reply to RegisterBroker is not {reply:?}")
    };
    broker.registered_epoch.store(epoch?, Ordering::Release);
    membership.is_reachable.store(is_reachable, Ordering::Release);
    let mut versions = broker.quorum.watch();
    // An error says that the quorum has ended, which whatever comes next is told.
    let _ = voters::waiting(broker, versions.wait_for(|version| version.offset >= offset)).await;
    Ok(())
}

/// A refusal that another attempt may not meet.
fn is_passing(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::NotController | ErrorCode::RequestTimedOut)
}

/// Lets the controller hear of this broker until `stop`.
pub(crate) async fn run(broker: Arc<BrokerState>, stop: CancellationToken) {
    stop.run_until_cancelled(beat(&broker)).await;
}

async fn beat(broker: &Arc<BrokerState>) {
    let mut leader = broker.quorum.watch_leader();
    let mut said = None;
    loop {
        if is_alone(broker) {
            let mut versions = broker.quorum.watch();
            if versions.wait_for(|version| !is_only_broker(broker, &version.image)).await.is_err() {
                return;
            }
        }
        // The same process under the same epoch, which now says where it is.
        let is_known = broker.membership.is_reachable.load(Ordering::Acquire);
        let aside = steps_aside(broker);
        if aside != said {
            match aside {
                Some(why) => tracing::error!("this broker is fenced, and leads nothing that others can lead: {why}"),
                None => tracing::info!("this broker takes part again: there may be room by now, or no other broker is there"),
            }
        }
        said = aside;
        match heartbeat(broker, false).await {
            Ok(response) if response.error_code == ErrorCode::StaleBrokerEpoch.code() || !is_known => renew(broker).await,
            Ok(_) => {}
            Err(refusal) => tracing::debug!("a heartbeat was not heard: {refusal}"),
        }
        // A new controller is told at once.
        controller::changes(&mut leader, Instant::now() + broker.config.broker_heartbeat_interval()).await;
    }
}

/// The controller does not know this registration (any more), or not all of it.
async fn renew(broker: &Arc<BrokerState>) {
    if broker.membership.is_reachable.load(Ordering::Acquire) {
        tracing::warn!("the registration of this broker is not valid any more, and is renewed");
    }
    if let Err(error) = register(broker, -1).await {
        tracing::error!("{error}");
    }
}

/// Returns when another process has been registered under the id of this broker. The metadata know brokers by their ids only: this process would
/// lead, too, what they have that one lead.
pub(crate) async fn superseded(broker: &BrokerState) {
    let (me, incarnation_id) = (broker.services.me, broker.membership.incarnation_id);
    let is_later = |registered: &BrokerImage| (0..registered.epoch).contains(&broker.broker_epoch());
    let is_other = |registered: &BrokerImage| registered.incarnation_id != incarnation_id && is_later(registered);
    let mut versions = broker.quorum.watch();
    let superseded = versions.wait_for(|version| version.image.broker(me).is_some_and(|registered| is_other(registered)));
    if superseded.await.is_err() {
        future::pending().await
    }
}

/// This broker holds what it is assigned, and may lead. When this returns it does, and its logs can be read to their ends.
pub(crate) async fn unfence(broker: &Arc<BrokerState>) -> Result<(), RegistrationError> {
    broker.membership.is_ready.store(true, Ordering::Release);
    let unfenced = async {
        loop {
            match heartbeat(broker, false).await {
                Ok(response) if response.error_code == 0 && !response.is_fenced => return Ok(()),
                Err(refusal) if !is_passing(refusal.code) => return Err(refusal),
                // It goes on without leading anything.
                _ if steps_aside(broker).is_some() => return Ok(()),
                _ => tokio::time::sleep(limits::MEMBERSHIP_POLL).await,
            }
        }
    };
    voters::waiting(broker, unfenced).await?;
    let mut versions = broker.quorum.watch();
    let me = broker.services.me;
    let is_unfenced = |image: &ClusterImage| image.broker(me).is_some_and(|registered| !registered.fenced);
    if let Ok(version) = versions
        .wait_for(|version| is_unfenced(&version.image) || steps_aside(broker).is_some())
        .await
        .map(|version| version.clone())
    {
        broker.carried_out.reaches(version.offset).await;
    }
    let settling = Arc::clone(broker);
    if let Err(error) = tokio::task::spawn_blocking(move || settling.replicas.settle()).await {
        tracing::error!(%error, "the logs could not be made ready");
    }
    Ok(())
}

/// This broker is about to stop: returns when others lead what they can, or when nobody says whether they do.
pub(crate) async fn leave(broker: &BrokerState) {
    let end = Instant::now() + limits::CONTROLLED_SHUTDOWN_MAX;
    let mut heard = Instant::now();
    while Instant::now() < end {
        let patience = heard + limits::CONTROLLER_SILENCE_AT_SHUTDOWN_MAX;
        match tokio::time::timeout_at(end.min(patience), heartbeat(broker, true)).await {
            Ok(Ok(response)) if response.should_shut_down => return,
            Ok(Ok(response)) if response.error_code == 0 => heard = Instant::now(),
            Ok(Ok(response)) if !is_passing(ErrorCode::from_code(response.error_code)) => {
                let error = ErrorCode::from_code(response.error_code).message();
                return tracing::warn!("the controller does not let this broker stop in order: {error}");
            }
            Ok(Err(refusal)) if !is_passing(refusal.code) => {
                return tracing::warn!("the controller could not be told that this broker stops: {refusal}");
            }
            _ if Instant::now() >= patience => break,
            _ => {}
        }
        tokio::time::sleep(limits::MEMBERSHIP_POLL).await;
    }
    tracing::warn!(
        "this broker stops although the controller has not agreed: {}",
        voters::why_no_controller(broker)
    );
}

/// Tells the controller that this broker is there, by a connection that stays: when that breaks, the controller looks what has happened.
async fn heartbeat(broker: &BrokerState, want_shut_down: bool) -> Result<BrokerHeartbeatResponse, Refusal> {
    let _alone = broker.membership.beating.lock().await;
    let request = BrokerHeartbeatRequest {
        broker_id: broker.config.node_id,
        broker_epoch: broker.broker_epoch(),
        current_metadata_offset: broker.carried_out.offset().0,
        // It may have become ready while another heartbeat was on its way.
        want_fence: !want_shut_down && wants_fence(broker),
        want_shut_down,
        ..BrokerHeartbeatRequest::default()
    };
    let Some(leader) = controller::other_leader(broker) else {
        let reply = controller::decide_here(broker, ControllerRequest::BrokerHeartbeat(request)).await?;
        let ControllerReply::BrokerHeartbeat(state) = reply else {
            unreachable!("the reply to BrokerHeartbeat is not {reply:?}")
        };
        return Ok(brokers::heartbeat_response(&state));
    };
    broker.controller_link.keep_only(&leader.address);
    let version = *ApiKey::BrokerHeartbeat.valid_versions().end();
    let answer = broker
        .controller_link
        .call(&leader.address, &request, version, limits::HEARTBEAT_TIMEOUT)
        .await;
    answer.map_err(|error| Refusal::new(ErrorCode::NotController, error.to_string()))
}
