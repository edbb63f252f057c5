//! Replies of a shard that wait for its log.

use dohle_coordinator::GroupResponse;
use dohle_protocol::ErrorCode;
use tokio::sync::oneshot;

/// What a request to a shard ends with: the machine's response, or why there is none.
pub(crate) type Answer = Result<GroupResponse, ErrorCode>;

/// Parked until what they reveal is acknowledged.
#[derive(Debug, Default)]
pub(crate) struct ParkedReplies(Vec<(oneshot::Sender<Answer>, GroupResponse)>);

impl ParkedReplies {
    pub(super) fn push(&mut self, to: oneshot::Sender<Answer>, response: GroupResponse) {
        self.0.push((to, response));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sends them, or why they must not be sent. Who has gone meanwhile misses nothing.
    pub(crate) fn answer(self, outcome: Result<(), ErrorCode>) {
        for (to, response) in self.0 {
            let _ = to.send(outcome.map(|()| response).map_err(as_coordinator_error));
        }
    }
}

/// What clients of a coordinator are told when its log fails. They look for the coordinator again.
fn as_coordinator_error(error: ErrorCode) -> ErrorCode {
    match error {
        // This is the coordinator, and will be able to decide again.
        ErrorCode::NotEnoughReplicas | ErrorCode::NotEnoughReplicasAfterAppend | ErrorCode::RequestTimedOut => {
            ErrorCode::CoordinatorNotAvailable
        }
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => ErrorCode::InvalidCommitOffsetSize,
        _ => ErrorCode::NotCoordinator,
    }
}
