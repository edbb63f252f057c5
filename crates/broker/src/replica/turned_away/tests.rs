//! What is held back, and for how long.

use std::time::Duration;

use dohle_protocol::builder::RecordBatchBuilder;

use super::*;

const REASON: ErrorCode = ErrorCode::NotLeaderOrFollower;

fn batch(epoch: i16, sequence: i32) -> BatchHeader {
    let mut batch = RecordBatchBuilder::new().producer(ProducerId(7), ProducerEpoch(epoch), sequence);
    batch.append(1, None, Some(b"value"), &[]);
    BatchHeader::parse(&batch.build()).unwrap()
}

fn sender(partition: i32) -> Sender {
    Sender::of(&batch(0, 0), TopicRef::Name("t".to_owned()), partition).unwrap()
}

#[test]
fn only_what_comes_behind_the_first_one_is_held_back() {
    let (turned_away, now) = (TurnedAway::default(), Instant::now());
    assert!(turned_away.is_empty(now));
    for sequence in [11, 10, 12] {
        turned_away.note(sender(0), &batch(0, sequence), REASON, now);
    }
    assert!(!turned_away.is_empty(now));
    let reason = |partition, epoch, sequence| turned_away.reason_before(&sender(partition), &batch(epoch, sequence), now);
    assert_eq!(
        [9, 10, 11, 13].map(|sequence| reason(0, 0, sequence)),
        [None, None, Some(REASON), Some(REASON)]
    );
    assert_eq!(
        (reason(1, 0, 11), reason(0, 1, 11)),
        (None, None),
        "of another partition, of another epoch"
    );
    turned_away.forget(&sender(0), &batch(0, 9));
    assert_eq!(reason(0, 0, 11), Some(REASON), "what was before it says nothing of it");
    turned_away.forget(&sender(0), &batch(0, 10));
    assert_eq!(reason(0, 0, 11), None);
}

#[test]
fn numbers_go_round() {
    let (turned_away, now) = (TurnedAway::default(), Instant::now());
    for sequence in [i32::MAX, 0] {
        turned_away.note(sender(0), &batch(0, sequence), REASON, now);
    }
    assert_eq!(turned_away.reason_before(&sender(0), &batch(0, 0), now), Some(REASON));
    assert_eq!(turned_away.reason_before(&sender(0), &batch(0, i32::MAX), now), None);
}

#[test]
fn a_new_epoch_begins_anew() {
    let (turned_away, now) = (TurnedAway::default(), Instant::now());
    turned_away.note(sender(0), &batch(0, 3), REASON, now);
    turned_away.note(sender(0), &batch(1, 5), REASON, now);
    assert_eq!(turned_away.reason_before(&sender(0), &batch(1, 4), now), None);
    assert_eq!(turned_away.reason_before(&sender(0), &batch(1, 6), now), Some(REASON));
}

#[test]
fn what_is_old_is_forgotten_and_what_is_new_is_kept_within_bounds() {
    let (turned_away, begin) = (TurnedAway::default(), Instant::now());
    for partition in 0..limits::TURNED_AWAY_MAX as i32 + 1 {
        turned_away.note(sender(partition), &batch(0, 1), REASON, begin);
    }
    let is_known = |partition, now| turned_away.reason_before(&sender(partition), &batch(0, 2), now).is_some();
    let last = limits::TURNED_AWAY_MAX as i32;
    assert!(is_known(last - 1, begin) && !is_known(last, begin));
    let later = begin + limits::TURNED_AWAY_REMEMBERED;
    assert!(is_known(0, later - Duration::from_millis(1)) && !is_known(0, later));
    turned_away.note(sender(last), &batch(0, 1), REASON, later);
    assert!(is_known(last, later) && !turned_away.is_empty(later));
    assert!(turned_away.is_empty(later + limits::TURNED_AWAY_REMEMBERED));
}

#[test]
fn a_batch_that_waits_for_another_does_not_prolong_the_wait() {
    let behind = AppendError::BehindTurnedAway {
        producer_id: ProducerId(7),
        reason: REASON,
    };
    assert!(TurnedAway::is_noted(&ProduceError::Refused(REASON)));
    assert!(!TurnedAway::is_noted(&ProduceError::Log(behind)));
    assert!(!TurnedAway::is_noted(&ProduceError::Refused(ErrorCode::InvalidRecord)));
}

#[test]
fn producers_without_numbers_are_not_noted() {
    let mut batch = RecordBatchBuilder::new();
    batch.append(1, None, Some(b"value"), &[]);
    let header = BatchHeader::parse(&batch.build()).unwrap();
    assert_eq!(Sender::of(&header, TopicRef::Name("t".to_owned()), 0), None);
}
