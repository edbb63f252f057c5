//! The task that keeps a membership alive: joins, sends heartbeats, and watches the topics whose changes call for a rebalance.
//!
//! It waits for a wish of the consumer, an answer, or the next time to act, whichever comes first.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::messages::join_group::JoinGroupResponseMember;
use dohle_protocol::messages::sync_group::SyncGroupRequestAssignment;
use dohle_protocol::{ApiKey, ErrorCode};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::Instant;

use super::coordinator::Coordinator;
use super::link::{Link, Stage, Wanted, Wish};
use super::membership::{Membership, Setback, read_members};
use super::subscription::Subscription;
use crate::cluster::Topics;
use crate::cluster_metadata::{ClusterMetadata, TopicPartition};
use crate::config::GroupConfig;
use crate::connection::Connection;
use crate::consumer::assignor::PartitionCounts;
use crate::error::ClientError;
use crate::limits::REBALANCE_GRACE;

pub(super) struct Member {
    coordinator: Arc<Coordinator>,
    config: Arc<GroupConfig>,
    link: Arc<Link>,
    membership: Membership,
    heartbeat_at: Option<Instant>,
    heartbeat_failures: u32,
    /// At most one, like the next.
    heartbeats: FuturesUnordered<BoxFuture<'static, HeartbeatAnswer>>,
    refreshes: FuturesUnordered<BoxFuture<'static, Result<Arc<ClusterMetadata>, ClientError>>>,
    refresh_at: Option<Instant>,
    refresh_failures: u32,
    watched: Option<Watched>,
}

struct HeartbeatAnswer {
    generation: i32,
    code: Result<ErrorCode, ClientError>,
}

/// What the current generation was formed from.
struct Watched {
    subscription: Subscription,
    topics: BTreeSet<Arc<str>>,
    /// Of the leader: all topics of the group, and how many partitions they had.
    counts: Option<(Vec<Arc<str>>, PartitionCounts)>,
}

/// What a member has got by joining.
struct Assigned {
    partitions: Vec<TopicPartition>,
    watched: Watched,
}

impl Member {
    pub(super) fn new(coordinator: Arc<Coordinator>, config: Arc<GroupConfig>, link: Arc<Link>, rack: &str) -> Member {
        Member {
            membership: Membership::new(&config, rack),
            coordinator,
            config,
            link,
            heartbeat_at: None,
            heartbeat_failures: 0,
            heartbeats: FuturesUnordered::new(),
            refreshes: FuturesUnordered::new(),
            refresh_at: None,
            refresh_failures: 0,
            watched: None,
        }
    }

    /// Ends after leaving, or without leaving when the consumer is dropped: as after a crash, the session runs out then.
    pub(super) async fn run(mut self, mut wishes: watch::Receiver<Wish>) {
        loop {
            let wish = wishes.borrow_and_update().clone();
            match wish {
                Wish::Wait => {}
                Wish::Join(wanted) => {
                    tokio::select! {
                        // Closes the connection: the answer is not wanted any more.
                        changed = wishes.changed() => if changed.is_err() { return } else { continue },
                        // In a box, since it is rare: a task that only sends heartbeats is small.
                        () = Box::pin(self.join(&wanted)) => {}
                    }
                }
                Wish::Leave => {
                    self.leave("the consumer is being closed").await;
                    self.link.set_stage(Stage::Left);
                    return;
                }
            }
            tokio::select! {
                changed = wishes.changed() => if changed.is_err() { return },
                never = self.stay() => match never {},
            }
        }
    }

    /// Joins until it is in a generation, or has to ask the consumer.
    async fn join(&mut self, wanted: &Wanted) {
        let backoff = self.coordinator.cluster().config().backoff();
        let mut failures = 0;
        self.stop_timers();
        loop {
            let outcome = self.join_once(wanted).await;
            self.link.set_identity(self.membership.identity().clone());
            match outcome {
                Ok(assigned) => {
                    self.heartbeat_at = Some(Instant::now() + self.config.heartbeat_interval);
                    self.watched = Some(assigned.watched);
                    self.plan_refresh();
                    self.link.set_stage(Stage::Assigned(assigned.partitions.into()));
                    return;
                }
                Err(Setback::Again | Setback::Rejoin) => {}
                Err(Setback::Lost) if wanted.owned.is_empty() => {}
                Err(Setback::Lost) => return self.link.must_join(true),
                Err(Setback::Failed(error)) => return self.link.set_stage(Stage::Failed(error)),
                Err(Setback::Later(error)) => {
                    tracing::debug!("group {}: cannot join yet: {error}", self.config.id);
                    failures += 1;
                    tokio::time::sleep(backoff.after(failures)).await;
                }
            }
        }
    }

    fn stop_timers(&mut self) {
        self.heartbeat_at = None;
        self.heartbeat_failures = 0;
        self.heartbeats.clear();
        self.refresh_at = None;
        self.refreshes.clear();
        self.watched = None;
    }

    async fn join_once(&mut self, wanted: &Wanted) -> Result<Assigned, Setback> {
        let topics = self.topics_to_join(&wanted.subscription).await?;
        let reached = self.coordinator.reach().await.map_err(later)?;
        let outcome = self.join_at(&reached.connection, wanted, topics).await;
        if let Err(Setback::Later(error)) = &outcome {
            self.coordinator.heed(reached.node, error);
        }
        self.coordinator.give_back(reached);
        outcome
    }

    async fn join_at(&mut self, connection: &Connection, wanted: &Wanted, topics: BTreeSet<Arc<str>>) -> Result<Assigned, Setback> {
        let timeout = self.config.poll_interval_max + REBALANCE_GRACE;
        let request = self.membership.join_request(&topics, &wanted.owned, "the consumer asked for it");
        let version = connection.version_of(ApiKey::JoinGroup).map_err(Setback::Failed)?;
        let sent = connection.start(&request, version, timeout).await.map_err(later)?;
        let joined = self.membership.on_join(sent.wait().await.map_err(later)?)?;
        let mut watched = Watched {
            subscription: wanted.subscription.clone(),
            topics,
            counts: None,
        };
        let assignments = match joined.led {
            Some(members) => self.lead(members, joined.skip_assignment, &mut watched).await?,
            None => Vec::new(),
        };
        let request = self.membership.sync_request(assignments);
        let version = connection.version_of(ApiKey::SyncGroup).map_err(Setback::Failed)?;
        let sent = connection.start(&request, version, timeout).await.map_err(later)?;
        let partitions = self.membership.on_sync(sent.wait().await.map_err(later)?)?;
        Ok(Assigned { partitions, watched })
    }

    /// A pattern is matched against what exists now.
    async fn topics_to_join(&mut self, subscription: &Subscription) -> Result<BTreeSet<Arc<str>>, Setback> {
        let cluster = self.coordinator.cluster();
        let metadata = match subscription {
            Subscription::Topics(_) => cluster.metadata(),
            Subscription::Matching(_) => cluster.refresh(Topics::All).await.map_err(later)?,
        };
        Ok(subscription.topics(&metadata, self.config.exclude_internal_topics))
    }

    /// The leader's part: who gets what. From now on it watches the topics of all.
    async fn lead(
        &mut self,
        members: Vec<JoinGroupResponseMember>,
        skip_assignment: bool,
        watched: &mut Watched,
    ) -> Result<Vec<SyncGroupRequestAssignment>, Setback> {
        let members = read_members(members);
        let topics: BTreeSet<&Arc<str>> = members.values().flat_map(|member| &member.topics).collect();
        let names: Vec<Arc<str>> = topics.into_iter().cloned().collect();
        let topics = Topics::Named {
            names: &names,
            create_missing: self.config.create_topics,
        };
        let metadata = self.coordinator.cluster().refresh(topics).await.map_err(later)?;
        let counts = counts(&metadata, &names);
        let assignments = if skip_assignment {
            Vec::new()
        } else {
            self.membership.assign(&members, &counts)
        };
        watched.counts = Some((names, counts));
        Ok(assignments)
    }

    /// Does what is due, for as long as it is not cancelled.
    async fn stay(&mut self) -> Infallible {
        loop {
            let poll_deadline = self.heartbeat_at.and_then(|_| self.link.poll_deadline());
            let wake = [self.heartbeat_at, self.refresh_at, poll_deadline].into_iter().flatten().min();
            let time_to_act = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(answer) = self.heartbeats.next() => self.on_heartbeat(answer),
                Some(refreshed) = self.refreshes.next() => self.on_refresh(refreshed),
                () = time_to_act => self.on_time().await,
            }
        }
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        if self.heartbeat_at.is_some() && self.link.poll_deadline().is_some_and(|deadline| deadline <= now) {
            tracing::warn!(
                "group {}: the application did not poll for {} ms (max.poll.interval.ms), the member leaves",
                self.config.id,
                self.config.poll_interval_max.as_millis()
            );
            self.leave("max.poll.interval.ms passed without a poll").await;
            self.link.must_join(true);
            return;
        }
        if self.heartbeat_at.is_some_and(|at| at <= now) {
            self.heartbeat_at = Some(now + self.config.heartbeat_interval);
            if self.heartbeats.is_empty() {
                self.heartbeats.push(self.heartbeat());
            }
        }
        if self.refresh_at.is_some_and(|at| at <= now) {
            self.refresh_at = None;
            self.refreshes.extend(self.refresh());
        }
    }

    fn heartbeat(&self) -> BoxFuture<'static, HeartbeatAnswer> {
        let coordinator = self.coordinator.clone();
        let request = self.membership.heartbeat_request();
        let timeout = self.config.session_timeout.min(coordinator.cluster().config().request_timeout);
        Box::pin(async move {
            let generation = request.generation_id;
            let answered = async {
                let reached = coordinator.reach_for_heartbeat().await?;
                let sent = async {
                    let version = reached.connection.version_of(ApiKey::Heartbeat)?;
                    let response = reached.connection.start(&request, version, timeout).await?.wait().await?;
                    Ok(ErrorCode::from_code(response.error_code))
                };
                let answer: Result<ErrorCode, ClientError> = sent.await;
                let error = match &answer {
                    Ok(code) => ClientError::check(code.code(), None).err(),
                    Err(error) => Some(error.clone()),
                };
                if let Some(error) = error {
                    coordinator.heed(reached.node, &error);
                }
                answer
            };
            HeartbeatAnswer {
                generation,
                code: answered.await,
            }
        })
    }

    fn on_heartbeat(&mut self, answer: HeartbeatAnswer) {
        if answer.generation != self.membership.identity().generation {
            return;
        }
        let outcome = match answer.code {
            Ok(code) => self.membership.on_heartbeat(code),
            Err(error) => Err(later(error)),
        };
        self.link.set_identity(self.membership.identity().clone());
        match outcome {
            Ok(()) | Err(Setback::Again) => self.heartbeat_failures = 0,
            Err(Setback::Later(error)) => {
                tracing::debug!("group {}: heartbeat: {error}", self.config.id);
                self.heartbeat_failures += 1;
                let wait = self.coordinator.cluster().config().backoff().after(self.heartbeat_failures);
                self.heartbeat_at = Some(Instant::now() + wait.min(self.config.heartbeat_interval));
            }
            Err(Setback::Rejoin) => {
                self.heartbeat_failures = 0;
                self.link.must_join(false);
            }
            Err(Setback::Lost) => {
                self.stop_timers();
                self.link.must_join(true);
            }
            Err(Setback::Failed(error)) => {
                self.stop_timers();
                self.link.set_stage(Stage::Failed(error));
            }
        }
    }

    fn refresh(&self) -> Option<BoxFuture<'static, Result<Arc<ClusterMetadata>, ClientError>>> {
        let watched = self.watched.as_ref()?;
        let cluster = self.coordinator.cluster().clone();
        let all = matches!(watched.subscription, Subscription::Matching(_));
        let names = match &watched.counts {
            Some((names, _)) => names.clone(),
            None => watched.topics.iter().cloned().collect(),
        };
        let create_missing = self.config.create_topics;
        Some(Box::pin(async move {
            let topics = if all {
                Topics::All
            } else {
                Topics::Named {
                    names: &names,
                    create_missing,
                }
            };
            cluster.refresh(topics).await
        }))
    }

    fn on_refresh(&mut self, refreshed: Result<Arc<ClusterMetadata>, ClientError>) {
        let Some(watched) = &self.watched else { return };
        let metadata = match refreshed {
            Ok(metadata) => metadata,
            Err(error) => {
                tracing::debug!("group {}: topics cannot be watched: {error}", self.config.id);
                return self.plan_refresh();
            }
        };
        let matching = watched.subscription.topics(&metadata, self.config.exclude_internal_topics);
        let grown = watched
            .counts
            .as_ref()
            .is_some_and(|(names, known)| counts(&metadata, names) != *known);
        if matching != watched.topics || grown {
            self.link.must_join(false);
        }
        self.plan_refresh();
    }

    /// Soon, while the leader misses a topic that somebody wants; otherwise when the metadata is old.
    fn plan_refresh(&mut self) {
        let config = self.coordinator.cluster().config();
        let counts = self.watched.as_ref().and_then(|watched| watched.counts.as_ref());
        let incomplete = counts.is_some_and(|(names, counts)| names.len() > counts.len());
        let wait: Duration = if incomplete {
            self.refresh_failures += 1;
            config.backoff().after(self.refresh_failures)
        } else {
            self.refresh_failures = 0;
            config.metadata_max_age
        };
        self.refresh_at = Some(Instant::now() + wait);
    }

    /// Tells the coordinator, if there is one to tell; not for longer than a request may take.
    async fn leave(&mut self, reason: &str) {
        self.stop_timers();
        let told = async {
            let reached = self.coordinator.reach().await?;
            let version = reached.connection.version_of(ApiKey::LeaveGroup)?;
            if let Some(request) = self.membership.leave_request(version, reason) {
                reached.connection.call(&request).await?;
            }
            self.coordinator.give_back(reached);
            Ok::<(), ClientError>(())
        };
        if let Err(error) = told.await {
            tracing::debug!("group {}: the coordinator was not told of the leave: {error}", self.config.id);
        }
        self.membership.on_left();
        self.link.set_identity(self.membership.identity().clone());
    }
}

fn later(error: ClientError) -> Setback {
    if error.is_retriable() {
        Setback::Later(error)
    } else {
        Setback::Failed(error)
    }
}

/// The topics of these that exist.
fn counts(metadata: &ClusterMetadata, names: &[Arc<str>]) -> PartitionCounts {
    let count = |name: &Arc<str>| Some((name.clone(), metadata.topic(name)?.partitions.len() as i32));
    names.iter().filter_map(count).collect()
}
