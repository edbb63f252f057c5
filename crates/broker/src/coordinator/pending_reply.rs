//! A request that a shard has taken, and has perhaps not answered yet.

use std::sync::Arc;

use dohle_coordinator::ReplyToken;
use dohle_protocol::ErrorCode;
use tokio::sync::oneshot;

use super::parked_replies::Answer;
use super::shard::Shard;

/// Dropping it before the answer has come takes the request back.
#[derive(Debug)]
pub(crate) struct PendingReply {
    receiver: oneshot::Receiver<Answer>,
    shard: Arc<Shard>,
    token: ReplyToken,
    is_answered: bool,
}

impl PendingReply {
    pub(super) fn new(receiver: oneshot::Receiver<Answer>, shard: Arc<Shard>, token: ReplyToken) -> PendingReply {
        PendingReply {
            receiver,
            shard,
            token,
            is_answered: false,
        }
    }

    pub(crate) async fn answer(mut self) -> Answer {
        let answer = (&mut self.receiver).await;
        self.is_answered = true;
        // Nobody will answer: the shard has been given up.
        answer.unwrap_or(Err(ErrorCode::NotCoordinator))
    }
}

impl Drop for PendingReply {
    fn drop(&mut self) {
        if !self.is_answered {
            self.shard.cancel(self.token);
        }
    }
}
