//! Asking the controller for a change, and waiting until this broker acts on it.

use std::time::Duration;

use dohle_metadata::controller::{ControllerReply, ControllerRequest, Refusal};
use dohle_protocol::ErrorCode;
use dohle_quorum::SubmitError;

use crate::limits;
use crate::state::BrokerState;

/// Has the controller decide. Returns once the decision is committed and this broker has carried it out.
pub(crate) async fn change(broker: &BrokerState, request: ControllerRequest, timeout: Duration) -> Result<ControllerReply, Refusal> {
    let decided_and_carried_out = async {
        let reply = broker.quorum.submit(request).await.map_err(|error| refusal(&error))?;
        broker.carried_out.reaches(broker.quorum.version().offset).await;
        Ok(reply)
    };
    let timed_out = |_| {
        Refusal::new(
            ErrorCode::RequestTimedOut,
            "The change was not carried out in time; it may still be.",
        )
    };
    tokio::time::timeout(timeout, decided_and_carried_out).await.map_err(timed_out)?
}

/// The time that a client gives, within reason: some give none at all.
pub(crate) fn timeout(timeout_ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(timeout_ms).unwrap_or_default())
        .clamp(limits::CONTROLLER_TIMEOUT_MIN, limits::CONTROLLER_TIMEOUT_MAX)
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
