//! Append, read, roll, retention, truncation: what a log does while nothing goes wrong.

mod fixture;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::batch::{BatchHeader, TimestampType, verify_crc};
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_storage::{Disk, FaultyDisk, LogConfig, PartitionLog, ReadRequest, TimestampOffset};
use fixture::*;

#[test]
fn offsets_and_the_leader_epoch_are_stamped_without_touching_the_checksum() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, LogConfig::default());
    let sent = batch(3, 10, NOW_MS);
    append(&mut log, batch(2, 10, NOW_MS));
    let info = log.append_as_leader(sent.clone(), context(5)).unwrap();
    assert_eq!(
        (info.base_offset.0, info.last_offset.0, info.log_append_time_ms, info.duplicate),
        (2, 4, -1, false)
    );
    let header = BatchHeader::parse(&info.bytes).unwrap();
    assert_eq!(
        (header.base_offset.0, header.partition_leader_epoch, header.crc),
        (2, LeaderEpoch(5), BatchHeader::parse(&sent).unwrap().crc)
    );
    verify_crc(&info.bytes).unwrap();
    assert_eq!(log.read_view().read(everything(Offset(2))).unwrap().records, info.bytes);
    assert_eq!(log.log_end_offset().0, 5);
}

#[test]
fn one_write_call_per_append_and_no_other() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, LogConfig::default());
    append(&mut log, batch(1, 10, NOW_MS));
    let before = disk.count(dohle_storage::disk::Operation::Write);
    for _ in 0..10 {
        append(&mut log, batch(100, 10, NOW_MS));
    }
    assert_eq!(disk.count(dohle_storage::disk::Operation::Write) - before, 10);
    assert_eq!(disk.count(dohle_storage::disk::Operation::Read), 0);
}

#[test]
fn trap_17_the_log_stamps_records_where_it_is_told_to() {
    let disk = FaultyDisk::new();
    let mut log = new_log(
        &disk,
        LogConfig {
            timestamp_type: TimestampType::LogAppendTime,
            ..small()
        },
    );
    let info = try_append(&mut log, batch(2, 10, 1000)).unwrap();
    assert_eq!(info.log_append_time_ms, NOW_MS);
    assert_eq!(BatchHeader::parse(&info.bytes).unwrap().max_timestamp, NOW_MS);
    verify_crc(&info.bytes).unwrap();
}

#[test]
fn trap_28_the_whole_batch_that_contains_the_offset_is_returned() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for n in 0..30 {
        append(&mut log, batch(5, 20, NOW_MS + n));
    }
    let view = log.read_view();
    for offset in 0..150 {
        let result = view
            .read(ReadRequest {
                max_bytes: 1,
                ..everything(Offset(offset))
            })
            .unwrap();
        let header = BatchHeader::parse(&result.records).unwrap();
        assert_eq!(header.size_in_bytes(), result.records.len(), "one batch");
        assert_eq!((result.first_offset.0, result.next_offset.0), (offset / 5 * 5, offset / 5 * 5 + 5));
    }
}

#[test]
fn trap_29_only_a_reader_who_needs_one_batch_gets_one_that_is_too_large() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, LogConfig::default());
    let size = try_append(&mut log, batch(5, 100, NOW_MS)).unwrap().bytes.len();
    append(&mut log, batch(5, 100, NOW_MS));
    let view = log.read_view();
    let read = |max_bytes, min_one_batch| {
        let result = view
            .read(ReadRequest {
                max_bytes,
                min_one_batch,
                ..everything(Offset(0))
            })
            .unwrap();
        (result.records.len(), result.next_offset.0)
    };
    assert_eq!(read(size - 1, false), (0, 0));
    assert_eq!(read(size - 1, true), (size, 5));
    assert_eq!(read(2 * size - 1, false), (size, 5), "batches are never cut");
    assert_eq!(read(2 * size, false), (2 * size, 10));
}

#[test]
fn trap_30_offsets_out_of_range_and_above_the_bound() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, LogConfig::default());
    for _ in 0..4 {
        append(&mut log, batch(5, 10, NOW_MS));
    }
    log.delete_records_before(Offset(7));
    let view = log.read_view();
    for offset in [0, 6, 21, i64::MAX, -1] {
        assert_eq!(
            view.read(everything(Offset(offset))).unwrap_err().error_code(),
            ErrorCode::OffsetOutOfRange,
            "{offset}"
        );
    }
    let bounded = |offset, bound| {
        view.read(ReadRequest {
            upper_bound: Offset(bound),
            ..everything(Offset(offset))
        })
        .unwrap()
        .next_offset
        .0
    };
    assert_eq!(bounded(7, 20), 20);
    assert_eq!(bounded(7, 15), 15);
    assert_eq!(bounded(7, 12), 10, "a batch that reaches the bound is not returned");
    assert_eq!(bounded(15, 15), 15);
    assert_eq!(bounded(20, 15), 20);
    assert_eq!(bounded(20, 20), 20);
}

#[test]
fn a_view_does_not_see_what_is_appended_later_through_its_own_end() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    append(&mut log, batch(5, 10, NOW_MS));
    let view = log.read_view();
    append(&mut log, batch(5, 10, NOW_MS));
    assert!(view.read(everything(Offset(5))).unwrap().records.is_empty());
}

#[test]
fn segments_roll_by_size_and_their_files_are_complete() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for n in 0..60 {
        append(&mut log, batch(3, 50, NOW_MS + n));
    }
    assert!(log.segment_count() > 3);
    assert_eq!(read_offsets(&log.read_view(), 0), (0..180).collect::<Vec<_>>());
    let logs = files(&disk, ".log");
    assert_eq!(logs.len(), log.segment_count());
    for name in &logs[..logs.len() - 1] {
        assert!(disk.len(&path(name)).unwrap().unwrap() <= 2000);
        let index = disk.read(&path(&name.replace(".log", ".index"))).unwrap();
        assert!(!index.is_empty() && index.len().is_multiple_of(8));
        check_index(&disk.read(&path(name)).unwrap(), &index, name[..20].parse().unwrap());
        assert_eq!(disk.len(&path(&name.replace(".log", ".timeindex"))).unwrap().unwrap() % 12, 0);
    }
}

/// Every entry is the last offset of the batch at its position, as Apache's tool wants it.
fn check_index(log: &[u8], index: &[u8], base: i64) {
    for entry in index.chunks(8) {
        let number = |at: usize| i32::from_be_bytes(entry[at..at + 4].try_into().unwrap());
        let header = BatchHeader::parse(&log[number(4) as usize..]).unwrap();
        assert_eq!(header.last_offset().0, base + i64::from(number(0)));
    }
}

#[test]
fn segments_roll_by_the_time_of_their_records() {
    let disk = FaultyDisk::new();
    let mut log = new_log(
        &disk,
        LogConfig {
            segment_ms: 1000,
            ..LogConfig::default()
        },
    );
    append(&mut log, batch(1, 10, NOW_MS - 5000));
    append(&mut log, batch(1, 10, NOW_MS - 4000));
    assert_eq!(log.segment_count(), 1);
    assert!(try_append(&mut log, batch(1, 10, NOW_MS - 3999)).unwrap().rolled);
    assert_eq!(log.segment_count(), 2);
}

#[test]
fn the_jitter_makes_some_segments_roll_earlier_never_later() {
    let disk = FaultyDisk::new();
    let mut log = new_log(
        &disk,
        LogConfig {
            segment_ms: 10_000,
            segment_jitter_ms: 9_000,
            ..LogConfig::default()
        },
    );
    let mut ages = Vec::new();
    let (mut first, mut time) = (NOW_MS - 3_000_000, NOW_MS - 3_000_000);
    for _ in 0..2000 {
        if try_append(&mut log, batch(1, 1, time)).unwrap().rolled {
            ages.push(time - first);
            first = time;
        }
        time += 500;
    }
    assert!(ages.iter().all(|age| (1000..=10_500).contains(age)), "{ages:?}");
    assert!(ages.iter().max().unwrap() - ages.iter().min().unwrap() > 3000, "{ages:?}");
}

#[test]
fn a_segment_ends_where_its_index_could_not_name_the_offset() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, LogConfig::default());
    append(&mut log, batch(1, 10, NOW_MS));
    let far = with_offset(batch(1, 10, NOW_MS), i64::from(i32::MAX) + 2);
    assert!(log.append_as_follower(far, LeaderEpoch(3), NOW_MS).unwrap().rolled);
    assert_eq!(files(&disk, ".log"), ["00000000000000000000.log", "00000000002147483649.log"]);
    assert_eq!(log.log_end_offset().0, i64::from(i32::MAX) + 3);
}

fn with_offset(batch: Bytes, offset: i64) -> Bytes {
    with_epoch(batch, offset, 3)
}

fn with_epoch(batch: Bytes, offset: i64, epoch: i32) -> Bytes {
    let mut bytes = Vec::from(batch);
    dohle_protocol::batch::patch_base_offset(&mut bytes, Offset(offset));
    dohle_protocol::batch::patch_leader_epoch(&mut bytes, LeaderEpoch(epoch));
    bytes.into()
}

#[test]
fn a_follower_refuses_batches_of_a_log_that_was_written_anew_while_it_was_read() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    let mut sent = |offset, epochs: &[i32], leader_epoch| {
        let batches = epochs.iter().zip(offset..);
        let bytes: Vec<u8> = batches
            .flat_map(|(epoch, at)| with_epoch(batch(1, 10, NOW_MS), at, *epoch).to_vec())
            .collect();
        let appended = log.append_as_follower(bytes.into(), LeaderEpoch(leader_epoch), NOW_MS);
        appended.map(|info| info.last_offset.0).map_err(|error| error.error_code())
    };
    assert_eq!(sent(0, &[3, 3, 5], 5), Ok(2));
    assert_eq!(sent(3, &[6], 5), Err(ErrorCode::FencedLeaderEpoch), "later than the leader itself");
    assert_eq!(sent(3, &[4], 5), Err(ErrorCode::FencedLeaderEpoch), "earlier than what it follows");
    assert_eq!(sent(3, &[5, 4], 5), Err(ErrorCode::FencedLeaderEpoch), "within one answer");
    assert_eq!(sent(3, &[5, 6], 7), Ok(4));
    assert_eq!(log.log_end_offset().0, 5);
}

#[test]
fn a_follower_keeps_offsets_and_epochs_and_refuses_what_does_not_follow() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    let set: Vec<u8> = [0, 2, 10]
        .iter()
        .flat_map(|offset| with_offset(batch(2, 10, NOW_MS), *offset).to_vec())
        .collect();
    let mut cut = set.clone();
    cut.extend_from_slice(&with_offset(batch(2, 10, NOW_MS), 12)[..70]);
    let info = log.append_as_follower(cut.into(), LeaderEpoch(3), NOW_MS).unwrap();
    assert_eq!((info.base_offset.0, info.last_offset.0), (0, 11));
    assert_eq!(read_bytes(&log), set);
    assert_eq!(log.epochs().latest().unwrap().epoch, LeaderEpoch(3));
    let again = log
        .append_as_follower(with_offset(batch(1, 10, NOW_MS), 11), LeaderEpoch(3), NOW_MS)
        .unwrap_err();
    assert_eq!(again.error_code(), ErrorCode::OffsetOutOfRange);
    let mut damaged = with_offset(batch(1, 10, NOW_MS), 12).to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(
        log.append_as_follower(damaged.into(), LeaderEpoch(3), NOW_MS)
            .unwrap_err()
            .error_code(),
        ErrorCode::CorruptMessage
    );
    assert_eq!(read_bytes(&log), set);
}

#[test]
fn trap_16_a_batch_larger_than_a_segment_is_refused() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    assert_eq!(
        try_append(&mut log, batch(1, 2500, NOW_MS)).unwrap_err().error_code(),
        ErrorCode::RecordListTooLarge
    );
    assert_eq!(log.log_end_offset().0, 0);
}

#[test]
fn trap_19_a_batch_sent_again_gets_its_old_offsets_and_is_not_written() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    append(&mut log, producer_batch(1, 0, 0, 5));
    append(&mut log, producer_batch(1, 0, 5, 5));
    let size = log.size_in_bytes();
    let info = try_append(&mut log, producer_batch(1, 0, 0, 5)).unwrap();
    assert_eq!(
        (info.duplicate, info.base_offset.0, info.last_offset.0, info.bytes.len()),
        (true, 0, 4, 0)
    );
    assert_eq!((log.size_in_bytes(), log.log_end_offset().0), (size, 10));
    assert_eq!(
        try_append(&mut log, producer_batch(1, 0, 12, 1)).unwrap_err().error_code(),
        ErrorCode::OutOfOrderSequenceNumber
    );
}

#[test]
fn retention_by_time_rolls_an_expired_active_segment_but_spares_what_is_not_replicated() {
    let disk = FaultyDisk::new();
    let mut log = new_log(
        &disk,
        LogConfig {
            retention_ms: 1000,
            ..small()
        },
    );
    for n in 0..20 {
        append(&mut log, batch(5, 50, NOW_MS - 3000 + n));
    }
    let segments = log.segment_count();
    assert!(segments > 2);
    assert_eq!(
        log.apply_retention(NOW_MS, Offset(0)).unwrap(),
        0,
        "nothing is below the high watermark"
    );
    assert_eq!(log.apply_retention(NOW_MS - 2500, Offset(100)).unwrap(), 0, "not old enough");
    let view = log.read_view();
    assert_eq!(log.apply_retention(NOW_MS, Offset(99)).unwrap(), segments - 1);
    assert_eq!(log.apply_retention(NOW_MS, Offset(100)).unwrap(), 1);
    assert_eq!(
        (log.log_start_offset().0, log.log_end_offset().0, log.segment_count()),
        (100, 100, 1)
    );
    assert_eq!(read_offsets(&view, 0).len(), 100, "a reader goes on for a while");
    let deleted = |disk: &FaultyDisk| files(disk, ".deleted").iter().filter(|name| name.contains(".log.")).count();
    assert_eq!(deleted(&disk), segments);
    log.take_removable_files(NOW_MS + 60_000).remove();
    assert_eq!(deleted(&disk), segments, "the view is not gone");
    drop(view);
    log.take_removable_files(NOW_MS + 59_999).remove();
    assert_eq!(deleted(&disk), segments, "the delay is not over");
    log.take_removable_files(NOW_MS + 60_000).remove();
    assert_eq!(files(&disk, ".deleted").len(), 0);
    assert_eq!(append(&mut log, batch(1, 1, NOW_MS)), 100);
}

#[test]
fn retention_by_size_keeps_at_least_the_limit() {
    let disk = FaultyDisk::new();
    let mut log = new_log(
        &disk,
        LogConfig {
            retention_bytes: 5000,
            ..small()
        },
    );
    for n in 0..60 {
        append(&mut log, batch(3, 50, NOW_MS + n));
    }
    log.apply_retention(NOW_MS, Offset(180)).unwrap();
    assert!((5000..7000).contains(&log.size_in_bytes()), "{}", log.size_in_bytes());
    let start = log.log_start_offset().0;
    assert_eq!(read_offsets(&log.read_view(), start), (start..180).collect::<Vec<_>>());
}

#[test]
fn a_compacted_log_is_not_subject_to_retention() {
    let disk = FaultyDisk::new();
    let mut log = new_log(
        &disk,
        LogConfig {
            retention_bytes: 0,
            retention_ms: 0,
            delete: false,
            ..small()
        },
    );
    for n in 0..60 {
        append(&mut log, batch(3, 50, NOW_MS - 100_000 + n));
    }
    assert_eq!(log.apply_retention(NOW_MS, Offset(180)).unwrap(), 0);
}

#[test]
fn trap_39_deleted_records_are_gone_at_once_and_their_files_with_the_next_tick() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for n in 0..60 {
        append(&mut log, batch(3, 50, NOW_MS + n));
    }
    assert_eq!(log.delete_records_before(Offset(100)).0, 100);
    assert_eq!(log.delete_records_before(Offset(50)).0, 100, "never back");
    assert!(log.read_view().read(everything(Offset(99))).is_err());
    assert_eq!(read_offsets(&log.read_view(), 100), (100..180).collect::<Vec<_>>());
    let before = log.segment_count();
    let removed = log.apply_retention(NOW_MS, Offset(180)).unwrap();
    assert!(removed > 1 && log.segment_count() == before - removed);
    assert_eq!(log.log_start_offset().0, 100);
    assert_eq!(read_offsets(&log.read_view(), 100), (100..180).collect::<Vec<_>>());
}

#[test]
fn truncation_removes_whole_batches_and_what_they_meant() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for n in 0..40 {
        log.append_as_leader(producer_batch(1, 0, 3 * n, 3), context(n / 10)).unwrap();
    }
    assert_eq!(log.truncate_to(Offset(200)).unwrap().0, 120, "beyond the end: nothing");
    assert_eq!(log.truncate_to(Offset(62)).unwrap().0, 60, "in the middle of a batch");
    assert_eq!(read_offsets(&log.read_view(), 0), (0..60).collect::<Vec<_>>());
    assert_eq!(log.end_offset_for_epoch(LeaderEpoch(1)).end_offset.0, 60);
    assert_eq!(log.epochs().latest().unwrap().epoch, LeaderEpoch(1));
    assert_eq!(log.producers().get(dohle_protocol::id::ProducerId(1)).unwrap().last_sequence(), 59);
    assert_eq!(append(&mut log, producer_batch(1, 0, 60, 3)), 60);
    let first_of_segment: i64 = files(&disk, ".log").last().unwrap()[..20].parse().unwrap();
    assert_eq!(log.truncate_to(Offset(first_of_segment)).unwrap().0, first_of_segment);
    assert_eq!(log.truncate_to(Offset(0)).unwrap().0, 0);
    assert_eq!((log.size_in_bytes(), log.producers().len(), log.epochs().latest()), (0, 0, None));
    assert_eq!(append(&mut log, batch(1, 1, NOW_MS)), 0);
}

#[test]
fn a_log_can_be_emptied_and_go_on_anywhere() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for n in 0..40 {
        append(&mut log, producer_batch(1, 0, 3 * n, 3));
    }
    log.truncate_fully_and_start_at(Offset(1000)).unwrap();
    assert_eq!(
        (log.log_start_offset().0, log.log_end_offset().0, log.recovery_point().0),
        (1000, 1000, 1000)
    );
    assert_eq!(append(&mut log, batch(2, 1, NOW_MS)), 1000);
    log.take_removable_files(NOW_MS).remove();
    assert_eq!(files(&disk, "").iter().filter(|name| name.ends_with(".deleted")).count(), 0);
    log.close_clean().unwrap();
    let log = reopen_clean(&disk, small());
    assert_eq!((log.log_start_offset().0, log.log_end_offset().0), (1000, 1002));
}

#[test]
fn trap_37_time_is_looked_up_to_the_record() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    // Ten records per batch, a millisecond apart; batches 100 ms apart.
    for n in 0..50 {
        log.append_as_leader(batch(10, 10, NOW_MS - 10_000 + 100 * n), context(n as i32 / 25))
            .unwrap();
    }
    let check = |log: &PartitionLog| {
        let view = log.read_view();
        let found = |timestamp, bound| view.offset_for_timestamp(timestamp, Offset(bound)).unwrap();
        for n in 0..50i64 {
            for record in [0, 1, 9] {
                let timestamp = NOW_MS - 10_000 + 100 * n + record;
                let expected = TimestampOffset {
                    timestamp,
                    offset: Offset(10 * n + record),
                    leader_epoch: LeaderEpoch(n as i32 / 25),
                };
                assert_eq!(found(timestamp, 500), Some(expected));
            }
            assert_eq!(
                found(NOW_MS - 10_000 + 100 * n - 50, 500).unwrap().offset.0,
                10 * n,
                "between two batches"
            );
        }
        assert_eq!(found(0, 500).unwrap().offset.0, 0);
        assert_eq!(found(NOW_MS, 500), None);
        assert_eq!(found(NOW_MS - 10_000 + 300, 30), None, "at the bound");
        assert_eq!(view.max_timestamp_offset(Offset(500)).unwrap().unwrap().offset.0, 499);
        assert_eq!(view.max_timestamp_offset(Offset(499)).unwrap(), None);
    };
    check(&log);
    log.close_clean().unwrap();
    check(&reopen_clean(&disk, small()));
    let mut log = reopen_crashed(&disk, small(), Offset(0));
    check(&log);
    log.delete_records_before(Offset(255));
    assert_eq!(log.read_view().offset_for_timestamp(0, Offset(500)).unwrap().unwrap().offset.0, 255);
}

#[test]
fn the_newest_record_is_looked_for_from_the_log_start_on() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for timestamps in [&[100, 50, 60][..], &[10][..]] {
        let mut batch = RecordBatchBuilder::new();
        timestamps.iter().for_each(|ago| batch.append(NOW_MS + ago, None, Some(b"v"), &[]));
        append(&mut log, batch.build());
    }
    let newest = |log: &PartitionLog| log.read_view().max_timestamp_offset(Offset(4)).unwrap().unwrap();
    assert_eq!((newest(&log).timestamp, newest(&log).offset), (NOW_MS + 100, Offset(0)));
    log.delete_records_before(Offset(1));
    assert_eq!((newest(&log).timestamp, newest(&log).offset), (NOW_MS + 60, Offset(2)));
    log.delete_records_before(Offset(3));
    assert_eq!((newest(&log).timestamp, newest(&log).offset), (NOW_MS + 10, Offset(3)));
}

#[test]
fn a_record_whose_offset_nobody_checked_hides_no_other() {
    let disk = FaultyDisk::new();
    let config = LogConfig {
        strict_validation: false,
        ..small()
    };
    let mut log = new_log(&disk, config);
    append(&mut log, with_offset_delta(&batch(1, 10, NOW_MS), 100));
    append(&mut log, batch(1, 10, NOW_MS));
    let found = log.read_view().offset_for_timestamp(NOW_MS, Offset(2)).unwrap();
    assert_eq!(found.map(|found| found.offset), Some(Offset(1)));
}

#[test]
fn trap_36_the_last_stable_offset_and_the_aborted_transactions() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    append(&mut log, transactional_batch(1, 0, 2));
    append(&mut log, transactional_batch(2, 0, 2));
    append(&mut log, batch(1, 1, NOW_MS));
    assert_eq!(log.last_stable_offset(Offset(5)).0, 0);
    assert_eq!(append_marker(&mut log, 1, false).base_offset.0, 5);
    assert_eq!(log.last_stable_offset(Offset(5)).0, 0, "the marker is not replicated");
    assert_eq!(log.last_stable_offset(Offset(6)).0, 2);
    append_marker(&mut log, 2, true);
    assert_eq!(log.last_stable_offset(Offset(7)).0, 7);
    let aborted = |log: &PartitionLog, from, to| {
        log.read_view()
            .aborted_transactions(Offset(from), Offset(to))
            .iter()
            .map(|txn| (txn.producer_id.0, txn.first_offset.0))
            .collect::<Vec<_>>()
    };
    assert_eq!(aborted(&log, 0, 7), [(1, 0)]);
    assert_eq!(aborted(&log, 6, 7), []);
    log.close_clean().unwrap();
    for log in [reopen_clean(&disk, small()), reopen_crashed(&disk, small(), Offset(0))] {
        assert_eq!(aborted(&log, 0, 7), [(1, 0)]);
    }
}

#[test]
fn a_deleted_log_leaves_its_name_free_and_readers_at_work() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    append(&mut log, batch(5, 10, NOW_MS));
    let view = log.read_view();
    let moved = log.mark_deleted().unwrap();
    let name = moved.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("topic-0.") && name.ends_with("-delete"), "{name}");
    assert_eq!(read_offsets(&view, 0).len(), 5);
    let mut successor = new_log(&disk, small());
    assert_eq!(append(&mut successor, batch(1, 1, NOW_MS)), 0);
    disk.remove_dir(&moved).unwrap();
}

#[test]
fn creating_a_log_takes_a_directory_and_two_files() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    assert_eq!(files(&disk, ""), ["00000000000000000000.log", "partition.metadata"]);
    assert_eq!(
        disk.read(&path("partition.metadata")).unwrap(),
        b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw"
    );
    log.close_clean().unwrap();
    assert_eq!(files(&disk, "").len(), 2, "an empty log is closed without a trace");
    assert_eq!(reopen_clean(&disk, small()).log_end_offset().0, 0);
}
