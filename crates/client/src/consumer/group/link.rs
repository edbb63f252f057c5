//! What a consumer and the task of its membership share.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::ErrorCode;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use super::membership::Identity;
use super::subscription::Subscription;
use crate::cluster_metadata::TopicPartition;
use crate::config::GroupConfig;
use crate::error::ClientError;

/// Where the membership stands, as far as the consumer has to know.
#[derive(Debug, Clone)]
pub(in crate::consumer) enum Stage {
    /// The consumer is to give up what a rebalance asks for (all of it, without a commit, if it is `lost`) and then to join.
    MustJoin {
        lost: bool,
    },
    Joining,
    /// A generation began; the consumer has not looked at the assignment yet.
    Assigned(Arc<[TopicPartition]>),
    Settled,
    Failed(ClientError),
    Left,
}

/// What the consumer wants of the member's task. A newer wish replaces an older one.
#[derive(Debug, Clone)]
pub(in crate::consumer) enum Wish {
    Wait,
    Join(Arc<Wanted>),
    Leave,
}

#[derive(Debug)]
pub(in crate::consumer) struct Wanted {
    pub(in crate::consumer) subscription: Subscription,
    /// What was not given up.
    pub(in crate::consumer) owned: Vec<TopicPartition>,
}

pub(in crate::consumer) struct Link {
    stage: watch::Sender<Stage>,
    identity: Mutex<Identity>,
    /// When the last `poll` ended; none while one runs.
    idle_since: Mutex<Option<Instant>>,
    poll_interval_max: Duration,
}

impl Link {
    pub(super) fn new(config: &GroupConfig) -> Link {
        Link {
            stage: watch::Sender::new(Stage::MustJoin { lost: false }),
            identity: Mutex::new(Identity::default()),
            idle_since: Mutex::new(Some(Instant::now())),
            poll_interval_max: config.poll_interval_max,
        }
    }

    pub(super) fn watch_stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    pub(super) fn set_stage(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// Partitions that are lost stay lost, however often the group rebalances before the consumer looks.
    pub(in crate::consumer) fn must_join(&self, lost: bool) {
        self.stage.send_if_modified(|stage| match stage {
            Stage::MustJoin { lost: known } if *known || !lost => false,
            Stage::Failed(_) | Stage::Left => false,
            _ => {
                *stage = Stage::MustJoin { lost };
                true
            }
        });
    }

    /// The consumer is about to wish to join; whether its partitions have been lost up to now.
    pub(in crate::consumer) fn begin_join(&self) -> bool {
        matches!(self.stage.send_replace(Stage::Joining), Stage::MustJoin { lost: true })
    }

    /// The consumer takes note of an assignment, unless it is out of date already.
    pub(in crate::consumer) fn settle(&self) {
        self.stage.send_if_modified(|stage| {
            let assigned = matches!(stage, Stage::Assigned(_));
            if assigned {
                *stage = Stage::Settled;
            }
            assigned
        });
    }

    pub(super) fn set_identity(&self, identity: Identity) {
        *self.identity.lock() = identity;
    }

    pub(in crate::consumer) fn identity(&self) -> Identity {
        self.identity.lock().clone()
    }

    /// Generation -1 would be taken for a consumer that needs no group, and could overwrite what the members commit.
    pub(super) fn identity_in_group(&self) -> Result<Identity, ClientError> {
        let identity = self.identity();
        match identity.generation {
            0.. => Ok(identity),
            _ => Err(ClientError::refused(ErrorCode::UnknownMemberId.code(), None)),
        }
    }

    /// Marks that the application waits in `poll`, until the mark is dropped.
    pub(in crate::consumer) fn polling(self: &Arc<Link>) -> Polling {
        *self.idle_since.lock() = None;
        Polling(self.clone())
    }

    /// When the application will have been away for too long.
    pub(super) fn poll_deadline(&self) -> Option<Instant> {
        self.idle_since.lock().map(|since| since + self.poll_interval_max)
    }
}

pub(in crate::consumer) struct Polling(Arc<Link>);

impl Drop for Polling {
    fn drop(&mut self) {
        *self.0.idle_since.lock() = Some(Instant::now());
    }
}
