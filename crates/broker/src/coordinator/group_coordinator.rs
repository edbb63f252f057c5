//! The shards that this broker leads, and the way of a request to the right one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dohle_coordinator::{Caller, GroupConfig, GroupRequest};
use dohle_metadata::delta::Delta;
use dohle_metadata::image::ClusterImage;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, PartitionIndex};
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::parked_replies::Answer;
use super::pending_reply::PendingReply;
use super::shard::{Shard, ShardServices};
use super::{offsets_topic, placement};
use crate::cluster::endpoints;
use crate::config::Endpoint;
use crate::config::settings::GroupSettings;
use crate::dispatch::ConnectionInfo;
use crate::limits;
use crate::metrics::Metrics;
use crate::state::BrokerState;

#[derive(Debug)]
pub(crate) struct GroupCoordinator {
    services: Arc<ShardServices>,
    shards: RwLock<Shards>,
    /// Somebody has asked the controller for the topic.
    is_creating: AtomicBool,
}

#[derive(Debug, Default)]
struct Shards {
    /// Of the topic; 0 while there is none.
    partitions: i32,
    led: BTreeMap<i32, Arc<Shard>>,
}

impl GroupCoordinator {
    pub(crate) fn new(metrics: Arc<Metrics>) -> GroupCoordinator {
        GroupCoordinator {
            services: Arc::new(ShardServices {
                metrics,
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
                loads: Semaphore::new(limits::GROUP_LOADS_MAX),
                member_bytes: AtomicUsize::new(0),
            }),
            shards: RwLock::default(),
            is_creating: AtomicBool::new(false),
        }
    }

    /// Has the request decided by the shard of the group, and waits for the answer. The decision is made when this is first polled.
    pub(crate) async fn ask(&self, caller: &Caller, group: &str, request: GroupRequest) -> Answer {
        self.begin(caller, group, request)?.answer().await
    }

    /// The same where the group has to have a name.
    pub(crate) async fn ask_named(&self, caller: &Caller, group: &str, request: GroupRequest) -> Answer {
        if group.is_empty() {
            return Err(ErrorCode::InvalidGroupId);
        }
        self.ask(caller, group, request).await
    }

    /// [`GroupCoordinator::ask`] in two steps.
    pub(crate) fn begin(&self, caller: &Caller, group: &str, request: GroupRequest) -> Result<PendingReply, ErrorCode> {
        self.shard_of(group)?.ask(caller, request)
    }

    /// Has all shards decide a request. The error is the first of one that could not.
    pub(crate) fn begin_everywhere(&self, caller: &Caller, request: &GroupRequest) -> Result<Vec<PendingReply>, ErrorCode> {
        let asked = self.shards().into_iter().map(|shard| shard.ask(caller, request.clone()));
        // One that is not led here any more has nothing to say.
        asked.filter(|asked| !matches!(asked, Err(ErrorCode::NotCoordinator))).collect()
    }

    /// Who coordinates a group, and where this client reaches that broker. The topic that groups need is created if there is none.
    pub(crate) fn coordinator_of(
        &self,
        broker: &Arc<BrokerState>,
        group: &str,
        connection: &ConnectionInfo,
    ) -> Result<(BrokerId, Endpoint), ErrorCode> {
        let image = broker.quorum.image();
        let Some(topic) = image.topic(offsets_topic::NAME) else {
            self.create_topic(broker);
            return Err(ErrorCode::CoordinatorNotAvailable);
        };
        let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let partition = placement::partition_of(group, partitions);
        let leader = topic.partitions.get(&PartitionIndex(partition)).map(|partition| partition.leader);
        let leader = leader.and_then(|id| image.broker(id)).filter(|leader| !leader.fenced);
        // What the metadata say may not have been carried out yet.
        let is_ready = |id: BrokerId| id != broker.services.me || self.shards.read().led.contains_key(&partition);
        let leader = leader
            .filter(|leader| is_ready(leader.id))
            .ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let endpoint = endpoints::reached_by(leader, connection).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        Ok((leader.id, endpoint))
    }

    /// The metadata have changed, and this broker has carried that out.
    pub(crate) fn follow(&self, broker: &BrokerState, image: &ClusterImage, delta: &Delta) {
        let is_concerned = |name: &Arc<str>| **name == *offsets_topic::NAME;
        let deleted: Vec<&str> = delta.topics_deleted.iter().map(|topic| &*topic.name).collect();
        if deleted.contains(&offsets_topic::NAME) || delta.partitions.iter().any(|partition| is_concerned(&partition.topic)) {
            self.take_over(broker, image);
        }
        if !deleted.is_empty() {
            self.shards().iter().for_each(|shard| shard.topics_deleted(&deleted));
        }
    }

    /// Begins with the shards that are led here now, and ends with those that are not any more.
    pub(crate) fn take_over(&self, broker: &BrokerState, image: &ClusterImage) {
        let topic = broker.replicas.topic(offsets_topic::NAME);
        let cells = topic.iter().flat_map(|topic| topic.cells());
        let mut led: BTreeMap<i32, _> = cells
            .filter_map(|cell| Some((cell.partition.0, (Arc::clone(cell), cell.writable_epoch().ok()?))))
            .collect();
        let mut shards = self.shards.write();
        if self.services.stop.is_cancelled() {
            return;
        }
        shards.partitions = image.topic(offsets_topic::NAME).map_or(0, |topic| topic.partitions.len() as i32);
        shards.led.retain(|partition, shard| {
            let stays = led
                .get(partition)
                .is_some_and(|(cell, epoch)| Arc::ptr_eq(cell, &shard.cell) && *epoch == shard.leader_epoch);
            if stays {
                led.remove(partition);
            } else {
                shard.end();
            }
            stays
        });
        let settings = broker.settings.load();
        for (partition, (cell, epoch)) in led {
            let services = Arc::clone(&self.services);
            let config = group_config(&settings.groups);
            let shard = Shard::new(cell, epoch, services, config, settings.groups.load_buffer_bytes);
            shards.led.insert(partition, shard);
        }
    }

    /// No more requests are taken; whoever waits is told to look for another coordinator.
    pub(crate) fn close(&self) {
        let shards = self.shards.write();
        self.services.stop.cancel();
        shards.led.values().for_each(|shard| shard.end());
    }

    /// Returns when nothing goes on any more after [`GroupCoordinator::close`].
    pub(crate) async fn ended(&self) {
        self.services.tasks.close();
        self.services.tasks.wait().await;
    }

    pub(super) fn shards(&self) -> Vec<Arc<Shard>> {
        self.shards.read().led.values().cloned().collect()
    }

    fn shard_of(&self, group: &str) -> Result<Arc<Shard>, ErrorCode> {
        if self.services.stop.is_cancelled() {
            return Err(ErrorCode::CoordinatorNotAvailable);
        }
        let shards = self.shards.read();
        if shards.partitions == 0 {
            return Err(ErrorCode::NotCoordinator);
        }
        let partition = placement::partition_of(group, shards.partitions);
        shards.led.get(&partition).cloned().ok_or(ErrorCode::NotCoordinator)
    }

    fn create_topic(&self, broker: &Arc<BrokerState>) {
        if self.services.stop.is_cancelled() || self.is_creating.swap(true, Ordering::AcqRel) {
            return;
        }
        let broker = Arc::clone(broker);
        self.services.tasks.spawn(async move {
            broker
                .groups
                .services
                .stop
                .run_until_cancelled(offsets_topic::create(&broker))
                .await;
            broker.groups.is_creating.store(false, Ordering::Release);
        });
    }
}

fn group_config(settings: &GroupSettings) -> GroupConfig {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    GroupConfig {
        session_timeout_ms_min: settings.session_timeout_ms_min,
        session_timeout_ms_max: settings.session_timeout_ms_max,
        initial_rebalance_delay_ms: settings.initial_rebalance_delay_ms,
        group_size_max: settings.size_max,
        offset_metadata_bytes_max: settings.offset_metadata_bytes_max,
        offsets_retention_ms: ms(settings.offsets_retention),
        offsets_retention_check_interval_ms: ms(settings.offsets_retention_check_interval),
        groups_max: limits::GROUPS_PER_SHARD_MAX,
        offsets_max: limits::OFFSETS_PER_SHARD_MAX,
        // What the log takes is known when a shard is loaded.
        ..GroupConfig::default()
    }
}
