//! Asking the controller for a change, wherever it is, and waiting until this node acts on it.

use std::future;
use std::time::Duration;

use bytes::Bytes;
use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::id::Offset;
use dohle_protocol::messages::forward_to_controller::{ForwardToControllerRequest, ForwardToControllerResponse};
use dohle_protocol::{ApiKey, ErrorCode};
use dohle_quorum::{Leader, SubmitError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::forwarding::{self, Forwarded};
use crate::cluster::voters;
use crate::limits;
use crate::state::BrokerState;

/// How one attempt to reach the controller ended.
enum Attempt<T> {
    Decided(T),
    /// There is no controller where it was looked for, and nothing has happened.
    Nobody,
}

/// Has the controller decide. Returns once the decision is committed and this node has carried it out.
pub(crate) async fn change(broker: &BrokerState, request: ControllerRequest, timeout: Duration) -> Result<ControllerReply, Refusal> {
    let deadline = Instant::now() + timeout;
    let (reply, offset) = ask(broker, request, timeout).await?;
    let carried_out = tokio::time::timeout_at(deadline, broker.carried_out.reaches(offset)).await;
    carried_out.map_err(|_| too_late(broker))?;
    Ok(reply)
}

/// Has the controller decide, and looks for it as long as there is none. Also returns up to where the metadata log holds the decision.
pub(crate) async fn ask(broker: &BrokerState, request: ControllerRequest, timeout: Duration) -> Result<(ControllerReply, Offset), Refusal> {
    let deadline = Instant::now() + timeout;
    loop {
        let attempt = match other_leader(broker) {
            Some(leader) => ask_other(broker, &leader, &request, deadline).await?,
            None => match tokio::time::timeout_at(deadline, broker.quorum.submit(request.clone())).await {
                Ok(Ok(reply)) => Attempt::Decided((reply, broker.quorum.version().offset)),
                Ok(Err(SubmitError::NotController { .. })) => Attempt::Nobody,
                Ok(Err(error)) => return Err(refusal(&error)),
                Err(_) => return Err(too_late(broker)),
            },
        };
        match attempt {
            Attempt::Decided(decided) => return Ok(decided),
            Attempt::Nobody => look_again(broker, deadline).await?,
        }
    }
}

/// Passes on a request of the protocol that only the active controller can serve. Its answer says what has become of it; where the metadata
/// log holds it is not waited for.
pub(crate) async fn forward(broker: &BrokerState, key: ApiKey, version: i16, body: Bytes, timeout: Duration) -> Result<Bytes, Refusal> {
    let deadline = Instant::now() + timeout;
    let forwarded = Forwarded { key, version, body };
    loop {
        if let Some(leader) = other_leader(broker)
            && let Attempt::Decided(response) = send(broker, &leader, &forwarded, deadline).await?
        {
            return Ok(response.body);
        }
        look_again(broker, deadline).await?;
    }
}

/// Has the controller on this node decide, for another node that asks. Whoever is not the controller says so.
pub(crate) async fn decide_here(broker: &BrokerState, request: ControllerRequest) -> Result<ControllerReply, Refusal> {
    broker.quorum.submit(request).await.map_err(|error| refusal(&error))
}

/// The time that a client gives, within reason: some give none at all. Most give up when it is over, and are told before.
pub(crate) fn timeout(timeout_ms: i32) -> Duration {
    let given = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default());
    (given - given / 10).clamp(limits::CONTROLLER_TIMEOUT_MIN, limits::CONTROLLER_TIMEOUT_MAX)
}

/// The node that decides, unless it is this one, or nobody knows.
pub(crate) fn other_leader(broker: &BrokerState) -> Option<Leader> {
    broker.quorum.leader().filter(|leader| leader.node_id != broker.config.quorum_id())
}

async fn ask_other(
    broker: &BrokerState,
    leader: &Leader,
    request: &ControllerRequest,
    deadline: Instant,
) -> Result<Attempt<(ControllerReply, Offset)>, Refusal> {
    let forwarded = forwarding::encode(request)?;
    let Attempt::Decided(response) = send(broker, leader, &forwarded, deadline).await? else {
        return Ok(Attempt::Nobody);
    };
    let reply = forwarding::decode_reply(forwarded.key, forwarded.version, response.body, response.error_message)?;
    Ok(Attempt::Decided((reply, Offset(response.metadata_offset))))
}

/// By a connection of its own: if that cannot be opened, nothing has happened, and others need not wait for the answer.
async fn send(
    broker: &BrokerState,
    leader: &Leader,
    forwarded: &Forwarded,
    deadline: Instant,
) -> Result<Attempt<ForwardToControllerResponse>, Refusal> {
    let request = ForwardToControllerRequest {
        request_api_key: forwarded.key.code(),
        request_api_version: forwarded.version,
        body: forwarded.body.clone(),
        ..ForwardToControllerRequest::default()
    };
    let Ok(connection) = broker.peers.open(&leader.address).await else {
        return Ok(Attempt::Nobody);
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let answer = async { connection.start(&request, 0, left).await?.wait().await };
    let may_be_repeated = forwarding::may_be_repeated(forwarded.key);
    let answer = tokio::select! {
        answer = answer => answer,
        // Whoever led may be paused or cut off.
        () = another_leads(broker.quorum.watch_leader(), leader), if may_be_repeated => return Ok(Attempt::Nobody),
    };
    match answer {
        Ok(response) => match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Ok(Attempt::Decided(response)),
            ErrorCode::NotController => Ok(Attempt::Nobody),
            // Its metadata log has failed, so it will not be the controller for long.
            ErrorCode::KafkaStorageError if may_be_repeated => Ok(Attempt::Nobody),
            code => Err(Refusal::new(code, response.error_message.unwrap_or_default())),
        },
        Err(_) if Instant::now() >= deadline => Err(too_late(broker)),
        Err(_) if may_be_repeated => Ok(Attempt::Nobody),
        Err(error) => Err(Refusal::new(
            ErrorCode::RequestTimedOut,
            format!("The controller was lost on the way, and what has become of the request is unknown: {error}"),
        )),
    }
}

/// Returns when another node leads; never if the quorum ends before.
async fn another_leads(mut leader: watch::Receiver<Option<Leader>>, asked: &Leader) {
    let another = |now: &Option<Leader>| now.as_ref().is_some_and(|now| now.node_id != asked.node_id);
    if leader.wait_for(another).await.is_err() {
        future::pending().await
    }
}

/// Returns when there may be another controller.
async fn look_again(broker: &BrokerState, deadline: Instant) -> Result<(), Refusal> {
    let pause = Instant::now() + limits::CONTROLLER_RETRY;
    changes(&mut from_now(broker.quorum.watch_leader()), pause.min(deadline)).await;
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::RequestTimedOut, voters::why_no_controller(broker)))
}

/// A new receiver is the copy of one that has seen nothing yet.
fn from_now<T>(mut watched: watch::Receiver<T>) -> watch::Receiver<T> {
    watched.mark_unchanged();
    watched
}

/// Returns when the value has changed, or at `end`.
pub(crate) async fn changes<T>(watched: &mut watch::Receiver<T>, end: Instant) {
    if let Ok(Err(_)) = tokio::time::timeout_at(end, watched.changed()).await {
        // The quorum has ended, which the next attempt is told.
        tokio::time::sleep_until(end).await;
    }
}

fn too_late(broker: &BrokerState) -> Refusal {
    let mut message = "The change was not carried out in time; it may still be.".to_owned();
    if let Some(missing) = voters::missing(broker) {
        message = format!("{message} {missing}");
    }
    Refusal::new(ErrorCode::RequestTimedOut, message)
}

fn refusal(error: &SubmitError) -> Refusal {
    let code = match error {
        SubmitError::NotController { .. } | SubmitError::ShutDown => ErrorCode::NotController,
        SubmitError::Unknown => ErrorCode::RequestTimedOut,
        SubmitError::TooLarge(_) => ErrorCode::PolicyViolation,
        SubmitError::Defect => ErrorCode::UnknownServerError,
        SubmitError::Failed(_) => ErrorCode::KafkaStorageError,
    };
    Refusal::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_node_does_not_look_for_a_controller_without_a_pause() {
        let soon = || Instant::now() + limits::CONTROLLER_RETRY;
        let (sender, receiver) = watch::channel(0);
        sender.send_replace(1);
        let pause = soon();
        changes(&mut from_now(receiver.clone()), pause).await;
        assert!(Instant::now() >= pause, "the change was before");

        let mut watched = from_now(receiver.clone());
        sender.send_replace(2);
        let long = Instant::now() + limits::CONTROLLER_TIMEOUT_MAX;
        changes(&mut watched, long).await;
        assert!(Instant::now() < long);

        drop(sender);
        let pause = soon();
        changes(&mut from_now(receiver), pause).await;
        assert!(Instant::now() >= pause, "nobody tells of changes any more");
    }

    #[test]
    fn clients_are_told_before_they_give_up() {
        let (second, default_ms) = (Duration::from_secs(1), 30_000);
        assert_eq!([timeout(default_ms), timeout(0), timeout(-1)], [27 * second, second, second]);
        assert!(timeout(i32::MAX) <= 60 * second && limits::CONTROLLER_TIMEOUT_UNSAID < 30 * second);
    }

    #[tokio::test]
    async fn a_controller_that_does_not_answer_is_waited_for_until_there_is_another() {
        let leader = |node_id| Leader {
            node_id,
            address: String::new(),
        };
        let (sender, receiver) = watch::channel(Some(leader(1)));
        let asked = leader(1);
        let mut waiting = std::pin::pin!(another_leads(receiver, &asked));
        for still in [Some(leader(1)), None] {
            sender.send_replace(still);
            assert!(tokio::time::timeout(limits::CONTROLLER_RETRY, &mut waiting).await.is_err());
        }
        sender.send_replace(Some(leader(2)));
        tokio::time::timeout(limits::CONTROLLER_TIMEOUT_MAX, &mut waiting).await.unwrap();
    }
}
