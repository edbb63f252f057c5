//! A leader and its followers: the high watermark, what acks mean, where logs part, who may read.

use super::*;

/// Leads in epoch 5 with a log of 10 records, and replicas 1 to 3, of which these are in sync.
pub(super) fn leader_of_three(isr: &[i32], min_insync_replicas: usize) -> TestPartition {
    let rules = Rules {
        min_insync_replicas,
        replica_lag_time_ms_max: 1_000,
        ..Rules::default()
    };
    let mut partition = TestPartition::new(ME, rules, Offset(4));
    assert_eq!(partition.on_assignment(&of_three(5, isr), log(10, 10), 0), []);
    partition
}

/// Of broker 1 in epoch 5.
pub(super) fn of_three(partition_epoch: i32, isr: &[i32]) -> Assignment {
    Assignment {
        leader: ME,
        leader_epoch: LeaderEpoch(5),
        partition_epoch,
        replicas: ids(&[1, 2, 3]),
        isr: ids(isr),
    }
}

/// A fetch of a process whose registration is current. The last record is of epoch 4, of which the leader has all.
pub(super) fn fetch(replica: i32, offset: i64) -> FollowerFetch {
    FollowerFetch {
        replica: BrokerId(replica),
        broker_epoch: 100,
        active_epoch: Some(100),
        current_leader_epoch: LeaderEpoch(5),
        offset: Offset(offset),
        last_fetched_epoch: LeaderEpoch::NONE,
        log_start: Offset::ZERO,
    }
}

pub(super) fn serve(partition: &mut TestPartition, fetch: FollowerFetch, now_ms: i64) -> Vec<Effect<&'static str, Need>> {
    let (answer, effects) = partition.on_follower_fetch(&fetch, Offset::ZERO, |_| None, now_ms).unwrap();
    assert_eq!(answer, FollowerAnswer::Read);
    effects
}

fn refusal(partition: &mut TestPartition, fetch: FollowerFetch) -> ErrorCode {
    partition.on_follower_fetch(&fetch, Offset::ZERO, |_| None, 0).unwrap_err()
}

#[test]
fn a_replica_that_the_controller_has_taken_out_holds_nothing_back() {
    let mut partition = leader_of_three(&[1, 2, 3], 2);
    serve(&mut partition, fetch(2, 10), 0);
    serve(&mut partition, fetch(3, 10), 0);
    assert_eq!(high_watermark(&partition), 10);
    partition.on_assignment(&of_three(6, &[1, 2]), log(10, 10), 1);
    partition.on_append(Offset(12), 100);
    serve(&mut partition, fetch(2, 12), 2);
    assert_eq!(high_watermark(&partition), 12, "3 had everything a moment ago, but is gone");
    serve(&mut partition, fetch(3, 10), 3);
    partition.on_append(Offset(13), 100);
    serve(&mut partition, fetch(2, 13), 4);
    assert_eq!(high_watermark(&partition), 12, "3 is back, and about to be in sync");
}

#[test]
fn the_high_watermark_is_what_all_in_sync_have() {
    let mut partition = leader_of_three(&[1, 2, 3], 2);
    assert_eq!(high_watermark(&partition), 4, "what was known when it became leader");
    assert_eq!(serve(&mut partition, fetch(2, 10), 0), []);
    assert_eq!(high_watermark(&partition), 4, "nothing was heard of 3");
    assert_eq!(serve(&mut partition, fetch(3, 7), 0), []);
    assert_eq!(high_watermark(&partition), 7);
    assert!(!partition.leader(LeaderEpoch(5)).unwrap().is_settled());
    assert_eq!(partition.on_append(Offset(12), 100), []);
    assert_eq!(serve(&mut partition, fetch(3, 12), 0), []);
    assert_eq!(high_watermark(&partition), 10);
    assert!(partition.leader(LeaderEpoch(5)).unwrap().is_settled());
}

#[test]
fn acks_mean_the_leader_or_all_in_sync() {
    let mut partition = leader_of_three(&[1, 2], 2);
    assert_eq!(partition.on_append(Offset(11), 100), []);
    assert!(partition.is_acknowledged(Acks::None, Offset(11)));
    assert!(partition.is_acknowledged(Acks::Leader, Offset(11)));
    assert!(!partition.is_acknowledged(Acks::All, Offset(11)));
    partition.park_produce(Acks::All, Offset(11), "all");
    assert_eq!(serve(&mut partition, fetch(2, 10), 0), []);
    assert_eq!(serve(&mut partition, fetch(2, 11), 0), [answered("all")]);
}

#[test]
fn under_commit_each_replica_counts_when_it_has_synced() {
    let mut partition = leader_of_three(&[1, 2], 1);
    let commit = Rules {
        durability: Durability::Synced,
        ..partition.rules
    };
    assert_eq!(partition.set_rules(commit), []);
    assert_eq!(serve(&mut partition, fetch(2, 10), 0), []);
    assert_eq!(partition.on_append(Offset(11), 100), [Effect::Sync]);
    partition.park_produce(Acks::Leader, Offset(11), "leader");
    partition.park_produce(Acks::All, Offset(11), "all");
    assert_eq!(
        partition.on_synced(Offset(11)),
        [answered("leader")],
        "acks=1 does not wait for others"
    );
    assert_eq!(serve(&mut partition, fetch(2, 11), 0), [answered("all")]);
    assert_eq!(partition.on_append(Offset(12), 100), [Effect::Sync]);
    assert_eq!(serve(&mut partition, fetch(2, 12), 0), []);
    assert_eq!(high_watermark(&partition), 11, "the leader itself has not");
}

#[test]
fn a_leader_that_is_alone_in_sync_counts_what_it_has_synced() {
    let mut partition = leader_of_three(&[1, 2], 1);
    let rules = Rules {
        durability_alone: Durability::Synced,
        ..partition.rules
    };
    assert_eq!(partition.set_rules(rules), []);
    assert_eq!(partition.on_append(Offset(11), 100), [], "there is a second copy");
    partition.park_produce(Acks::All, Offset(11), "waits");
    assert_eq!(partition.on_assignment(&of_three(6, &[1]), log(11, 10), 0), [Effect::Sync]);
    assert_eq!(partition.on_synced(Offset(11)), [answered("waits")]);
    assert_eq!(partition.on_append(Offset(12), 100), [Effect::Sync]);
    partition.park_produce(Acks::Leader, Offset(12), "leader");
    assert_eq!(high_watermark(&partition), 11);
    assert_eq!(
        partition.on_assignment(&of_three(7, &[1, 2]), log(12, 11), 0),
        [answered("leader")],
        "and here is one again"
    );
    assert_eq!(serve(&mut partition, fetch(2, 12), 0), []);
    assert_eq!(high_watermark(&partition), 12);
}

#[test]
fn kip_966_below_min_insync_replicas_nothing_is_committed() {
    let mut partition = leader_of_three(&[1, 2], 2);
    assert_eq!(serve(&mut partition, fetch(2, 10), 0), []);
    assert_eq!(partition.on_append(Offset(11), 100), []);
    partition.park_produce(Acks::All, Offset(11), "appended");
    assert_eq!(
        partition.on_assignment(&of_three(6, &[1]), log(11, 11), 0),
        [refused("appended", ErrorCode::NotEnoughReplicasAfterAppend)]
    );
    assert_eq!(high_watermark(&partition), 10, "although all in sync have 11");
    let leader = partition.leader(LeaderEpoch::NONE).unwrap();
    assert_eq!(leader.check_acks(Acks::All), Err(ErrorCode::NotEnoughReplicas));
    assert_eq!(leader.check_acks(Acks::Leader), Ok(()));
    assert_eq!(partition.on_assignment(&of_three(7, &[1, 2]), log(11, 11), 0), []);
    assert_eq!(serve(&mut partition, fetch(2, 11), 0), []);
    assert_eq!(high_watermark(&partition), 11);
}

#[test]
fn the_minimum_is_no_more_than_there_are_replicas() {
    let mut partition = leading(Durability::Written, 3, 3);
    let two = Rules {
        min_insync_replicas: 2,
        ..Rules::default()
    };
    assert_eq!(partition.set_rules(two), []);
    assert_eq!(partition.on_append(Offset(4), 1), []);
    assert_eq!(high_watermark(&partition), 4);
}

#[test]
fn kip_320_fetches_of_another_epoch_are_refused() {
    let mut partition = leader_of_three(&[1, 2, 3], 2);
    let of_epoch = |epoch| FollowerFetch {
        current_leader_epoch: LeaderEpoch(epoch),
        ..fetch(2, 10)
    };
    assert_eq!(refusal(&mut partition, of_epoch(4)), ErrorCode::FencedLeaderEpoch);
    assert_eq!(refusal(&mut partition, of_epoch(6)), ErrorCode::UnknownLeaderEpoch);
    assert_eq!(refusal(&mut partition, fetch(9, 10)), ErrorCode::UnknownLeaderEpoch);
    assert_eq!(refusal(&mut partition, fetch(2, 11)), ErrorCode::OffsetOutOfRange);
}

#[test]
fn kip_101_a_log_that_parts_is_told_where_and_counts_for_nothing() {
    let mut partition = leader_of_three(&[1, 2], 1);
    let of_last_epoch = |epoch, offset| FollowerFetch {
        last_fetched_epoch: LeaderEpoch(epoch),
        ..fetch(2, offset)
    };
    let at = |epoch, offset| EpochEnd {
        epoch: LeaderEpoch(epoch),
        end_offset: Offset(offset),
    };
    // In the leader's log epoch 2 ends at 8, and epoch 4 with the log.
    let epoch_end = |epoch: LeaderEpoch| Some(if epoch.0 < 4 { at(2, 8) } else { at(4, 10) });
    let mut ask = |fetch| partition.on_follower_fetch(&fetch, Offset::ZERO, epoch_end, 0).unwrap();
    assert_eq!(ask(of_last_epoch(3, 9)), (FollowerAnswer::Diverging(at(2, 8)), vec![]));
    assert_eq!(ask(of_last_epoch(2, 9)), (FollowerAnswer::Diverging(at(2, 8)), vec![]));
    assert_eq!(ask(of_last_epoch(2, 8)), (FollowerAnswer::Read, vec![]));
    assert_eq!(high_watermark(&partition), 8, "only the last one told what the follower has");
    let unknown = partition.on_follower_fetch(&of_last_epoch(4, 9), Offset::ZERO, |_| None, 0);
    assert_eq!(
        unknown,
        Err(ErrorCode::OffsetOutOfRange),
        "the leader has nothing of any such epoch"
    );
}

#[test]
fn kip_903_an_earlier_process_is_not_served() {
    let mut partition = leader_of_three(&[1, 2, 3], 2);
    let of_process = |broker_epoch, active_epoch| FollowerFetch {
        broker_epoch,
        active_epoch,
        ..fetch(2, 10)
    };
    assert_eq!(refusal(&mut partition, of_process(99, Some(100))), ErrorCode::NotLeaderOrFollower);
    assert_eq!(serve(&mut partition, of_process(100, Some(100)), 0), []);
    assert_eq!(refusal(&mut partition, of_process(99, None)), ErrorCode::NotLeaderOrFollower);
    assert_eq!(serve(&mut partition, of_process(101, None), 0), [], "the metadata are late here");
}

#[test]
fn kip_392_a_consumer_is_sent_to_the_best_replica_in_sync_nearby() {
    let mut partition = leader_of_three(&[1, 2], 1);
    assert_eq!(serve(&mut partition, fetch(2, 9), 0), []);
    let leader = partition.leader(LeaderEpoch::NONE).unwrap();
    let preferred = |offset, near: &[i32]| {
        let near = ids(near);
        leader.preferred_read_replica(Offset(offset), move |id| near.contains(&id))
    };
    assert_eq!(preferred(9, &[2, 3]), Some(BrokerId(2)));
    assert_eq!(preferred(10, &[2, 3]), None, "2 does not have it, 3 is not in sync");
    assert_eq!(preferred(9, &[1, 2]), None, "the leader is as near");
    assert_eq!(preferred(9, &[]), None);
}

#[test]
fn the_low_watermark_is_that_of_the_slowest_that_is_there() {
    let mut partition = leader_of_three(&[1, 2, 3], 1);
    let with_start = |replica, start| FollowerFetch {
        log_start: Offset(start),
        ..fetch(replica, 10)
    };
    serve(&mut partition, with_start(2, 3), 0);
    serve(&mut partition, with_start(3, 1), 0);
    let leader = partition.leader(LeaderEpoch::NONE).unwrap();
    assert_eq!(leader.low_watermark(Offset(5), |_| true), Offset(1));
    assert_eq!(leader.low_watermark(Offset(5), |id| id == BrokerId(2)), Offset(3));
}

#[test]
fn a_follower_waits_for_the_log_and_a_consumer_for_the_high_watermark() {
    let mut partition = leader_of_three(&[1, 2], 1);
    let (follower, consumer) = (Need::of(1), Need::of(1));
    assert_eq!(partition.park_fetch(Reader::Follower, Offset(9), Need::of(1)), None);
    partition.park_fetch(Reader::Follower, Offset(10), follower.clone()).unwrap();
    partition.park_fetch(Reader::Consumer, Offset(4), consumer.clone()).unwrap();
    assert_eq!(partition.on_append(Offset(11), 100), [Effect::WakeFetch { parked: follower }]);
    assert_eq!(serve(&mut partition, fetch(2, 10), 0), [Effect::WakeFetch { parked: consumer }]);
}

#[test]
fn whoever_waits_for_a_deposed_leader_is_told() {
    let mut partition = leader_of_three(&[1, 2], 1);
    assert_eq!(partition.on_append(Offset(11), 100), []);
    partition.park_produce(Acks::All, Offset(11), "waits");
    let need = Need::of(1);
    partition.park_fetch(Reader::Consumer, Offset(4), need.clone()).unwrap();
    let deposed = Assignment {
        leader: BrokerId(2),
        leader_epoch: LeaderEpoch(6),
        ..of_three(6, &[2])
    };
    assert_eq!(
        partition.on_assignment(&deposed, log(11, 11), 0),
        [
            refused("waits", ErrorCode::NotLeaderOrFollower),
            Effect::WakeFetch { parked: need },
            Effect::Fetch
        ]
    );
    assert_eq!(partition.leader(LeaderEpoch::NONE).unwrap_err(), ErrorCode::NotLeaderOrFollower);
    assert_eq!(partition.leader_id(), BrokerId(2), "kip_951: where to ask instead");
}
