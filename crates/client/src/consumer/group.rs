//! A consumer's place in its group: a task keeps the membership alive however slow the application is, another one commits offsets.
//!
//! The consumer and the member's task tell each other the newest state and nothing else, through two watched values. The task says in
//! which [`Stage`] the membership is; the consumer says what it wishes ([`Wish`]). Partitions change hands in the consumer alone, between
//! two calls of `poll`: asked to rejoin, it first gives up what it must, and then wishes to join.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::cluster_metadata::TopicPartition;
use crate::config::GroupConfig;
use crate::error::ClientError;

mod committed;
mod committer;
mod coordinator;
mod link;
mod member;
mod membership;
mod subscription;

pub use committer::PendingCommit;
pub(super) use committer::{Commit, Committer};
pub(super) use coordinator::Coordinator;
pub(super) use link::{Link, Polling, Stage, Wanted, Wish};
pub(super) use membership::Identity;
pub(super) use subscription::Subscription;

use super::offsets::Offsets;
use member::Member;

/// What a consumer with a `group.id` has.
pub(super) struct Group {
    pub(super) config: Arc<GroupConfig>,
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) committer: Committer,
    /// Present while subscribed.
    pub(super) membership: Option<MemberHandle>,
    pub(super) auto_commit_at: Option<Instant>,
    /// Positions on their way, and whose arrival will be noted.
    pub(super) auto_commit: Option<(Offsets, PendingCommit)>,
}

/// The consumer's end of the member's task, which ends when this is dropped.
pub(super) struct MemberHandle {
    pub(super) subscription: Subscription,
    pub(super) link: Arc<Link>,
    stage: watch::Receiver<Stage>,
    wish: watch::Sender<Wish>,
    pub(super) giving_up: Option<GivingUp>,
}

/// Partitions that are given up as soon as their offsets are committed.
pub(super) struct GivingUp {
    pub(super) partitions: Vec<TopicPartition>,
    pub(super) commit: Option<PendingCommit>,
}

impl Group {
    pub(super) fn new(cluster: Arc<Cluster>, config: GroupConfig) -> Group {
        let coordinator = Arc::new(Coordinator::new(cluster, &config.id));
        Group {
            committer: Committer::start(coordinator.clone()),
            coordinator,
            membership: None,
            auto_commit_at: config.auto_commit_interval.map(|interval| Instant::now() + interval),
            auto_commit: None,
            config: Arc::new(config),
        }
    }

    /// Starts the member's task; it waits for a wish.
    pub(super) fn start_member(&mut self, subscription: Subscription, rack: &str) {
        let link = Arc::new(Link::new(&self.config));
        let (wish, wishes) = watch::channel(Wish::Wait);
        let member = Member::new(self.coordinator.clone(), self.config.clone(), link.clone(), rack);
        tokio::spawn(member.run(wishes));
        self.membership = Some(MemberHandle {
            subscription,
            stage: link.watch_stage(),
            link,
            wish,
            giving_up: None,
        });
    }

    /// Under whose name offsets are committed; an error while the member is in no generation.
    pub(super) fn identity(&self) -> Result<Identity, ClientError> {
        self.membership
            .as_ref()
            .map_or(Ok(Identity::default()), |membership| membership.link.identity_in_group())
    }

    /// Waits until there is something to do for the consumer. May be cancelled.
    pub(super) async fn changed(&mut self) {
        let Group {
            membership, auto_commit, ..
        } = self;
        let auto_committed = async {
            match auto_commit {
                Some((_, pending)) => pending.done().await,
                None => std::future::pending().await,
            }
        };
        let membership_changed = async {
            match membership {
                Some(membership) => membership.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = auto_committed => {}
            () = membership_changed => {}
        }
    }
}

impl MemberHandle {
    pub(super) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// The generation in which the partitions were owned may have ended, and the next one has not begun: nothing can be committed.
    pub(super) fn is_joining(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Joining)
    }

    /// Waits until the join has come to some end.
    pub(super) async fn joined(&mut self) {
        let _ = self.stage.wait_for(|stage| !matches!(stage, Stage::Joining)).await;
    }

    pub(super) fn wish(&self, wish: Wish) {
        self.wish.send_replace(wish);
    }

    async fn changed(&mut self) {
        match &mut self.giving_up {
            // Nothing else matters until then, but that the partitions are lost.
            Some(GivingUp { commit: Some(pending), .. }) => tokio::select! {
                () = pending.done() => {}
                _ = self.stage.changed() => {}
            },
            _ => {
                // The sender is in the link, which is ours too.
                let _ = self.stage.changed().await;
            }
        }
    }

    /// Waits until the member has left, or cannot.
    pub(super) async fn left(&mut self) {
        let _ = self.stage.wait_for(|stage| matches!(stage, Stage::Left)).await;
    }
}
