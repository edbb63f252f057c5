//! KIP-227 by value: opening, continuing, closing and evicting sessions, and what an incremental answer leaves out.

use super::*;
use crate::fetch_session::TopicRef;

fn key(partition: i32) -> PartitionKey {
    PartitionKey {
        topic: TopicRef::Name("t".to_string()),
        partition,
    }
}

fn wanted(partition: i32) -> FetchPartition {
    FetchPartition {
        key: key(partition),
        fetch_offset: 0,
        partition_max_bytes: 1024,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
    }
}

fn request(session_id: i32, session_epoch: i32, partitions: &[i32], forgotten: &[i32]) -> SessionRequest {
    SessionRequest {
        session_id,
        session_epoch,
        uses_topic_ids: false,
        is_follower: false,
        partitions: partitions.iter().copied().map(wanted).collect(),
        forgotten: forgotten.iter().copied().map(key).collect(),
    }
}

fn answer(high_watermark: i64) -> PartitionData {
    PartitionData {
        high_watermark,
        log_start_offset: 0,
        ..PartitionData::default()
    }
}

fn with_records(high_watermark: i64) -> PartitionData {
    PartitionData {
        records: Some(vec![1].into()),
        ..answer(high_watermark)
    }
}

fn partitions(plan: &FetchPlan) -> Vec<i32> {
    plan.partitions.iter().map(|wanted| wanted.key.partition).collect()
}

/// A cache with one session 7 of partitions 0, 1 and 2, each told of high watermark 10.
fn opened(slots: usize) -> FetchSessionCache {
    let mut cache = FetchSessionCache::new(slots);
    let plan = cache.begin(request(0, 0, &[0, 1, 2], &[]), 0).unwrap();
    let finished = cache.finish(&plan, &[answer(10), answer(10), answer(10)], 7, 0);
    assert_eq!(
        finished,
        FinishedFetch {
            session_id: 7,
            is_sent: None
        }
    );
    cache
}

#[test]
fn trap_32_an_incremental_answer_holds_only_what_is_new() {
    let mut cache = opened(10);
    let plan = cache.begin(request(7, 1, &[], &[]), 0).unwrap();
    assert_eq!(partitions(&plan), [0, 1, 2]);
    let finished = cache.finish(&plan, &[with_records(10), answer(11), answer(10)], 9, 0);
    assert_eq!(
        finished,
        FinishedFetch {
            session_id: 7,
            is_sent: Some(vec![true, true, false])
        }
    );

    let plan = cache.begin(request(7, 2, &[], &[]), 0).unwrap();
    assert_eq!(partitions(&plan), [1, 2, 0], "a partition that gave records is served last");
    let moved_start = PartitionData {
        log_start_offset: 5,
        ..answer(10)
    };
    let finished = cache.finish(&plan, &[answer(11), moved_start, answer(10)], 9, 0);
    assert_eq!(finished.is_sent, Some(vec![false, true, false]));
}

#[test]
fn trap_32_an_error_is_always_sent_and_so_is_the_answer_after_it() {
    let mut cache = opened(10);
    let failed = || PartitionData {
        error_code: ErrorCode::NotLeaderOrFollower.code(),
        high_watermark: -1,
        ..PartitionData::default()
    };
    for (epoch, first, is_sent) in [
        (1, failed(), true),
        (2, failed(), true),
        (3, answer(10), true),
        (4, answer(10), false),
    ] {
        let plan = cache.begin(request(7, epoch, &[], &[]), 0).unwrap();
        let finished = cache.finish(&plan, &[first, answer(10), answer(10)], 9, 0);
        assert_eq!(finished.is_sent, Some(vec![is_sent, false, false]), "epoch {epoch}");
    }
}

#[test]
fn trap_32_partitions_come_and_go() {
    let mut cache = opened(10);
    let plan = cache.begin(request(7, 1, &[5, 1], &[0]), 0).unwrap();
    assert_eq!(partitions(&plan), [1, 2, 5]);
    let finished = cache.finish(&plan, &[answer(10), answer(10), answer(0)], 9, 0);
    assert_eq!(finished.is_sent, Some(vec![false, false, true]));
    let plan = cache.begin(request(7, 2, &[], &[1, 2, 5]), 0).unwrap();
    assert_eq!(partitions(&plan), []);
    assert_eq!(cache.finish(&plan, &[], 9, 0).session_id, 0);
    assert!(cache.is_empty(), "an empty session is closed");
}

#[test]
fn w23_trap_32_a_session_that_is_not_there_and_an_epoch_that_is_not_due() {
    let mut cache = opened(10);
    assert_eq!(
        cache.begin(request(8, 1, &[], &[]), 0).unwrap_err(),
        ErrorCode::FetchSessionIdNotFound
    );
    assert_eq!(
        cache.begin(request(7, 2, &[], &[]), 0).unwrap_err(),
        ErrorCode::InvalidFetchSessionEpoch
    );
    cache.begin(request(7, 1, &[], &[]), 0).unwrap();
    assert_eq!(
        cache.begin(request(7, 1, &[], &[]), 0).unwrap_err(),
        ErrorCode::InvalidFetchSessionEpoch
    );
    let by_id = SessionRequest {
        uses_topic_ids: true,
        ..request(7, 2, &[], &[])
    };
    assert_eq!(cache.begin(by_id, 0).unwrap_err(), ErrorCode::FetchSessionTopicIdError);
}

#[test]
fn trap_32_epochs_wrap_to_one() {
    let mut cache = opened(10);
    cache.sessions.get_mut(&7).unwrap().epoch = i32::MAX;
    cache.begin(request(7, i32::MAX, &[], &[]), 0).unwrap();
    assert_eq!(cache.sessions[&7].epoch, 1);
}

#[test]
fn trap_32_a_full_request_closes_the_session_that_it_names() {
    let mut cache = opened(10);
    let plan = cache.begin(request(7, -1, &[3], &[]), 0).unwrap();
    assert!(cache.is_empty());
    assert_eq!(
        cache.finish(&plan, &[answer(1)], 9, 0),
        FinishedFetch {
            session_id: 0,
            is_sent: None
        }
    );
    assert!(cache.is_empty());

    let mut cache = opened(10);
    let plan = cache.begin(request(7, 0, &[3], &[]), 0).unwrap();
    assert_eq!(cache.finish(&plan, &[answer(1)], 9, 0).session_id, 9);
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_session_evicted_while_its_fetch_waits_is_answered_in_full() {
    let mut cache = opened(10);
    let plan = cache.begin(request(7, 1, &[], &[]), 0).unwrap();
    cache.remove(7);
    let finished = cache.finish(&plan, &[answer(10), answer(10), answer(10)], 9, 0);
    assert_eq!(
        finished,
        FinishedFetch {
            session_id: 7,
            is_sent: None
        }
    );
}

#[test]
fn slots_are_limited_and_only_old_sessions_are_evicted() {
    let mut cache = opened(1);
    let open = |cache: &mut FetchSessionCache, is_follower, new_id, now_ms| {
        let plan = cache
            .begin(
                SessionRequest {
                    is_follower,
                    ..request(0, 0, &[0], &[])
                },
                now_ms,
            )
            .unwrap();
        cache.finish(&plan, &[answer(1)], new_id, now_ms).session_id
    };
    assert_eq!(open(&mut cache, false, 8, FETCH_SESSION_EVICTABLE_AFTER_MS), 0, "the slot is taken");
    assert_eq!(open(&mut cache, false, 8, FETCH_SESSION_EVICTABLE_AFTER_MS + 1), 8);
    assert_eq!(
        open(&mut cache, true, 9, FETCH_SESSION_EVICTABLE_AFTER_MS + 1),
        9,
        "a follower takes the place of a consumer"
    );
    assert_eq!(open(&mut cache, true, 10, FETCH_SESSION_EVICTABLE_AFTER_MS + 2), 0);
    assert_eq!(cache.partitions, 1);
}

#[test]
fn remembered_partitions_are_limited() {
    let mut cache = opened(10);
    let many: Vec<i32> = (0..FETCH_SESSION_PARTITIONS_MAX as i32 + 1).collect();
    assert_eq!(
        cache.begin(request(7, 1, &many, &[]), 0).unwrap_err(),
        ErrorCode::FetchSessionIdNotFound
    );
    assert!(cache.is_empty());
    assert_eq!(cache.partitions, 0);
    let plan = cache.begin(request(0, 0, &many, &[]), 0).unwrap();
    let answers: Vec<PartitionData> = many.iter().map(|_| answer(0)).collect();
    assert_eq!(cache.finish(&plan, &answers, 8, 0).session_id, 0);
}
