//! Asking the controller for a change, wherever it is, and waiting until this node acts on it.

use std::time::Duration;

use bytes::Bytes;
use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::id::Offset;
use dohle_protocol::messages::forward_to_controller::{ForwardToControllerRequest, ForwardToControllerResponse};
use dohle_protocol::{ApiKey, ErrorCode};
use dohle_quorum::{Leader, SubmitError};
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

/// The time that a client gives, within reason: some give none at all.
pub(crate) fn timeout(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default())
        .clamp(limits::CONTROLLER_TIMEOUT_MIN, limits::CONTROLLER_TIMEOUT_MAX)
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
    match answer.await {
        Ok(response) => match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => Ok(Attempt::Decided(response)),
            ErrorCode::NotController => Ok(Attempt::Nobody),
            code => Err(Refusal::new(code, response.error_message.unwrap_or_default())),
        },
        Err(_) if Instant::now() >= deadline => Err(too_late(broker)),
        Err(_) if forwarding::may_be_repeated(forwarded.key) => Ok(Attempt::Nobody),
        Err(error) => Err(Refusal::new(
            ErrorCode::RequestTimedOut,
            format!("The controller was lost on the way, and what has become of the request is unknown: {error}"),
        )),
    }
}

/// Returns when there may be another controller.
async fn look_again(broker: &BrokerState, deadline: Instant) -> Result<(), Refusal> {
    let mut leader = broker.quorum.watch_leader();
    let pause = Instant::now() + limits::CONTROLLER_RETRY;
    // An error says that the quorum has ended, which the next attempt is told.
    let _ = tokio::time::timeout_at(pause.min(deadline), leader.changed()).await;
    if Instant::now() < deadline {
        return Ok(());
    }
    Err(Refusal::new(ErrorCode::RequestTimedOut, voters::why_no_controller(broker)))
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
