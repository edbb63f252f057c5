//! A partition of one replica: who waits, and what ends the wait.

use super::*;

#[test]
fn trap_34_epochs_of_the_past_and_of_the_future_are_told_apart() {
    let partition = leading(Durability::Written, 0, 0);
    assert!(partition.leader(LeaderEpoch::NONE).is_ok());
    assert!(partition.leader(LeaderEpoch(5)).is_ok());
    assert_eq!(partition.leader(LeaderEpoch(4)).unwrap_err(), ErrorCode::FencedLeaderEpoch);
    assert_eq!(partition.leader(LeaderEpoch(6)).unwrap_err(), ErrorCode::UnknownLeaderEpoch);
}

#[test]
fn nobody_but_the_leader_answers() {
    let mut partition = TestPartition::new(ME, Rules::default(), Offset::ZERO);
    assert_eq!(partition.leader(LeaderEpoch::NONE).unwrap_err(), ErrorCode::NotLeaderOrFollower);
    assert_eq!(partition.on_assignment(&assignment(2, 7), log(3, 3), 0), [Effect::Fetch]);
    assert_eq!(partition.leader(LeaderEpoch::NONE).unwrap_err(), ErrorCode::NotLeaderOrFollower);
    assert_eq!(partition.leader(LeaderEpoch(6)).unwrap_err(), ErrorCode::FencedLeaderEpoch);
}

#[test]
fn under_commit_nothing_is_read_or_acknowledged_before_it_is_synced() {
    let mut partition = leading(Durability::Synced, 10, 10);
    assert_eq!(partition.on_append(Offset(13), 100), [Effect::Sync]);
    assert_eq!(high_watermark(&partition), 10);
    assert!(partition.is_acknowledged(Acks::None, Offset(13)));
    assert!(!partition.is_acknowledged(Acks::Leader, Offset(13)));
    assert!(!partition.is_acknowledged(Acks::All, Offset(13)));
    partition.park_produce(Acks::All, Offset(13), "first");
    assert_eq!(partition.on_append(Offset(20), 100), [Effect::Sync]);
    partition.park_produce(Acks::All, Offset(20), "second");
    assert_eq!(partition.on_synced(Offset(13)), [answered("first")]);
    assert_eq!(high_watermark(&partition), 13);
    assert_eq!(partition.on_synced(Offset(20)), [answered("second")]);
    assert!(partition.is_acknowledged(Acks::All, Offset(20)));
}

#[test]
fn under_the_other_policies_a_written_record_counts_at_once() {
    let mut partition = leading(Durability::Written, 10, 4);
    assert_eq!(high_watermark(&partition), 10);
    assert_eq!(partition.on_append(Offset(11), 100), []);
    assert_eq!(high_watermark(&partition), 11);
    assert!(partition.is_acknowledged(Acks::Leader, Offset(11)));
    assert!(partition.is_acknowledged(Acks::All, Offset(11)));
}

#[test]
fn after_a_crash_records_that_were_not_synced_become_readable_by_the_first_sync() {
    let mut partition = leading(Durability::Synced, 10, 6);
    assert_eq!(high_watermark(&partition), 6);
    assert_eq!(partition.on_synced(Offset(10)), []);
    assert_eq!(high_watermark(&partition), 10);
}

#[test]
fn the_high_watermark_never_moves_back() {
    let mut partition = leading(Durability::Written, 10, 0);
    assert_eq!(partition.set_rules(rules(Durability::Synced)), [Effect::Sync]);
    assert_eq!(high_watermark(&partition), 10);
    assert_eq!(partition.on_synced(Offset(3)), []);
    assert_eq!(high_watermark(&partition), 10);
    assert_eq!(partition.on_assignment(&assignment(1, 6), log(10, 3), 0), [Effect::Sync]);
    assert_eq!(high_watermark(&partition), 10);
    assert_eq!(partition.on_assignment(&assignment(1, 5), log(10, 3), 0), []);
    assert_eq!(partition.leader_epoch(), LeaderEpoch(6));
}

#[test]
fn a_weaker_policy_ends_the_wait_for_a_sync() {
    let mut partition = leading(Durability::Synced, 0, 0);
    assert_eq!(partition.on_append(Offset(1), 100), [Effect::Sync]);
    partition.park_produce(Acks::All, Offset(1), "waits");
    assert_eq!(partition.set_rules(rules(Durability::Written)), [answered("waits")]);
}

#[test]
fn a_fetch_is_woken_by_bytes_that_it_may_read() {
    let mut partition = leading(Durability::Synced, 0, 0);
    let need = Need::of(150);
    partition.park_fetch(Reader::Consumer, Offset(0), need.clone()).unwrap();
    let impatient = Need::of(1);
    let key = partition.park_fetch(Reader::Consumer, Offset(0), impatient.clone()).unwrap();
    partition.cancel_fetch(key);
    assert_eq!(partition.on_append(Offset(1), 100), [Effect::Sync]);
    assert_eq!(partition.on_append(Offset(2), 100), [Effect::Sync]);
    assert_eq!(partition.on_synced(Offset(1)), []);
    assert_eq!(
        partition.park_fetch(Reader::Consumer, Offset(0), Need::of(1)),
        None,
        "it has missed an append and must look again"
    );
    assert_eq!(partition.on_synced(Offset(2)), [Effect::WakeFetch { parked: need }]);
    assert_eq!(impatient.0.get(), 1);
}

#[test]
fn a_stalled_disk_does_not_make_the_leader_remember_without_bound() {
    let mut partition = leading(Durability::Synced, 0, 0);
    let appends = 3 * crate::limits::UNREAD_APPENDS_MAX as i64;
    let need = Need::of(appends * 10);
    partition.park_fetch(Reader::Consumer, Offset(0), need.clone()).unwrap();
    for end in 1..=appends {
        assert_eq!(partition.on_append(Offset(end), 10), [Effect::Sync]);
    }
    assert_eq!(partition.on_synced(Offset(appends)), [Effect::WakeFetch { parked: need }]);
}

#[test]
fn whoever_waits_is_told_when_the_log_is_lost() {
    let mut partition = leading(Durability::Synced, 0, 0);
    assert_eq!(partition.on_append(Offset(1), 100), [Effect::Sync]);
    partition.park_produce(Acks::All, Offset(1), "waits");
    let need = Need::of(1);
    partition.park_fetch(Reader::Consumer, Offset(0), need.clone()).unwrap();
    assert_eq!(
        partition.give_up(ErrorCode::KafkaStorageError),
        [refused("waits", ErrorCode::KafkaStorageError), Effect::WakeFetch { parked: need }]
    );
    assert_eq!(partition.on_synced(Offset(1)), []);
}
