//! Clusters to which anything happens in any order, by seed. A model of who holds the committed records watches every decision.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::delta::Delta;
use crate::image::topics::raw_ids;
use dohle_protocol::id::TopicId;
use dohle_protocol::messages::alter_partition::{BrokerState as InSync, PartitionData, TopicData};
use dohle_protocol::messages::alter_partition_reassignments::{ReassignablePartition, ReassignableTopic};
use dohle_protocol::messages::delete_topics::DeleteTopicState;
use dohle_protocol::messages::elect_leaders::TopicPartitions;

const SEEDS: u64 = 2000;
const STEPS: usize = 50;

type PartitionKey = (TopicId, i32);

struct World {
    cluster: Cluster,
    random: Random,
    brokers: i32,
    incarnations: u128,
    /// Epochs of processes that ended in order and are not back yet.
    ended: BTreeMap<i32, i64>,
    /// Who holds all that is committed, at least.
    holders: BTreeMap<PartitionKey, BTreeSet<i32>>,
    /// Of each broker, the last.
    epochs: BTreeMap<i32, i64>,
}

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random::new(u128::from(seed) << 64 | u128::from(seed));
        let brokers = 3 + random.below(3) as i32;
        World {
            cluster: Cluster::of(brokers),
            random,
            brokers,
            incarnations: 1000,
            ended: BTreeMap::new(),
            holders: BTreeMap::new(),
            epochs: BTreeMap::new(),
        }
    }

    fn broker(&mut self) -> i32 {
        1 + self.random.below(self.brokers as usize) as i32
    }

    fn chance(&mut self, of: usize) -> bool {
        self.random.below(of) == 0
    }

    fn replicas(&mut self) -> Vec<i32> {
        let mut ids: Vec<i32> = (1..=self.brokers).collect();
        self.random.shuffle(&mut ids);
        ids.truncate(1 + self.random.below(3));
        ids
    }

    fn name(&mut self) -> String {
        ["a", "b", "__consumer_offsets"][self.random.below(3)].to_owned()
    }

    fn epoch(&self, id: i32) -> i64 {
        self.cluster.image.broker(BrokerId(id)).map_or(-1, |broker| broker.epoch)
    }

    fn step(&mut self) {
        let request = match self.random.below(22) {
            0 | 1 => self.create_topic(),
            2 => self.delete_topic(),
            3..=6 => self.heartbeat(false, false),
            7 => self.heartbeat(true, false),
            8 => self.stop(),
            9 | 10 => self.restart(),
            11 => self.silence(),
            12..=15 => self.alter_partition(),
            16 => self.elect_leaders(),
            17 | 18 => self.reassign(),
            19 => self.configure(),
            20 => self.fence_or_unregister(),
            _ => ControllerRequest::BalanceLeaders,
        };
        if self.chance(20) {
            self.cluster.now_ms -= 100_000;
        }
        let before = self.cluster.image.clone();
        let decision = self.cluster.decide(request.clone());
        self.watch(&before, &request, &decision);
    }

    fn create_topic(&mut self) -> ControllerRequest {
        let (name, replicas) = (self.name(), self.replicas());
        let topic = if self.chance(2) {
            topic(&name, 1 + self.random.below(3) as i32, replicas.len() as i16)
        } else {
            with_replicas(topic(&name, -1, -1), &[(0, &replicas)])
        };
        let min = ["1", "2", "3"][self.random.below(3)];
        ControllerRequest::CreateTopics(CreateTopicsRequest {
            topics: vec![with_configs(topic, &[("min.insync.replicas", Some(min))])],
            ..Default::default()
        })
    }

    fn delete_topic(&mut self) -> ControllerRequest {
        let name = Some(self.name()).filter(|_| self.chance(3));
        let states = name.into_iter().map(|name| DeleteTopicState {
            name: Some(name),
            ..Default::default()
        });
        ControllerRequest::DeleteTopics(DeleteTopicsRequest {
            topics: states.collect(),
            ..Default::default()
        })
    }

    fn heartbeat(&mut self, want_fence: bool, want_shut_down: bool) -> ControllerRequest {
        self.cluster.now_ms += 500;
        let broker_id = self.broker();
        let behind = if self.chance(5) { 3 } else { 0 };
        ControllerRequest::BrokerHeartbeat(BrokerHeartbeatRequest {
            broker_id,
            broker_epoch: self.epoch(broker_id),
            current_metadata_offset: self.cluster.offset() - behind,
            want_fence,
            want_shut_down,
            ..Default::default()
        })
    }

    fn stop(&mut self) -> ControllerRequest {
        self.heartbeat(false, true)
    }

    /// Another process, after a crash or not.
    fn restart(&mut self) -> ControllerRequest {
        let id = self.broker();
        self.incarnations += 1;
        let previous_broker_epoch = self.ended.remove(&id).unwrap_or(-1);
        ControllerRequest::RegisterBroker(BrokerRegistrationRequest {
            previous_broker_epoch,
            rack: Some(format!("rack {}", id % 2)).filter(|_| id % 3 > 0),
            ..registration(id, self.incarnations)
        })
    }

    fn silence(&mut self) -> ControllerRequest {
        self.cluster.now_ms += 1_400;
        ControllerRequest::FenceSilentBrokers
    }

    /// Any partition there is.
    fn partition(&mut self) -> Option<(String, TopicId, i32, PartitionImage)> {
        let topics = self.cluster.image.topics().clone();
        let all = topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|(index, partition)| (topic.name.to_string(), topic.id, index.0, partition.clone()))
        });
        let mut all: Vec<_> = all.collect();
        (!all.is_empty()).then(|| all.swap_remove(self.random.below(all.len())))
    }

    fn alter_partition(&mut self) -> ControllerRequest {
        let Some((_, id, index, partition)) = self.partition() else {
            return ControllerRequest::FenceSilentBrokers;
        };
        let mut isr: Vec<i32> = raw_ids(&partition.replicas);
        isr.retain(|id| *id == partition.leader.0 || self.random.below(3) > 0);
        if self.chance(20) {
            isr.push(self.broker());
        }
        let off_by = |chance: bool| i32::from(chance);
        let state = |id: &i32| InSync {
            broker_id: *id,
            broker_epoch: self.epoch(*id),
            ..Default::default()
        };
        let new_isr_with_epochs = isr.iter().map(state).collect();
        let data = PartitionData {
            partition_index: index,
            leader_epoch: partition.leader_epoch.0 - off_by(self.chance(20)),
            partition_epoch: partition.partition_epoch - off_by(self.chance(20)),
            new_isr_with_epochs,
            ..Default::default()
        };
        let broker_id = if self.chance(20) { self.broker() } else { partition.leader.0 };
        ControllerRequest::AlterPartition(AlterPartitionRequest {
            broker_id,
            broker_epoch: self.epoch(broker_id),
            topics: vec![TopicData {
                topic_id: id.0,
                partitions: vec![data],
                ..Default::default()
            }],
            ..Default::default()
        })
    }

    fn elect_leaders(&mut self) -> ControllerRequest {
        let one = self.partition().filter(|_| self.random.below(3) > 0);
        let to_wire = |(topic, _, index, _)| TopicPartitions {
            topic,
            partitions: vec![index],
            ..Default::default()
        };
        ControllerRequest::ElectLeaders(ElectLeadersRequest {
            election_type: i8::from(self.chance(4)),
            topic_partitions: one.map(|one| vec![to_wire(one)]),
            ..Default::default()
        })
    }

    fn reassign(&mut self) -> ControllerRequest {
        let replicas = Some(self.replicas()).filter(|_| self.random.below(3) > 0);
        let topics = self.partition().map(|(name, _, partition_index, _)| ReassignableTopic {
            name,
            partitions: vec![ReassignablePartition {
                partition_index,
                replicas,
                ..Default::default()
            }],
            ..Default::default()
        });
        ControllerRequest::AlterPartitionReassignments(AlterPartitionReassignmentsRequest {
            topics: topics.into_iter().collect(),
            ..Default::default()
        })
    }

    fn configure(&mut self) -> ControllerRequest {
        let of_broker = self.chance(3);
        let name = if of_broker { String::new() } else { self.name() };
        let change = match self.random.below(6) {
            0 => ("unclean.leader.election.enable", 0, Some("true")),
            1 | 2 => ("unclean.leader.election.enable", 1, None),
            value => ("min.insync.replicas", 0, Some(["1", "2", "3"][value - 3])),
        };
        let resource = configs::resource(if of_broker { 4 } else { 2 }, &name, &[change]);
        ControllerRequest::IncrementalAlterConfigs(IncrementalAlterConfigsRequest {
            resources: vec![resource],
            ..Default::default()
        })
    }

    fn fence_or_unregister(&mut self) -> ControllerRequest {
        let broker_id = self.broker();
        if self.chance(6) {
            return ControllerRequest::UnregisterBroker(UnregisterBrokerRequest {
                broker_id,
                ..Default::default()
            });
        }
        ControllerRequest::FenceBroker {
            broker_id: BrokerId(broker_id),
            broker_epoch: self.epoch(broker_id),
        }
    }

    fn watch(&mut self, before: &ClusterImage, request: &ControllerRequest, decision: &Decision) {
        let now = self.cluster.image.clone();
        if let (ControllerRequest::BrokerHeartbeat(beat), ControllerReply::BrokerHeartbeat(Ok(state))) = (request, &decision.reply)
            && state.should_shut_down
            && self.random.below(3) > 0
        {
            self.ended.insert(beat.broker_id, beat.broker_epoch);
        }
        if let (ControllerRequest::RegisterBroker(request), ControllerReply::RegisterBroker(Ok(epoch))) = (request, &decision.reply) {
            let last = self.epochs.insert(request.broker_id, *epoch);
            assert!(last < Some(*epoch), "{last:?} {epoch}");
        }
        let lost = lost_by(before, request, &decision.reply);
        // One decision may change a partition more than once.
        let mut image = before.clone();
        for record in &decision.records {
            let earlier = image.clone();
            image.apply(record);
            let (id, index) = match record {
                MetadataRecord::Partition(record) => (TopicId(record.topic_id), PartitionIndex(record.partition_index)),
                MetadataRecord::PartitionChange(record) => (TopicId(record.topic_id), PartitionIndex(record.partition_index)),
                _ => continue,
            };
            let topic = image.topic_by_id(id).unwrap();
            let before = earlier.topic_by_id(id).and_then(|topic| topic.partitions.get(&index));
            let happened = Happened {
                is_proposed: matches!(request, ControllerRequest::AlterPartition(_)),
                may_be_unclean: asks_for_unclean(request) || self.cluster.controller.rules(&image, &topic.name).unclean_election,
            };
            let partition = topic.partitions.get(&index).unwrap();
            check_epochs(before, partition);
            check_holders(self.holders.entry((id, index.0)).or_default(), before, partition, happened);
        }
        let mut changed = 0;
        for topic in now.topics().iter() {
            let min_insync_replicas = self.cluster.controller.rules(&now, &topic.name).min_insync_replicas;
            for (index, partition) in topic.partitions.iter() {
                let earlier = before.topic_by_id(topic.id).and_then(|topic| topic.partitions.get(index));
                changed += usize::from(earlier != Some(partition));
                check_shape(&now, partition, min_insync_replicas);
                if let Some(lost) = lost {
                    check_lost(self.holders.entry((topic.id, index.0)).or_default(), partition, lost);
                }
                if now.brokers().is_active(partition.leader) && commits(partition, min_insync_replicas) {
                    let holders = raw_ids(&partition.isr).into_iter().collect();
                    self.holders.insert((topic.id, index.0), holders);
                }
            }
        }
        assert_eq!(Delta::between(before, &now).partitions.len(), changed);
    }
}

/// Whose disk may be empty now.
fn lost_by(before: &ClusterImage, request: &ControllerRequest, reply: &ControllerReply) -> Option<i32> {
    match (request, reply) {
        (ControllerRequest::RegisterBroker(request), ControllerReply::RegisterBroker(Ok(_))) => {
            let existing = before.broker(BrokerId(request.broker_id));
            let ended = existing.is_some_and(|broker| broker.epoch == request.previous_broker_epoch);
            (!ended).then_some(request.broker_id)
        }
        (ControllerRequest::UnregisterBroker(request), ControllerReply::UnregisterBroker(Ok(()))) => Some(request.broker_id),
        _ => None,
    }
}

fn asks_for_unclean(request: &ControllerRequest) -> bool {
    matches!(request, ControllerRequest::ElectLeaders(request) if request.election_type == 1)
}

fn commits(partition: &PartitionImage, min_insync_replicas: usize) -> bool {
    partition.isr.len() >= min_insync_replicas.min(partition.replicas.len())
}

fn check_shape(image: &ClusterImage, partition: &PartitionImage, min_insync_replicas: usize) {
    let PartitionImage {
        replicas,
        isr,
        elr,
        last_known_elr,
        adding_replicas,
        removing_replicas,
        ..
    } = partition;
    for list in [replicas, isr, elr, last_known_elr, adding_replicas, removing_replicas] {
        let distinct: BTreeSet<_> = list.iter().collect();
        assert!(
            distinct.len() == list.len() && list.iter().all(|id| replicas.contains(id)),
            "{partition:?}"
        );
    }
    assert!(!isr.is_empty(), "{partition:?}");
    let in_one_list: BTreeSet<_> = isr.iter().chain(elr).chain(last_known_elr).collect();
    assert_eq!(in_one_list.len(), isr.len() + elr.len() + last_known_elr.len(), "{partition:?}");
    assert!(
        elr.is_empty() && last_known_elr.is_empty() || !commits(partition, min_insync_replicas),
        "{partition:?}"
    );
    if !partition.leader.is_none() {
        assert!(isr.contains(&partition.leader), "{partition:?}");
        let nobody_is_there = !image.brokers().iter().any(|broker| broker.is_active());
        assert!(image.brokers().is_active(partition.leader) || nobody_is_there, "{partition:?}");
    }
    let nobody_needed = isr.iter().chain(elr).all(|id| !image.brokers().is_active(*id));
    assert!(!partition.leader.is_none() || nobody_needed, "somebody could lead {partition:?}");
}

fn check_epochs(before: Option<&PartitionImage>, now: &PartitionImage) {
    let Some(before) = before else { return };
    let changed = i32::from(before != now);
    assert!(now.partition_epoch >= before.partition_epoch + changed, "{before:?} {now:?}");
    let led_anew = before.leader != now.leader || before.replicas.iter().any(|id| !now.replicas.contains(id));
    assert!(
        now.leader_epoch.0 >= before.leader_epoch.0 + i32::from(led_anew),
        "{before:?} {now:?}"
    );
}

/// What a request may have done to a partition.
#[derive(Clone, Copy)]
struct Happened {
    /// The leader has said who is in sync.
    is_proposed: bool,
    may_be_unclean: bool,
}

/// Whoever is in sync or eligible holds all that is committed, and nobody else leads, unless that is said.
fn check_holders(holders: &mut BTreeSet<i32>, before: Option<&PartitionImage>, now: &PartitionImage, happened: Happened) {
    let Happened {
        is_proposed,
        may_be_unclean,
    } = happened;
    let Some(before) = before else {
        *holders = raw_ids(&now.isr).into_iter().collect();
        return;
    };
    if is_proposed && holders.contains(&before.leader.0) {
        // A leader lets nobody in who has not all that it has.
        holders.extend(now.isr.iter().map(|id| id.0));
    }
    let is_unclean = !is_proposed && !now.leader.is_none() && !before.elr.contains(&now.leader) && !before.isr.contains(&now.leader);
    if is_unclean {
        assert!(may_be_unclean && now.recovering, "{before:?} {now:?}");
        *holders = BTreeSet::from([now.leader.0]);
    }
    check_in_sync(holders, now);
}

fn check_in_sync(holders: &BTreeSet<i32>, partition: &PartitionImage) {
    for id in partition.isr.iter().chain(&partition.elr) {
        assert!(holders.contains(&id.0), "{id} may have missed something: {holders:?} {partition:?}");
    }
}

/// The disk of a broker may be empty now. It counts no more, unless nobody else is left who holds anything for sure, which is said.
fn check_lost(holders: &mut BTreeSet<i32>, partition: &PartitionImage, lost: i32) {
    if holders.remove(&lost) && partition.isr == [BrokerId(lost)] {
        assert!(partition.recovering || partition.replicas.len() == 1, "{partition:?}");
        *holders = BTreeSet::from([lost]);
    }
    check_in_sync(holders, partition);
}

#[test]
fn whatever_happens_nothing_committed_is_forgotten() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..STEPS).for_each(|_| world.step())));
        assert!(played.is_ok(), "seed {seed}");
        let cluster = &world.cluster;
        let replayed: Vec<_> = cluster
            .log
            .iter()
            .map(|record| MetadataRecord::decode(&record.encode().unwrap()).unwrap())
            .collect();
        assert_eq!(ClusterImage::from_records(&replayed), cluster.image, "seed {seed}");
        assert_eq!(
            ClusterImage::from_records(&cluster.image.to_records()),
            cluster.image,
            "seed {seed}"
        );
    }
}
