//! A follower: where it reads on, where it cuts its log, and which answers it believes.

use super::*;

fn at(epoch: i32, offset: i64) -> EpochEnd {
    EpochEnd {
        epoch: LeaderEpoch(epoch),
        end_offset: Offset(offset),
    }
}

fn records(high_watermark: i64) -> FetchAnswer {
    FetchAnswer::Records {
        high_watermark: Offset(high_watermark),
        log_start: Offset::ZERO,
    }
}

/// Follows broker 2 in epoch 7, with 10 records, the last of epoch 5.
fn following(durability: Durability, synced: i64) -> TestPartition {
    let mut partition = TestPartition::new(ME, rules(durability), Offset(4));
    let effect = if durability == Durability::Synced && synced < 10 {
        Effect::Sync
    } else {
        Effect::Fetch
    };
    assert_eq!(partition.on_assignment(&led_by(2, 7), log(10, synced), 0), [effect]);
    partition
}

fn led_by(leader: i32, epoch: i32) -> Assignment {
    Assignment {
        leader: BrokerId(leader),
        leader_epoch: LeaderEpoch(epoch),
        partition_epoch: epoch,
        replicas: ids(&[1, 2, 3]),
        isr: ids(&[1, 2, 3]),
    }
}

fn next_token(partition: &mut TestPartition) -> FetchToken {
    partition.next_fetch(LeaderEpoch(5)).unwrap().token
}

fn answer(partition: &mut TestPartition, token: FetchToken, answer: FetchAnswer) -> FollowerStep {
    partition.on_fetch_answer(token, answer, |_| None)
}

#[test]
fn a_fetch_that_is_given_up_before_a_sync_is_asked_again_after_it() {
    let mut partition = following(Durability::Written, 0);
    assert!(!partition.has_asked());
    let given_up = next_token(&mut partition);
    assert!(partition.has_asked());
    assert_eq!(partition.set_rules(rules(Durability::Synced)), [Effect::Sync]);
    assert_eq!(partition.next_fetch(LeaderEpoch(5)), None, "what it has is not synced");
    assert_eq!(partition.on_synced(Offset(10)), [Effect::Fetch]);
    assert_eq!(answer(&mut partition, given_up, records(4)), FollowerStep::Ignore);
}

#[test]
fn bounds_that_no_log_has_change_nothing() {
    let mut partition = following(Durability::Written, 0);
    let out_of_range = |log_start, log_end| FetchAnswer::OutOfRange {
        log_start: Offset(log_start),
        log_end: Offset(log_end),
    };
    for nonsense in [
        FetchAnswer::Diverging(at(5, -1)),
        out_of_range(-1, 5),
        out_of_range(-1, -1),
        out_of_range(20, 15),
    ] {
        let token = next_token(&mut partition);
        assert_eq!(answer(&mut partition, token, nonsense), FollowerStep::BackOff, "{nonsense:?}");
    }
}

#[test]
fn a_fetch_names_the_end_of_the_log_and_both_epochs() {
    let mut partition = following(Durability::Written, 0);
    let position = partition.next_fetch(LeaderEpoch(5)).unwrap();
    assert_eq!((position.leader, position.offset), (BrokerId(2), Offset(10)));
    assert_eq!(
        (position.current_leader_epoch, position.last_fetched_epoch),
        (LeaderEpoch(7), LeaderEpoch(5))
    );
}

#[test]
fn the_high_watermark_follows_the_leaders_as_far_as_the_log_goes() {
    let mut partition = following(Durability::Written, 0);
    assert_eq!(partition.readable_end(LeaderEpoch(7)), Ok(Offset(4)));
    let token = next_token(&mut partition);
    assert_eq!(
        answer(&mut partition, token, records(20)),
        FollowerStep::Append { log_start: Offset::ZERO }
    );
    let need = Need::of(1_000);
    partition.park_fetch(Reader::Consumer, Offset(4), need.clone()).unwrap();
    assert_eq!(
        partition.on_followed(log(12, 0)),
        [Effect::WakeFetch { parked: need }, Effect::Fetch]
    );
    assert_eq!(
        partition.readable_end(LeaderEpoch(7)),
        Ok(Offset(12)),
        "kip_392: consumers read here"
    );
    let token = next_token(&mut partition);
    assert_eq!(
        answer(&mut partition, token, records(11)),
        FollowerStep::Append { log_start: Offset::ZERO }
    );
    assert_eq!(partition.on_followed(log(12, 0)), [Effect::Fetch]);
    assert_eq!(high_watermark(&partition), 12, "it never moves back");
    assert_eq!(partition.readable_end(LeaderEpoch(6)), Err(ErrorCode::FencedLeaderEpoch));
}

#[test]
fn a_late_answer_to_an_earlier_fetch_is_void() {
    let mut partition = following(Durability::Written, 0);
    let first = next_token(&mut partition);
    let second = next_token(&mut partition);
    assert_eq!(answer(&mut partition, first, records(20)), FollowerStep::Ignore);
    assert_eq!(answer(&mut partition, second, FetchAnswer::Failed), FollowerStep::BackOff);
    assert_eq!(answer(&mut partition, second, records(20)), FollowerStep::Ignore, "twice");
    let third = next_token(&mut partition);
    assert_eq!(partition.on_assignment(&led_by(3, 8), log(10, 0), 0), [Effect::Fetch]);
    assert_eq!(
        answer(&mut partition, third, records(20)),
        FollowerStep::Ignore,
        "of another leader"
    );
}

#[test]
fn kip_279_the_log_is_cut_where_it_parts_from_the_leaders() {
    let cut = |ours: Option<EpochEnd>, theirs| {
        let mut partition = following(Durability::Written, 0);
        let token = next_token(&mut partition);
        let step = partition.on_fetch_answer(token, FetchAnswer::Diverging(theirs), |_| ours);
        let FollowerStep::TruncateTo(offset) = step else {
            panic!("{step:?}")
        };
        assert_eq!(partition.on_followed(log(offset.0, 0)), [Effect::Fetch], "and asks again");
        offset.0
    };
    assert_eq!(cut(Some(at(5, 10)), at(5, 8)), 8, "the leader has less of the epoch");
    assert_eq!(cut(Some(at(4, 6)), at(4, 9)), 6, "the leader has more of it");
    assert_eq!(
        cut(Some(at(3, 5)), at(4, 8)),
        5,
        "an epoch that is unknown here: back to the one before"
    );
    assert_eq!(cut(None, at(4, 8)), 8, "nothing is known here");
}

#[test]
fn outside_of_the_leaders_log_a_follower_cuts_or_starts_anew() {
    let step = |log_start, log_end| {
        let mut partition = following(Durability::Written, 0);
        let token = next_token(&mut partition);
        let bounds = FetchAnswer::OutOfRange {
            log_start: Offset(log_start),
            log_end: Offset(log_end),
        };
        answer(&mut partition, token, bounds)
    };
    assert_eq!(step(0, 7), FollowerStep::TruncateTo(Offset(7)));
    assert_eq!(step(15, 20), FollowerStep::ResetTo(Offset(15)));
    assert_eq!(step(5, 20), FollowerStep::BackOff, "it is inside by now");
}

#[test]
fn what_the_leader_has_deleted_was_committed() {
    let mut partition = following(Durability::Written, 0);
    let token = next_token(&mut partition);
    let bounds = FetchAnswer::OutOfRange {
        log_start: Offset(15),
        log_end: Offset(20),
    };
    assert_eq!(answer(&mut partition, token, bounds), FollowerStep::ResetTo(Offset(15)));
    assert_eq!(partition.on_followed(log(15, 15)), [Effect::Fetch]);
    assert_eq!(high_watermark(&partition), 15);
}

#[test]
fn under_commit_a_follower_asks_for_more_when_it_has_synced() {
    let mut partition = following(Durability::Synced, 6);
    assert_eq!(partition.next_fetch(LeaderEpoch(5)), None);
    assert_eq!(partition.on_synced(Offset(8)), []);
    assert_eq!(partition.on_synced(Offset(10)), [Effect::Fetch]);
    let token = next_token(&mut partition);
    assert_eq!(
        answer(&mut partition, token, records(4)),
        FollowerStep::Append { log_start: Offset::ZERO }
    );
    assert_eq!(partition.on_followed(log(12, 10)), [Effect::Sync]);
    assert_eq!(partition.set_rules(rules(Durability::Written)), [Effect::Fetch]);
}

#[test]
fn a_follower_becomes_leader_with_what_it_knows() {
    let mut partition = following(Durability::Written, 0);
    let token = next_token(&mut partition);
    let _ = answer(&mut partition, token, records(9));
    let _ = partition.on_followed(log(12, 0));
    assert_eq!(partition.on_assignment(&led_by(1, 8), log(12, 0), 0), []);
    assert_eq!(high_watermark(&partition), 9);
    assert!(!partition.leader(LeaderEpoch(8)).unwrap().is_settled(), "more may be committed");
}

#[test]
fn without_a_leader_or_a_place_nobody_is_asked() {
    let mut partition = following(Durability::Written, 0);
    assert_eq!(partition.on_assignment(&led_by(-1, 8), log(10, 0), 0), []);
    assert_eq!(partition.next_fetch(LeaderEpoch(5)), None);
    let elsewhere = Assignment {
        replicas: ids(&[2, 3]),
        ..led_by(2, 9)
    };
    assert_eq!(partition.on_assignment(&elsewhere, log(10, 0), 0), []);
    assert_eq!(partition.readable_end(LeaderEpoch::NONE), Err(ErrorCode::NotLeaderOrFollower));
    let added = Assignment {
        partition_epoch: 10,
        ..led_by(2, 9)
    };
    assert_eq!(
        partition.on_assignment(&added, log(10, 0), 0),
        [Effect::Fetch],
        "a reassignment keeps the epoch"
    );
}
