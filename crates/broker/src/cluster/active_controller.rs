//! What the controller does by itself while it is on this node: brokers that are silent or gone are fenced, preferred replicas lead again.

use std::sync::Arc;
use std::time::Duration;

use dohle_metadata::controller::ControllerRequest;
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::BrokerId;
use dohle_quorum::limits::LEADER_SILENCE;
use dohle_quorum::{Leader, NodeId};
use futures_util::future;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::cluster::{controller, endpoints};
use crate::limits;
use crate::state::BrokerState;

/// Runs until `stop`. Does nothing while another node leads, or while this node is the only broker.
pub(crate) async fn run(broker: Arc<BrokerState>, stop: CancellationToken) {
    stop.run_until_cancelled(lead_and_wait(&broker)).await;
}

async fn lead_and_wait(broker: &Arc<BrokerState>) {
    let me = broker.config.quorum_id();
    let leads = |leader: &Option<Leader>| leader.as_ref().is_some_and(|leader| leader.node_id == me);
    let mut leader = broker.quorum.watch_leader();
    loop {
        let Some(former) = lead_after(&mut leader, leads).await else {
            return;
        };
        let mut until = broker.quorum.watch_leader();
        let deposed = async { until.wait_for(|leader| !leads(leader)).await.is_ok() };
        tokio::select! {
            () = lead(broker, former) => return,
            is_deposed = deposed => if !is_deposed { return },
        }
    }
}

/// Returns when this node leads, with the node that led before, if that is known. `None`: the quorum has ended.
async fn lead_after(leader: &mut watch::Receiver<Option<Leader>>, leads: impl Fn(&Option<Leader>) -> bool) -> Option<Option<NodeId>> {
    let mut former = None;
    loop {
        let now = leader.borrow_and_update().clone();
        if leads(&now) {
            return Some(former);
        }
        former = now.map(|now| now.node_id).or(former);
        leader.changed().await.ok()?;
    }
}

/// Never ends unless the quorum does.
async fn lead(broker: &Arc<BrokerState>, former: Option<NodeId>) {
    let others = |image: &ClusterImage| image.brokers().iter().any(|other| other.id != broker.services.me);
    let mut versions = broker.quorum.watch();
    if versions.wait_for(|version| others(&version.image)).await.is_err() {
        return;
    }
    // Nobody has a connection to a controller that is new, so that nothing breaks when a broker ends meanwhile.
    let image = broker.quorum.image();
    let others = image.brokers().iter().filter(|other| other.id != broker.services.me);
    let looking = others.map(|other| fence_if_gone(broker, other.id, other.epoch));
    tokio::join!(future::join_all(looking), keep_watch(broker), miss(broker, former));
}

/// The node that led before was silent for so long that it was followed. It need not be given a whole session's time on top of that.
async fn miss(broker: &BrokerState, former: Option<NodeId>) {
    let Some(former) = former.and_then(|former| i32::try_from(former).ok()) else {
        return;
    };
    let config = &broker.config;
    tokio::time::sleep(time_to_be_heard_of(
        config.broker_session_timeout(),
        config.broker_heartbeat_interval(),
    ))
    .await;
    decide(
        broker,
        ControllerRequest::FenceUnheard {
            broker_id: BrokerId(former),
        },
    )
    .await;
}

/// One that has handed over in order was not silent: it is heard of within an interval, however short a session is.
fn time_to_be_heard_of(session: Duration, heartbeat_interval: Duration) -> Duration {
    session.saturating_sub(LEADER_SILENCE).max(heartbeat_interval.min(session))
}

async fn keep_watch(broker: &BrokerState) {
    // Nobody was heard of while nobody had to be: whoever is there gets a session's time.
    let listening_since = Instant::now() + broker.config.broker_session_timeout();
    let mut silence = tokio::time::interval_at(listening_since, broker.config.broker_heartbeat_interval() / 2);
    let balance = broker.config.leader_balance_interval();
    let mut balance = tokio::time::interval_at(Instant::now() + balance, balance);
    for timer in [&mut silence, &mut balance] {
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        let request = tokio::select! {
            _ = silence.tick() => ControllerRequest::FenceSilentBrokers,
            _ = balance.tick() => ControllerRequest::BalanceLeaders,
        };
        decide(broker, request).await;
    }
}

async fn decide(broker: &BrokerState, request: ControllerRequest) {
    if let Err(refusal) = controller::decide_here(broker, request).await {
        tracing::debug!("the controller could not decide: {refusal}");
    }
}

/// The connection by which a broker was heard of is closed. If its listener refuses another the process is gone, and others may lead at once.
pub(crate) async fn connection_closed(broker: &BrokerState, id: BrokerId, epoch: i64) {
    if broker.quorum.leader().is_some() && controller::other_leader(broker).is_none() {
        broker.suspicion.may_be_gone(id);
        let hung_up = ControllerRequest::BrokerHungUp {
            broker_id: id,
            broker_epoch: epoch,
        };
        tokio::join!(decide(broker, hung_up), fence_if_gone(broker, id, epoch));
    }
}

async fn fence_if_gone(broker: &BrokerState, broker_id: BrokerId, broker_epoch: i64) {
    for pause in limits::DIAL_AFTER {
        tokio::time::sleep(pause).await;
        let image = broker.quorum.image();
        let registered = image.broker(broker_id);
        if registered.is_none_or(|registered| registered.fenced || registered.epoch != broker_epoch) {
            return;
        }
        let Some(address) = endpoints::inter_broker(&image, &broker.config, broker_id) else {
            return;
        };
        if refuses(&address).await {
            tracing::warn!("broker {broker_id} is gone: its connection broke, and {address} refuses another; it is fenced");
            return decide(broker, ControllerRequest::FenceBroker { broker_id, broker_epoch }).await;
        }
    }
}

/// Nobody listens there, which the machine itself has said. Silence may have other reasons.
pub(super) async fn refuses(address: &str) -> bool {
    let dialled = tokio::time::timeout(limits::DIAL_TIMEOUT, TcpStream::connect(address)).await;
    matches!(dialled, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_session_leaves_a_former_controller_time_for_a_heartbeat() {
        let ms = Duration::from_millis;
        assert_eq!(time_to_be_heard_of(ms(3000), ms(1000)), ms(3000) - LEADER_SILENCE);
        assert_eq!(time_to_be_heard_of(ms(1400), ms(500)), ms(500));
        assert_eq!(time_to_be_heard_of(ms(300), ms(1000)), ms(300));
    }
}
