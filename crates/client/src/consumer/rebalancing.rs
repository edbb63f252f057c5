//! The consumer's part in its group: subscribing, taking and giving up partitions, committing, leaving.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::group::{Commit, GivingUp, MemberHandle, PendingCommit, Polling, Stage, Subscription, Wanted, Wish};
use super::offsets::{OffsetAndMetadata, Offsets};
use super::progress::Progress;
use super::{ConsumeError, Consumer, StartAt};
use crate::cluster_metadata::TopicPartition;
use crate::error::ClientError;

impl Consumer {
    /// Reads this member's share of the topics. Needs a `group.id`. The partitions come and go with `poll`.
    pub fn subscribe<T: Into<Arc<str>>>(&mut self, topics: impl IntoIterator<Item = T>) -> Result<(), ConsumeError> {
        self.subscribe_to(Subscription::Topics(topics.into_iter().map(Into::into).collect()))
    }

    /// Like `subscribe`, for all topics whose names the function approves of, now or later.
    pub fn subscribe_matching(&mut self, matches: impl Fn(&str) -> bool + Send + Sync + 'static) -> Result<(), ConsumeError> {
        self.subscribe_to(Subscription::Matching(Arc::new(matches)))
    }

    fn subscribe_to(&mut self, subscription: Subscription) -> Result<(), ConsumeError> {
        let group = self.group.as_mut().ok_or(ConsumeError::NoGroup)?;
        match &mut group.membership {
            Some(membership) if !matches!(membership.stage(), Stage::Failed(_)) => {
                membership.subscription = subscription;
                membership.link.must_join(false);
            }
            _ => {
                group.start_member(subscription, &self.config.rack);
                self.assign([]);
            }
        }
        Ok(())
    }

    /// Under which id, and in which generation, the group knows this member.
    pub fn membership(&self) -> Option<(String, i32)> {
        let identity = self.group.as_ref()?.membership.as_ref()?.link.identity();
        (identity.generation >= 0).then_some((identity.member_id, identity.generation))
    }

    /// Commits the positions: everything that `poll` has returned counts as processed.
    pub async fn commit(&mut self) -> Result<(), ConsumeError> {
        let pending = self.start_commit()?;
        Ok(pending.wait().await?)
    }

    /// Like `commit`, without waiting for it.
    pub fn start_commit(&mut self) -> Result<PendingCommit, ConsumeError> {
        let positions = self.positions();
        self.start_commit_of(positions)
    }

    pub async fn commit_offsets(&mut self, offsets: Offsets) -> Result<(), ConsumeError> {
        let pending = self.start_commit_of(offsets)?;
        Ok(pending.wait().await?)
    }

    /// Commits are carried out in the order in which they are started.
    pub fn start_commit_of(&mut self, offsets: Offsets) -> Result<PendingCommit, ConsumeError> {
        let patience = self.config.client.api_timeout;
        let group = self.group.as_ref().ok_or(ConsumeError::NoGroup)?;
        let identity = group.identity()?;
        Ok(group.committer.commit(Commit {
            offsets,
            identity,
            patience,
        }))
    }

    /// What the group has committed for those of the partitions for which it has.
    ///
    /// The future holds nothing of the consumer, which cannot be shared among threads.
    pub fn committed(&self, partitions: &[TopicPartition]) -> impl Future<Output = Result<Offsets, ConsumeError>> + Send + use<> {
        let coordinator = self.group.as_ref().map(|group| group.coordinator.clone());
        let partitions = partitions.to_vec();
        async move { Ok(coordinator.ok_or(ConsumeError::NoGroup)?.committed(&partitions).await?) }
    }

    /// Leaves the group, with a last commit as for any rebalance; reads nothing any more.
    pub async fn unsubscribe(&mut self, wait_max: Duration) -> Result<(), ConsumeError> {
        let keeps_partitions = !self.partitions.is_empty();
        let left = tokio::time::timeout(wait_max, async {
            // What a cooperative member kept can be committed in the next generation, if that begins in time.
            if let Some(membership) = self.membership_mut().filter(|_| keeps_partitions) {
                let _ = tokio::time::timeout(wait_max / 2, membership.joined()).await;
            }
            self.give_up_all_and_leave().await
        })
        .await;
        if let Some(group) = &mut self.group {
            group.membership = None;
        }
        self.assign([]);
        left.unwrap_or_else(|_| {
            let reason = format!("the group was not left within {} ms", wait_max.as_millis());
            Err(ClientError::Incomplete(reason).into())
        })
    }

    /// Commits what is to be committed without being told to, and leaves the group.
    pub async fn close(mut self, wait_max: Duration) -> Result<(), ConsumeError> {
        self.unsubscribe(wait_max).await
    }

    async fn give_up_all_and_leave(&mut self) -> Result<(), ConsumeError> {
        let Some(group) = &self.group else { return Ok(()) };
        let all = self.assignment();
        let committed = match &group.membership {
            // Those who assign themselves their partitions are asked nothing.
            None => match self.positions_to_auto_commit(&all) {
                offsets if offsets.is_empty() => Ok(()),
                offsets => self.commit_offsets(offsets).await,
            },
            Some(membership) if group.identity().is_err() || matches!(membership.stage(), Stage::MustJoin { lost: true }) => {
                self.lose(&all);
                Ok(())
            }
            Some(_) => {
                let pending = self.begin_giving_up(&all);
                match pending {
                    Some(pending) => pending.wait().await.map_err(ConsumeError::from),
                    None => Ok(()),
                }
            }
        };
        if let Some(membership) = self.membership_mut() {
            membership.wish(Wish::Leave);
            membership.left().await;
        }
        committed
    }

    pub(super) fn begin_poll(&self) -> Option<Polling> {
        Some(self.group.as_ref()?.membership.as_ref()?.link.polling())
    }

    pub(super) fn is_giving_up(&self) -> bool {
        let membership = self.group.as_ref().and_then(|group| group.membership.as_ref());
        membership.is_some_and(|membership| membership.giving_up.is_some())
    }

    /// Does what the stage of the membership asks for.
    pub(super) fn follow_group(&mut self) -> Result<(), ConsumeError> {
        loop {
            let Some(membership) = self.membership_mut() else { return Ok(()) };
            let stage = membership.stage();
            let waits = match &mut membership.giving_up {
                Some(giving_up) => giving_up.commit.as_mut().is_some_and(|commit| commit.outcome().is_none()),
                None => false,
            };
            match stage {
                Stage::Failed(error) => {
                    membership.giving_up = None;
                    let all = self.assignment();
                    self.lose(&all);
                    return Err(error.into());
                }
                Stage::MustJoin { lost: true } => {
                    membership.giving_up = None;
                    let all = self.assignment();
                    self.lose(&all);
                    self.join();
                }
                _ if waits => return Ok(()),
                _ if membership.giving_up.is_some() => self.finish_giving_up(),
                Stage::MustJoin { lost: false } => self.prepare_to_join(),
                Stage::Assigned(partitions) => self.take_over(&partitions),
                Stage::Joining | Stage::Settled | Stage::Left => return Ok(()),
            }
        }
    }

    /// Gives up everything, or with cooperative assignors only what is not subscribed to any more.
    fn prepare_to_join(&mut self) {
        let Some(group) = &self.group else { return };
        let Some(membership) = &group.membership else { return };
        let cooperative = group.config.assignors.iter().all(|assignor| assignor.is_cooperative());
        let keeps = |tp: &TopicPartition| cooperative && membership.subscription.wants(&tp.topic);
        let partitions: Vec<TopicPartition> = self.partitions.keys().filter(|tp| !keeps(tp)).cloned().collect();
        self.give_up(partitions);
    }

    fn give_up(&mut self, partitions: Vec<TopicPartition>) {
        let commit = if partitions.is_empty() {
            None
        } else {
            self.begin_giving_up(&partitions)
        };
        if let Some(membership) = self.membership_mut() {
            membership.giving_up = Some(GivingUp { partitions, commit });
        }
    }

    /// Asks the application, and starts the commit that it, or `enable.auto.commit`, wants.
    fn begin_giving_up(&mut self, partitions: &[TopicPartition]) -> Option<PendingCommit> {
        let mut offsets = self.positions_to_auto_commit(partitions);
        if !partitions.is_empty() {
            self.listener.revoked(partitions, &mut offsets);
        }
        let group = self.group.as_ref()?;
        let identity = group.identity().ok()?;
        let commit = Commit {
            offsets,
            identity,
            patience: group.config.poll_interval_max.min(self.config.client.api_timeout),
        };
        (!commit.offsets.is_empty()).then(|| group.committer.commit(commit))
    }

    fn finish_giving_up(&mut self) {
        let Some(membership) = self.membership_mut() else { return };
        let Some(mut giving_up) = membership.giving_up.take() else { return };
        if let Some(Err(error)) = giving_up.commit.as_mut().and_then(PendingCommit::outcome) {
            tracing::warn!("the offsets of partitions that were given up are not committed: {error}");
        }
        self.drop_partitions(&giving_up.partitions);
        self.join();
    }

    /// What is left now is kept through the rebalance.
    fn join(&mut self) {
        let Some(membership) = self.membership_mut() else { return };
        if membership.link.begin_join() {
            let rest = self.assignment();
            self.lose(&rest);
        }
        let owned = self.assignment();
        if let Some(membership) = self.membership_mut() {
            let subscription = membership.subscription.clone();
            membership.wish(Wish::Join(Arc::new(Wanted { subscription, owned })));
        }
    }

    /// Begins with what is new; what is missing is given up, and joined without.
    fn take_over(&mut self, assigned: &[TopicPartition]) {
        let assigned: BTreeSet<&TopicPartition> = assigned.iter().collect();
        let missing: Vec<TopicPartition> = self.partitions.keys().filter(|tp| !assigned.contains(tp)).cloned().collect();
        let new: Vec<TopicPartition> = assigned
            .into_iter()
            .filter(|tp| !self.partitions.contains_key(*tp))
            .cloned()
            .collect();
        if let Some(membership) = self.membership_mut() {
            membership.link.settle();
        }
        if !missing.is_empty() {
            self.give_up(missing);
        }
        let mut starts: BTreeMap<TopicPartition, StartAt> = BTreeMap::new();
        self.listener.assigned(&new, &mut starts);
        for tp in new {
            let start = starts.remove(&tp).unwrap_or(StartAt::Committed);
            self.partitions.insert(tp, Progress::new(start));
        }
        self.schedule_auto_commit();
    }

    fn lose(&mut self, partitions: &[TopicPartition]) {
        if !partitions.is_empty() {
            self.listener.lost(partitions);
            self.drop_partitions(partitions);
        }
    }

    fn drop_partitions(&mut self, partitions: &[TopicPartition]) {
        for tp in partitions {
            self.partitions.remove(tp);
        }
        self.fetched.retain(|fetched| self.partitions.contains_key(fetched.partition()));
    }

    fn positions(&self) -> Offsets {
        let known = |(tp, progress): (&TopicPartition, &Progress)| {
            let committed = OffsetAndMetadata {
                offset: progress.position?,
                leader_epoch: progress.position_epoch,
                metadata: String::new(),
            };
            Some((tp.clone(), committed))
        };
        self.partitions.iter().filter_map(known).collect()
    }

    fn positions_to_auto_commit(&self, partitions: &[TopicPartition]) -> Offsets {
        let group = self.group.as_ref();
        if group.is_none_or(|group| group.config.auto_commit_interval.is_none()) {
            return Offsets::new();
        }
        let changed = |tp: &TopicPartition| Some((tp.clone(), self.partitions.get(tp)?.to_commit()?));
        partitions.iter().filter_map(changed).collect()
    }

    pub(super) fn auto_commit_at(&self) -> Option<Instant> {
        let group = self.group.as_ref()?;
        let joins = group.membership.as_ref().is_some_and(MemberHandle::is_joining);
        group
            .auto_commit_at
            .filter(|_| group.auto_commit.is_none() && !joins && !self.is_giving_up())
    }

    fn schedule_auto_commit(&mut self) {
        if let Some(group) = &mut self.group {
            group.auto_commit_at = group.config.auto_commit_interval.map(|interval| Instant::now() + interval);
        }
    }

    /// Commits the positions if it is time, and notes what has been committed.
    pub(super) fn auto_commit(&mut self) {
        self.note_auto_commit();
        if self.auto_commit_at().is_none_or(|at| at > Instant::now()) {
            return;
        }
        self.schedule_auto_commit();
        let offsets = self.positions_to_auto_commit(&self.assignment());
        let Some(group) = self.group.as_mut().filter(|_| !offsets.is_empty()) else {
            return;
        };
        let Ok(identity) = group.identity() else { return };
        let commit = Commit {
            offsets: offsets.clone(),
            identity,
            patience: group.config.auto_commit_interval.unwrap_or_default(),
        };
        group.auto_commit = Some((offsets, group.committer.commit(commit)));
    }

    fn note_auto_commit(&mut self) {
        let Some(group) = &mut self.group else { return };
        let Some(outcome) = group.auto_commit.as_mut().and_then(|(_, pending)| pending.outcome()) else {
            return;
        };
        let offsets = group.auto_commit.take().map(|(offsets, _)| offsets).unwrap_or_default();
        match outcome {
            Ok(()) => {
                for (tp, committed) in offsets {
                    if let Some(progress) = self.partitions.get_mut(&tp) {
                        progress.committed = Some(committed.offset);
                    }
                }
            }
            Err(error) => tracing::warn!("offsets are not committed, the next attempt follows: {error}"),
        }
    }

    fn membership_mut(&mut self) -> Option<&mut MemberHandle> {
        self.group.as_mut()?.membership.as_mut()
    }
}
