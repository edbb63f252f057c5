//! A partition with two replicas: what is asked, answered, counted and cut, without a network in between.

use dohle_replication::{EpochEnd, FetchAnswer, FetchPosition, FollowerAnswer, FollowerFetch};
use dohle_storage::disk::Operation;

use super::*;

const ME: BrokerId = BrokerId(1);
const OTHER: BrokerId = BrokerId(2);

fn of_two(leader: BrokerId, epoch: i32, isr: &[BrokerId]) -> Assignment {
    Assignment {
        replicas: vec![ME, OTHER],
        isr: isr.to_vec(),
        ..Assignment::alone(leader, LeaderEpoch(epoch))
    }
}

fn batch(offset: i64, epoch: i32) -> Bytes {
    let mut batch = RecordBatchBuilder::new()
        .base_offset(Offset(offset))
        .leader_epoch(LeaderEpoch(epoch));
    batch.append(1, None, Some(b"value"), &[]);
    batch.build()
}

fn ask(cell: &Cell) -> FetchPosition {
    match cell.next_fetch(OTHER) {
        NextFetch::Ask { position, .. } => position,
        other => panic!("it does not ask: {other:?}"),
    }
}

fn records(high_watermark: i64) -> FetchAnswer {
    FetchAnswer::Records {
        high_watermark: Offset(high_watermark),
        log_start: Offset::ZERO,
    }
}

/// A follower of [`OTHER`] in this epoch that has been told of so many records.
fn following_cell(flush: FlushPolicy, epoch: i32, count: i64) -> Arc<Cell> {
    let cell = cell_with(flush.into());
    cell.assign(&of_two(OTHER, epoch, &[ME, OTHER]));
    for offset in 0..count {
        let token = ask(&cell).token;
        let step = cell.on_fetch_answer(token, records(0), batch(offset, epoch), Instant::now());
        assert_eq!(step, FollowStep::GoOn);
    }
    cell
}

fn end(cell: &Cell) -> i64 {
    cell.inspect(|log| log.log_end_offset().0)
}

#[test]
fn a_follower_keeps_what_it_is_sent_and_serves_what_is_committed() {
    let cell = following_cell(FlushPolicy::Os, 5, 3);
    let new: Vec<BrokerId> = cell.services.followed.take_new().into_iter().map(|(leader, _)| leader).collect();
    assert_eq!(new, [OTHER]);
    let position = ask(&cell);
    assert_eq!(
        (position.offset, position.last_fetched_epoch, position.current_leader_epoch),
        (Offset(3), LeaderEpoch(5), LeaderEpoch(5))
    );
    assert_eq!(
        cell.on_fetch_answer(position.token, records(2), Bytes::new(), Instant::now()),
        FollowStep::GoOn
    );
    let view = |from_leader| cell.view_at((LeaderEpoch::NONE, from_leader), Offset(0), Isolation::ReadUncommitted, 1000, true);
    assert_eq!(view(false).unwrap().0.high_watermark, Offset(2));
    assert_eq!(view(true).unwrap_err(), ErrorCode::NotLeaderOrFollower);
    assert!(matches!(cell.next_fetch(BrokerId(3)), NextFetch::Nothing));
}

#[test]
fn after_a_fetcher_has_ended_by_a_bug_the_next_one_asks_about_all_that_it_followed() {
    let cell = following_cell(FlushPolicy::Os, 5, 1);
    let followed = &cell.services.followed;
    let old = followed.take_new().remove(0).1;
    assert_eq!(old.take().len(), 1);
    let lost = ask(&cell).token;
    followed.forget(OTHER);
    cell.follow_again(BrokerId(3));
    assert!(followed.take_new().is_empty());
    cell.follow_again(OTHER);
    let (leader, new) = followed.take_new().remove(0);
    assert_eq!((leader, new.take().len(), old.take().len()), (OTHER, 1, 0));
    assert!(ask(&cell).token > lost);
}

#[test]
fn a_late_answer_and_one_of_another_leader_do_nothing() {
    let cell = following_cell(FlushPolicy::Os, 5, 1);
    let late = ask(&cell).token;
    let token = ask(&cell).token;
    let now = Instant::now();
    assert_eq!(cell.on_fetch_answer(late, records(1), batch(1, 5), now), FollowStep::Leave);
    cell.assign(&of_two(OTHER, 6, &[ME, OTHER]));
    assert_eq!(cell.on_fetch_answer(token, records(1), batch(1, 5), now), FollowStep::Leave);
    assert_eq!(end(&cell), 1);
}

#[test]
fn what_a_deposed_leader_has_taken_over_from_the_next_one_is_not_appended() {
    let cell = following_cell(FlushPolicy::Os, 5, 2);
    for epoch in [6, 4] {
        let token = ask(&cell).token;
        let step = cell.on_fetch_answer(token, records(0), batch(2, epoch), Instant::now());
        assert_eq!((step, end(&cell)), (FollowStep::Rest, 2), "epoch {epoch}");
    }
    let leader = leading_cell(FlushPolicy::Os);
    let read_in = leader.view(LeaderEpoch::NONE).unwrap().leader_epoch;
    assert_eq!(leader.check_leads_in(read_in), Ok(()));
    leader.assign(&of_two(OTHER, 6, &[OTHER]));
    leader.assign(&of_two(ME, 7, &[ME]));
    assert_eq!(
        leader.check_leads_in(read_in),
        Err(ErrorCode::FencedLeaderEpoch),
        "it may have been cut in between"
    );
}

#[test]
fn kip_595_a_log_that_parts_is_cut_and_its_checkpoint_corrected_first() {
    let cell = following_cell(FlushPolicy::Os, 5, 4);
    cell.assign(&of_two(OTHER, 7, &[OTHER]));
    let parts = FetchAnswer::Diverging(EpochEnd {
        epoch: LeaderEpoch(5),
        end_offset: Offset(2),
    });
    let step = cell.on_fetch_answer(ask(&cell).token, parts, Bytes::new(), Instant::now());
    assert_eq!((step, end(&cell)), (FollowStep::Cut, 2));
    assert!(are_corrected(&cell));
    assert_eq!(cell.end_cut(OTHER), FollowStep::GoOn);
    assert_eq!(ask(&cell).offset, Offset(2));
    let token = ask(&cell).token;
    assert_eq!(
        cell.on_fetch_answer(token, records(3), batch(2, 7), Instant::now()),
        FollowStep::GoOn
    );
    assert_eq!(ask(&cell).last_fetched_epoch, LeaderEpoch(7));
}

/// Whether the checkpoints were wrong.
fn are_corrected(cell: &Cell) -> bool {
    let mut were_wrong = false;
    let correct = || {
        were_wrong = true;
        vec![cell.positions()]
    };
    cell.directory.correct_checkpoints(correct).unwrap();
    were_wrong
}

#[test]
fn whoever_finds_the_checkpoints_being_corrected_waits_until_they_are() {
    let cell = following_cell(FlushPolicy::Os, 5, 4);
    cell.directory.checkpoint_is_wrong();
    let (sender, other) = std::sync::mpsc::channel();
    let correct = || {
        let waiting = Arc::clone(&cell);
        std::thread::spawn(move || sender.send(are_corrected(&waiting)));
        assert!(other.recv_timeout(Duration::from_millis(50)).is_err(), "it does not wait");
        vec![cell.positions()]
    };
    cell.directory.correct_checkpoints(correct).unwrap();
    assert!(!other.recv().unwrap(), "once is enough");
}

#[test]
fn the_next_leader_is_not_asked_before_the_checkpoint_of_a_cut_log_is_corrected() {
    let cell = following_cell(FlushPolicy::Os, 5, 4);
    let parts = FetchAnswer::Diverging(EpochEnd {
        epoch: LeaderEpoch(5),
        end_offset: Offset(2),
    });
    let step = cell.on_fetch_answer(ask(&cell).token, parts, Bytes::new(), Instant::now());
    assert_eq!((step, end(&cell)), (FollowStep::Cut, 2));
    let third = BrokerId(3);
    let next = Assignment {
        leader: third,
        replicas: vec![ME, OTHER, third],
        ..of_two(OTHER, 6, &[OTHER])
    };
    assert!(!cell.assign(&next), "first the checkpoints");
    assert!(are_corrected(&cell));
    assert!(cell.assign(&next));
    assert!(!are_corrected(&cell), "they are right");
    assert_eq!(cell.end_cut(OTHER), FollowStep::Leave, "the other fetcher has nothing to wait for");
    assert!(matches!(cell.next_fetch(third), NextFetch::Ask { .. }));
}

#[test]
fn a_follower_that_is_behind_the_start_of_the_log_begins_anew() {
    let cell = following_cell(FlushPolicy::Os, 5, 2);
    let bounds = FetchAnswer::OutOfRange {
        log_start: Offset(50),
        log_end: Offset(60),
    };
    let step = cell.on_fetch_answer(ask(&cell).token, bounds, Bytes::new(), Instant::now());
    assert_eq!((step, cell.end_cut(OTHER), end(&cell)), (FollowStep::Cut, FollowStep::GoOn, 50));
}

#[test]
fn what_cannot_be_appended_is_asked_for_again_later() {
    let cell = following_cell(FlushPolicy::Os, 5, 2);
    let token = ask(&cell).token;
    let step = cell.on_fetch_answer(token, records(0), batch(0, 5), Instant::now());
    assert_eq!((step, end(&cell)), (FollowStep::Rest, 2));
    assert_eq!(ask(&cell).offset, Offset(2));
}

#[test]
fn a_follower_without_room_for_a_new_segment_begins_anew_when_there_is_room() {
    let disk = FaultyDisk::new();
    let cell = cell_on(&disk, FlushPolicy::Os.into());
    cell.assign(&of_two(OTHER, 5, &[OTHER]));
    let token = ask(&cell).token;
    assert_eq!(
        cell.on_fetch_answer(token, records(0), batch(0, 5), Instant::now()),
        FollowStep::GoOn
    );
    let reset = || {
        let bounds = FetchAnswer::OutOfRange {
            log_start: Offset(50),
            log_end: Offset(60),
        };
        cell.on_fetch_answer(ask(&cell).token, bounds, Bytes::new(), Instant::now())
    };
    disk.fail(Operation::Open, "50.log", io::ErrorKind::StorageFull, 2);
    assert_eq!([reset(), reset(), reset()], [FollowStep::Rest, FollowStep::Rest, FollowStep::Cut]);
    assert_eq!((cell.end_cut(OTHER), end(&cell)), (FollowStep::GoOn, 50));
    let token = ask(&cell).token;
    assert_eq!(
        cell.on_fetch_answer(token, records(0), batch(50, 5), Instant::now()),
        FollowStep::GoOn
    );
    assert!(!cell.directory.is_offline());
}

#[test]
fn under_commit_a_follower_asks_when_it_has_synced() {
    let cell = cell_with(FlushPolicy::Commit.into());
    cell.assign(&of_two(OTHER, 5, &[ME, OTHER]));
    let queue = cell.services.followed.take_new().remove(0).1;
    assert_eq!(queue.take().len(), 1, "it has become a follower");
    let token = ask(&cell).token;
    let step = cell.on_fetch_answer(token, records(0), batch(0, 5), Instant::now());
    assert_eq!(step, FollowStep::Wait);
    cell.directory.committer().drain();
    assert_eq!(queue.take().len(), 1, "it can say so");
    assert_eq!(ask(&cell).offset, Offset(1));
}

fn fetch_of_other(offset: i64, last_epoch: i32) -> FollowerFetch {
    FollowerFetch {
        replica: OTHER,
        broker_epoch: 9,
        active_epoch: Some(9),
        current_leader_epoch: LeaderEpoch(5),
        offset: Offset(offset),
        last_fetched_epoch: LeaderEpoch(last_epoch),
        log_start: Offset::ZERO,
    }
}

#[test]
fn a_leader_commits_what_its_follower_has_and_proposes_who_has_caught_up() {
    let cell = cell_with(ReplicationSettings {
        min_insync_replicas: 2,
        ..FlushPolicy::Os.into()
    });
    cell.assign(&of_two(ME, 5, &[ME]));
    let refused = append(&cell, Instant::now()).unwrap_err();
    assert!(
        matches!(refused, ProduceError::Refused(ErrorCode::NotEnoughReplicas)),
        "{refused:?}"
    );
    assert_eq!(cell.on_follower_fetch(&fetch_of_other(0, -1)).unwrap(), FollowerAnswer::Read);
    let proposed = cell.services.isr_proposals.take();
    assert_eq!(proposed.len(), 1, "it has everything that is committed: nothing");
    let next = Assignment {
        partition_epoch: 6,
        ..of_two(ME, 5, &[ME, OTHER])
    };
    cell.assign(&next);
    append(&cell, Instant::now()).unwrap();
    assert_eq!(cell.view(LeaderEpoch::NONE).unwrap().high_watermark, Offset(0));
    assert_eq!(cell.on_follower_fetch(&fetch_of_other(1, 5)).unwrap(), FollowerAnswer::Read);
    assert_eq!(cell.view(LeaderEpoch::NONE).unwrap().high_watermark, Offset(1));
    let parts = cell.on_follower_fetch(&fetch_of_other(3, 4)).unwrap();
    assert!(matches!(parts, FollowerAnswer::Diverging(_)), "{parts:?}");
}

#[test]
fn who_is_alone_in_sync_syncs_before_it_counts_however_many_replicas_there_are() {
    let cell = cell_with(ReplicationSettings {
        flush_replicated: FlushPolicy::Os,
        ..FlushPolicy::Commit.into()
    });
    let assigned = |partition_epoch, isr: &[BrokerId]| Assignment {
        partition_epoch,
        ..of_two(ME, 5, isr)
    };
    let high_watermark = || cell.view(LeaderEpoch::NONE).unwrap().high_watermark;
    cell.assign(&assigned(5, &[ME]));
    for count in 1..20 {
        append(&cell, Instant::now()).unwrap();
        assert!(high_watermark() <= cell.positions().recovery_point);
        wait_until_synced(&cell, count);
        assert_eq!(high_watermark(), Offset(count));
    }
    cell.assign(&assigned(6, &[ME, OTHER]));
    cell.directory.committer().drain();
    append(&cell, Instant::now()).unwrap();
    cell.on_follower_fetch(&fetch_of_other(20, 5)).unwrap();
    assert_eq!(
        (high_watermark(), cell.positions().recovery_point),
        (Offset(20), Offset(19)),
        "it is written twice"
    );
}

#[tokio::test]
async fn nobody_waits_for_what_too_few_replicas_can_acknowledge() {
    let cell = cell_with(ReplicationSettings {
        min_insync_replicas: 2,
        ..FlushPolicy::Os.into()
    });
    cell.assign(&of_two(ME, 5, &[ME, OTHER]));
    append(&cell, Instant::now()).unwrap();
    let alone = Assignment {
        partition_epoch: 6,
        ..of_two(ME, 5, &[ME])
    };
    cell.assign(&alone);
    let wait = Arc::new(ProduceWait::default());
    let parked = cell.park_until_acknowledged(LeaderEpoch(5), Offset(1), || wait.ticket(0).into());
    assert_eq!(parked, Ok(true));
    assert_eq!(wait.take_outcomes(), [(0, Err(ErrorCode::NotEnoughReplicasAfterAppend))]);
}

#[test]
fn a_checkpoint_never_says_that_more_is_committed_than_there_is() {
    let cell = following_cell(FlushPolicy::Os, 5, 4);
    let token = ask(&cell).token;
    assert_eq!(
        cell.on_fetch_answer(token, records(4), Bytes::new(), Instant::now()),
        FollowStep::GoOn
    );
    assert_eq!(cell.positions().high_watermark, Offset(4));
    // An election that was not clean.
    cell.assign(&of_two(OTHER, 6, &[OTHER]));
    let parts = FetchAnswer::Diverging(EpochEnd {
        epoch: LeaderEpoch(5),
        end_offset: Offset(2),
    });
    let step = cell.on_fetch_answer(ask(&cell).token, parts, Bytes::new(), Instant::now());
    assert_eq!((step, cell.positions().high_watermark), (FollowStep::Cut, Offset(2)));
}
