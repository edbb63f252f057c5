//! Compaction: what is kept, by value.

mod fixture;

use bytes::Bytes;
use dohle_protocol::batch::{RecordBatch, TimestampType};
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use dohle_protocol::record::DecodeLimits;
use dohle_storage::{CleanError, CleanerControl, CleanerLimits, FaultyDisk, LogConfig, OpenState, RealDisk, SharedLog};
use fixture::compaction::*;
use fixture::*;

#[test]
fn the_last_record_of_each_key_stays_at_its_offset() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", "2"), ("a", "3")] {
        put(&log, key, value);
    }
    let stats = clean_all(&log, NOW_MS);
    assert_eq!(listed(&log), ["3 c=1", "4 b=2", "5 a=3"]);
    assert_eq!((stats.records_removed, stats.keys, stats.cleaned_to), (3, 3, Offset(6)));
    // The active segment is not touched, but its keys count in the next round.
    put(&log, "c", "2");
    assert!(try_clean(&log, NOW_MS, LIMITS).is_none(), "nothing is closed");
    assert_eq!(listed(&log), ["3 c=1", "4 b=2", "5 a=3", "6 c=2"]);
    clean_all(&log, NOW_MS);
    assert_eq!(listed(&log), ["4 b=2", "5 a=3", "6 c=2"]);
    let view = log.lock().read_view();
    assert_eq!(
        entries_from(&view, 0).len(),
        3,
        "a reader of an offset that is gone gets the next record"
    );
    assert_eq!(entries_from(&view, 5).len(), 2);
}

#[test]
fn segments_are_merged_up_to_their_size_and_join_without_gaps() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    for round in 0..40 {
        put(&log, &format!("key {}", round % 10), &format!("value {round}"));
        put(&log, &format!("unique {round}"), "x");
    }
    close_segment(&log);
    let before = log.lock().segment_count();
    let stats = clean_all(&log, NOW_MS);
    let after = log.lock().segment_count();
    assert_eq!(stats.segments_read as usize + 1, before);
    assert!(after <= before && after > 5, "{before} segments before, {after} after");
    // Merged where it can be: the segments are smaller now.
    clean_again(&log);
    assert!(log.lock().segment_count() < after);
    assert!(files(&disk, ".log").len() == log.lock().segment_count());
    assert_eq!(entries(&log).len(), 50);
    // A recovery that takes gaps for lost data finds none.
    let log = reopen(
        &disk,
        LogConfig {
            compact: false,
            ..compacted()
        },
        OpenState::default(),
    );
    assert_eq!(entries(&log).len(), 50);
    assert_eq!(leftovers(&disk), [""; 0]);
}

/// Another round, though nothing new is closed: as if the checkpoint had been lost.
fn clean_again(log: &parking_lot::Mutex<dohle_storage::PartitionLog>) {
    log.lock().set_cleaned_to(None);
    try_clean(log, NOW_MS, LIMITS).unwrap().unwrap();
}

#[test]
fn untouched_batches_are_copied_byte_for_byte_and_others_keep_their_codec() {
    for codec in Compression::ALL {
        let disk = FaultyDisk::new();
        let log = new_shared(&disk, compacted());
        let builder = || RecordBatchBuilder::new().compression(codec, None);
        append(
            &mut log.lock(),
            fill_keyed(builder(), &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]),
        );
        append(&mut log.lock(), fill_keyed(builder(), &[("b", Some("2"))]));
        let before = read_bytes(&log.lock());
        let header_before = headers(&log)[0];
        clean_all(&log, NOW_MS);
        let after = read_bytes(&log.lock());
        let second = RecordBatch::parse(&Bytes::from(before)).unwrap().bytes.len();
        assert!(after.ends_with(&read_bytes_before(&disk, second)), "{codec}");
        let header = headers(&log)[0];
        assert_eq!(header.compression(), Ok(codec));
        assert_eq!((header.base_offset.0, header.last_offset_delta, header.record_count), (0, 2, 2));
        assert_eq!(header.partition_leader_epoch, header_before.partition_leader_epoch);
        assert_eq!(header.max_timestamp, NOW_MS);
        assert_eq!(listed(&log), ["0 a=1", "2 c=1", "3 b=2"]);
    }
}

/// The second batch, as it was written: the file of the old segment still has it.
fn read_bytes_before(disk: &FaultyDisk, from: usize) -> Vec<u8> {
    use dohle_storage::Disk;
    let name = files(disk, ".log.1.deleted");
    disk.read(&path(&name[0])).unwrap()[from..].to_vec()
}

#[test]
fn trap_24_a_tombstone_stays_until_its_delete_horizon() {
    for stamp in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
        let disk = FaultyDisk::new();
        let config = LogConfig {
            timestamp_type: stamp,
            ..compacted()
        };
        let log = new_shared(&disk, config);
        put(&log, "a", "1");
        append(&mut log.lock(), keyed(&[("a", None), ("b", Some("1"))]));
        put(&log, "c", "1");
        clean_all(&log, NOW_MS + 500);
        assert_eq!(listed(&log), ["1 a", "2 b=1", "3 c=1"]);
        let header = headers(&log)[0];
        assert_eq!(header.delete_horizon(), Some(NOW_MS + 1500), "first cleaned at 500, and 1000 more");
        assert_eq!(
            (header.base_offset.0, header.last_offset_delta, header.max_timestamp),
            (1, 1, NOW_MS)
        );
        let view = log.lock().read_view();
        let found = view.offset_for_timestamp(NOW_MS, Offset(10)).unwrap().unwrap();
        assert_eq!(
            (found.offset.0, found.timestamp),
            (1, NOW_MS),
            "the horizon does not change the time of a record"
        );
        put(&log, "d", "1");
        clean_all(&log, NOW_MS + 1499);
        assert_eq!(listed(&log)[0], "1 a");
        assert_eq!(headers(&log)[0].delete_horizon(), Some(NOW_MS + 1500), "the first cleaning counts");
        put(&log, "e", "1");
        clean_all(&log, NOW_MS + 1500);
        assert_eq!(listed(&log), ["2 b=1", "3 c=1", "4 d=1", "5 e=1"]);
    }
}

#[test]
fn a_tombstone_that_was_replaced_goes_at_once() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    append(&mut log.lock(), keyed(&[("a", None)]));
    put(&log, "a", "1");
    clean_all(&log, NOW_MS);
    assert_eq!(listed(&log), ["1 a=1"]);
}

#[test]
fn trap_24_the_last_batch_of_a_producer_stays_as_an_empty_one() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    let produce = |id: i64, sequence: i32, key: &str| {
        let builder = RecordBatchBuilder::new().producer(ProducerId(id), ProducerEpoch(3), sequence);
        fill_keyed(builder, &[(key, Some("x")), (key, Some("y"))])
    };
    for sequence in [0, 2, 4] {
        append(&mut log.lock(), produce(7, sequence, "a"));
    }
    put(&log, "a", "newer");
    append(&mut log.lock(), produce(8, 0, "b"));
    clean_all(&log, NOW_MS);
    assert_eq!(listed(&log), ["6 a=newer", "8 b=y"]);
    let empty = headers(&log)[0];
    assert_eq!((empty.base_offset.0, empty.last_offset_delta, empty.record_count), (4, 1, 0));
    assert_eq!((empty.producer_id.0, empty.producer_epoch.0, empty.base_sequence), (7, 3, 4));
    assert_eq!((empty.max_timestamp, empty.base_timestamp), (NOW_MS, -1));
    // Also without snapshots, as after the loss of all that is not a log.
    log.lock().sync().unwrap();
    for snapshot in files(&disk, ".snapshot") {
        dohle_storage::Disk::remove_file(&disk, &path(&snapshot)).unwrap();
    }
    let log = reopen(&disk, compacted(), OpenState::default());
    let again = try_append(&mut log.lock(), produce(7, 4, "a")).unwrap();
    assert_eq!((again.duplicate, again.base_offset.0), (true, 4));
    assert!(try_append(&mut log.lock(), produce(7, 10, "a")).is_err(), "a gap in the sequence");
    assert!(!try_append(&mut log.lock(), produce(7, 6, "a")).unwrap().duplicate);
    // Once the producer has written more, the empty batch has served.
    clean_all(&log, NOW_MS);
    assert!(headers(&log).iter().all(|header| header.base_offset.0 != 4));
}

#[test]
fn aborted_records_go_and_markers_follow_their_data() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    let produce = |id: i64, sequence: i32, key: &str| {
        let builder = RecordBatchBuilder::new()
            .producer(ProducerId(id), ProducerEpoch(0), sequence)
            .transactional();
        fill_keyed(builder, &[(key, Some("x"))])
    };
    put(&log, "a", "kept");
    append(&mut log.lock(), produce(1, 0, "a")); // 1, aborted: does not count for "a"
    append(&mut log.lock(), produce(2, 0, "b")); // 2, committed
    append_marker(&mut log.lock(), 1, false); // 3
    append_marker(&mut log.lock(), 2, true); // 4
    append(&mut log.lock(), produce(1, 1, "c")); // 5
    append_marker(&mut log.lock(), 1, true); // 6
    append(&mut log.lock(), produce(2, 1, "d")); // 7
    append_marker(&mut log.lock(), 2, true); // 8
    put(&log, "z", "end"); // 9
    clean_all(&log, NOW_MS);
    assert_eq!(listed(&log), ["0 a=kept", "2 b=x", "5 c=x", "7 d=x", "9 z=end"]);
    let offsets = |log: &parking_lot::Mutex<_>| headers(log).iter().map(|header| header.base_offset.0).collect::<Vec<_>>();
    assert_eq!(
        offsets(&log),
        [0, 2, 3, 4, 5, 6, 7, 8, 9],
        "no marker has gone in the same round as its data"
    );
    let view = log.lock().read_view();
    assert_eq!(view.aborted_transactions(Offset(0), Offset(10)).len(), 1);
    // Now the abort marker decides nothing any more: it gets a horizon, and is not in the transaction index.
    put(&log, "b", "later"); // 10
    clean_all(&log, NOW_MS + 100);
    assert_eq!(offsets(&log), [0, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(headers(&log)[1].delete_horizon(), Some(NOW_MS + 1100));
    assert_eq!(headers(&log)[2].delete_horizon(), None, "the data of the other has only just gone");
    assert!(log.lock().read_view().aborted_transactions(Offset(0), Offset(10)).is_empty());
    put(&log, "y", "end"); // 11
    clean_all(&log, NOW_MS + 1100);
    assert_eq!(offsets(&log), [0, 4, 5, 6, 7, 8, 9, 10, 11]);
    put(&log, "x", "end"); // 12
    clean_all(&log, NOW_MS + 2100);
    assert_eq!(offsets(&log), [0, 5, 6, 7, 8, 9, 10, 11, 12]);
    // What is left decides the same after a recovery that reads everything.
    let log = reopen(&disk, compacted(), OpenState::default());
    assert_eq!(log.lock().last_stable_offset(Offset(13)), Offset(13));
    assert_eq!(log.lock().producers().get(ProducerId(1)).unwrap().last_sequence(), 1);
}

#[test]
fn a_transaction_that_was_aborted_before_the_dirty_part_says_nothing_of_the_next_one_of_its_producer() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    let produce = |sequence: i32, value: Option<&str>| {
        let builder = RecordBatchBuilder::new()
            .producer(ProducerId(1), ProducerEpoch(0), sequence)
            .transactional();
        fill_keyed(builder, &[("a", value)])
    };
    put(&log, "a", "old");
    append(&mut log.lock(), produce(0, Some("aborted"))); // 1
    append_marker(&mut log.lock(), 1, false); // 2
    clean_all(&log, NOW_MS);
    append(&mut log.lock(), produce(1, None)); // 3
    append_marker(&mut log.lock(), 1, true); // 4
    clean_all(&log, NOW_MS);
    assert_eq!(listed(&log), ["3 a"], "the tombstone was committed");
    put(&log, "z", "end"); // 5
    clean_all(&log, NOW_MS + 1000);
    assert_eq!(listed(&log), ["5 z=end"], "and what it deleted does not come back with its end");
}

#[test]
fn a_round_ends_below_open_transactions_young_records_and_what_is_not_durable() {
    let disk = FaultyDisk::new();
    let log = new_shared(
        &disk,
        LogConfig {
            min_compaction_lag_ms: 1000,
            ..compacted()
        },
    );
    put(&log, "a", "1");
    close_segment(&log);
    put(&log, "a", "2");
    close_segment(&log);
    let look = |stable: i64, now_ms: i64| log.lock().dirtiness(Offset(stable), now_ms).unwrap();
    assert_eq!(
        (look(2, NOW_MS + 1000).end.0, look(2, NOW_MS + 1000).is_held_up),
        (0, true),
        "nothing is synced"
    );
    sync(&log);
    let ready = look(2, NOW_MS + 1000);
    assert_eq!(
        (ready.end.0, ready.clean_bytes, ready.is_held_up, ready.ratio()),
        (2, 0, false, 1.0)
    );
    assert_eq!((look(1, NOW_MS + 1000).end.0, look(1, NOW_MS + 1000).is_held_up), (1, true));
    let young = look(2, NOW_MS + 999);
    assert_eq!((young.end.0, young.dirty_bytes, young.ripe_in_ms), (0, 0, Some(1)));
    let overdue = |max_compaction_lag_ms| {
        let config = LogConfig {
            max_compaction_lag_ms,
            ..compacted()
        };
        log.lock().update_config(config.into());
        look(2, NOW_MS + 1000)
    };
    assert!(overdue(999).is_overdue());
    assert_eq!((overdue(1500).is_overdue(), overdue(1500).overdue_ms), (false, Some(-500)));
}

#[test]
fn a_compacted_log_rolls_for_its_greatest_lag() {
    let disk = FaultyDisk::new();
    let log = new_shared(
        &disk,
        LogConfig {
            max_compaction_lag_ms: 500,
            segment_jitter_ms: 10_000,
            ..compacted()
        },
    );
    let append_at = |age_ms: i64| append(&mut log.lock(), batch(1, 1, NOW_MS + age_ms));
    append_at(0);
    append_at(0);
    assert_eq!(log.lock().segment_count(), 1);
    append_at(501);
    assert_eq!(log.lock().segment_count(), 2);
}

#[test]
fn with_little_memory_several_rounds_do_the_same() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    for number in 0..100 {
        put(&log, &format!("key {}", number % 30), &format!("value {number}"));
    }
    close_segment(&log);
    sync(&log);
    let limits = CleanerLimits {
        key_bytes_max: 24 * 8,
        load_factor: 0.9,
    };
    let mut ends = Vec::new();
    while let Some(stats) = try_clean(&log, NOW_MS, limits) {
        ends.push(stats.unwrap().cleaned_to.0);
    }
    assert!(ends.len() > 8 && ends.is_sorted(), "{ends:?}");
    assert_eq!(ends.last(), Some(&100));
    assert_eq!(entries(&log).len(), 30);
    assert!(entries(&log).iter().all(|(offset, ..)| *offset >= 70));
    let batch: Vec<String> = (0..20).map(|number| format!("k{number}")).collect();
    let batch: Vec<(&str, Option<&str>)> = batch.iter().map(|key| (key.as_str(), Some("v"))).collect();
    append(&mut log.lock(), keyed(&batch));
    close_segment(&log);
    sync(&log);
    let failure = try_clean(&log, NOW_MS, limits).unwrap().unwrap_err();
    assert!(matches!(failure, CleanError::TooManyKeys { offset: Offset(100), .. }) && failure.is_lasting());
}

#[test]
fn d3_damage_is_found_and_nothing_is_changed() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    put(&log, "a", "1");
    put(&log, "a", "2");
    close_segment(&log);
    sync(&log);
    disk.tamper(&path("00000000000000000000.log"), |bytes| bytes[100] ^= 1);
    let failure = try_clean(&log, NOW_MS, LIMITS).unwrap().unwrap_err();
    assert!(matches!(failure, CleanError::Damaged { .. }) && failure.is_lasting(), "{failure}");
    assert_eq!(leftovers(&disk), [""; 0]);
    assert_eq!(log.lock().segment_count(), 2);
}

#[test]
fn offsets_that_nobody_checked_before_compaction_end_the_round() {
    // Of the only record of a batch: -1 and 5, in zigzag.
    for delta in [1, 10] {
        let disk = FaultyDisk::new();
        let unchecked = LogConfig {
            compact: false,
            delete: true,
            strict_validation: false,
            ..compacted()
        };
        let log = new_shared(&disk, unchecked);
        let forged = with_offset_delta(&keyed(&[("a", None)]), delta);
        append(&mut log.lock(), forged);
        log.lock().update_config(compacted().into());
        put(&log, "b", "1");
        close_segment(&log);
        sync(&log);
        let error = try_clean(&log, NOW_MS, LIMITS).unwrap().unwrap_err();
        assert!(
            matches!(error, CleanError::Records { offset: Offset(0), .. }) && error.is_lasting(),
            "{error}"
        );
    }
}

#[test]
fn a_full_disk_ends_the_round_and_the_next_one_succeeds() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    put(&log, "a", "1");
    put(&log, "a", "2");
    close_segment(&log);
    sync(&log);
    disk.set_free_bytes(Some(10));
    let failure = try_clean(&log, NOW_MS, LIMITS).unwrap().unwrap_err();
    assert!(!failure.is_lasting(), "{failure}");
    assert_eq!(leftovers(&disk), [""; 0]);
    disk.set_free_bytes(None);
    try_clean(&log, NOW_MS, LIMITS).unwrap().unwrap();
    assert_eq!(listed(&log), ["1 a=2"]);
}

/// Does something to the log in the middle of a round.
struct Meanwhile<'a>(&'a dyn Fn() -> bool);

impl CleanerControl for Meanwhile<'_> {
    fn spent(&self, _: u64, _: u64) -> bool {
        (self.0)()
    }
}

#[test]
fn truncation_deletion_and_a_request_to_stop_end_a_round_without_a_trace() {
    type Change = fn(&mut dohle_storage::PartitionLog) -> bool;
    let changes: [(&str, Change); 5] = [
        ("stop", |_| false),
        ("truncation", |log| log.truncate_to(Offset(2)).is_ok()),
        ("restart", |log| log.truncate_fully_and_start_at(Offset(0)).is_ok()),
        ("retention", |log| {
            log.delete_records_before(Offset(3));
            log.apply_retention(NOW_MS, Offset(3)).unwrap() > 0
        }),
        ("deletion", |log| log.mark_deleted().is_ok()),
    ];
    for (name, change) in changes {
        let disk = FaultyDisk::new();
        let log = new_shared(&disk, compacted());
        let large = "x".repeat(200 << 10);
        log.lock().update_config(
            LogConfig {
                segment_bytes: 1 << 20,
                ..compacted()
            }
            .into(),
        );
        for value in [&large, &large, &large] {
            put(&log, "a", value);
            close_segment(&log);
        }
        sync(&log);
        let cleaning = log.with_log(|log| {
            let dirtiness = log.dirtiness(Offset(3), NOW_MS).unwrap();
            log.begin_cleaning(&dirtiness, NOW_MS).unwrap()
        });
        let meanwhile = || log.with_log(change);
        let failure = cleaning.run(&log, LIMITS, &Meanwhile(&meanwhile)).unwrap_err();
        assert!(matches!(failure, CleanError::Stopped), "{name}: {failure}");
        if name == "deletion" {
            continue;
        }
        assert!(files(&disk, ".cleaned").is_empty() && files(&disk, ".swap").is_empty(), "{name}");
        assert_eq!(log.lock().cleaned_to(), None, "{name}");
        // The log goes on, and can be cleaned.
        put(&log, "a", "new");
        clean_all(&log, NOW_MS);
        assert_eq!(entries(&log).last().unwrap().2.as_deref(), Some("new"), "{name}");
        assert_eq!(entries(&log).len(), 1, "{name}");
    }
}

/// Does something to the log just before the round locks it for the given time.
struct Before<'a> {
    log: &'a parking_lot::Mutex<dohle_storage::PartitionLog>,
    /// How often it is locked until then.
    left: std::cell::Cell<usize>,
    change: fn(&mut dohle_storage::PartitionLog),
}

impl SharedLog for Before<'_> {
    fn with_log<T>(&self, use_log: impl FnOnce(&mut dohle_storage::PartitionLog) -> T) -> T {
        let mut log = self.log.lock();
        if self.left.replace(self.left.get().wrapping_sub(1)) == 0 {
            (self.change)(&mut log);
        }
        use_log(&mut log)
    }
}

#[test]
fn a_log_that_is_cut_and_written_anew_at_any_moment_of_a_round_is_not_clean_and_keeps_no_swap() {
    // The first time, it is locked to begin.
    for moment in 1.. {
        let disk = FaultyDisk::new();
        dohle_storage::Disk::create_dir(&disk, std::path::Path::new("data")).unwrap();
        dohle_storage::Disk::sync_dir(&disk, std::path::Path::new("")).unwrap();
        let log = new_shared(&disk, compacted());
        for value in 0..20 {
            put(&log, "a", &value.to_string());
        }
        close_segment(&log);
        sync(&log);
        let cut = Before {
            log: &log,
            left: std::cell::Cell::new(moment),
            change: |log| {
                log.truncate_to(Offset(3)).unwrap();
                for _ in 0..20 {
                    append(log, keyed(&[("b", Some("x"))]));
                }
            },
        };
        let cleaned = try_clean(&cut, NOW_MS, LIMITS);
        if cut.left.get() < usize::MAX / 2 {
            assert!(
                moment > 3,
                "the round locks the log at the beginning, twice per swap, and at the end"
            );
            assert!(cleaned.unwrap().is_ok());
            break;
        }
        let cleaned_to = log.lock().cleaned_to();
        assert!(cleaned_to.is_none_or(|to| to <= Offset(3)), "moment {moment}: {cleaned_to:?}");
        for seed in 0..3 {
            assert_eq!(files(&disk.crash(seed), ".log.swap"), [""; 0], "moment {moment}, power cut {seed}");
        }
    }
}

#[test]
fn the_newest_record_is_found_beside_an_emptied_batch_that_is_newer() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    let at = |mut builder: RecordBatchBuilder, key: &str, timestamp: i64| {
        builder.append(timestamp, Some(key.as_bytes()), Some(b"x"), &[]);
        builder.build()
    };
    let produced = RecordBatchBuilder::new().producer(ProducerId(7), ProducerEpoch(0), 0);
    append(&mut log.lock(), at(RecordBatchBuilder::new(), "b", NOW_MS - 30)); // 0
    append(&mut log.lock(), at(RecordBatchBuilder::new(), "c", NOW_MS - 20)); // 1
    append(&mut log.lock(), at(produced, "a", NOW_MS)); // 2
    append(&mut log.lock(), at(RecordBatchBuilder::new(), "a", NOW_MS - 40)); // 3
    clean_all(&log, NOW_MS);
    assert_eq!(headers(&log)[2].record_count, 0, "the batch of the producer stays, empty");
    let newest = |log: &parking_lot::Mutex<dohle_storage::PartitionLog>| {
        let found = log.lock().read_view().max_timestamp_offset(Offset(100)).unwrap();
        found.map(|found| (found.offset.0, found.timestamp))
    };
    assert_eq!(newest(&log), Some((1, NOW_MS - 20)));
    log.lock().delete_records_before(Offset(2));
    assert_eq!(newest(&log), Some((3, NOW_MS - 40)), "nor is what has been deleted");
}

#[test]
fn only_one_round_of_a_log_runs_at_a_time() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    put(&log, "a", "1");
    close_segment(&log);
    sync(&log);
    let begin = || {
        let mut log = log.lock();
        let dirtiness = log.dirtiness(Offset(2), NOW_MS).unwrap();
        log.begin_cleaning(&dirtiness, NOW_MS)
    };
    let first = begin().unwrap();
    assert!(begin().is_none());
    first.run(&log, LIMITS, &Unlimited).unwrap();
    put(&log, "a", "2");
    close_segment(&log);
    sync(&log);
    assert!(begin().is_some());
}

#[test]
fn an_old_view_reads_the_old_files_whatever_happens_to_their_names() {
    let folder = tempfile::tempdir().unwrap();
    // One open file at a time: nearly every read opens its file anew, by name.
    let disk: std::sync::Arc<dyn dohle_storage::Disk> = std::sync::Arc::new(RealDisk::with_open_files_max(1));
    let dir = folder.path().join("topic-0");
    let config = std::sync::Arc::new(LogConfig {
        file_delete_delay_ms: 0,
        ..compacted()
    });
    let log = dohle_storage::PartitionLog::open(disk, dir.clone(), identity(), config, OpenState::default(), NOW_MS).unwrap();
    let log = parking_lot::Mutex::new(log);
    let mut views = Vec::new();
    for round in 0..5 {
        for number in 0..30 {
            put(&log, &format!("key {}", number % 7), &format!("value {round} {number}"));
        }
        close_segment(&log);
        sync(&log);
        let view = log.lock().read_view();
        views.push((entries_from(&view, 0), view));
        clean_all_of(&log);
        log.lock().take_removable_files(NOW_MS).remove();
        for (expected, view) in &views {
            assert_eq!(&entries_from(view, 0), expected);
        }
    }
    assert_eq!(entries(&log).len(), 7);
    let deleted = || {
        std::fs::read_dir(&dir)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().to_string_lossy().ends_with(".deleted"))
            .count()
    };
    assert!(deleted() > 20, "kept for the views");
    views.clear();
    log.lock().take_removable_files(NOW_MS).remove();
    assert_eq!(deleted(), 0);
}

fn clean_all_of(log: &parking_lot::Mutex<dohle_storage::PartitionLog>) {
    try_clean(log, NOW_MS, LIMITS).unwrap().unwrap();
}

#[test]
fn records_without_a_key_from_the_time_before_compaction_go() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, small());
    let mut builder = RecordBatchBuilder::new();
    builder.append(NOW_MS, None, Some(b"no key"), &[]);
    append(&mut log.lock(), builder.build());
    log.lock().update_config(compacted().into());
    put(&log, "a", "1");
    clean_all(&log, NOW_MS);
    assert_eq!(listed(&log), ["1 a=1"]);
}

#[test]
fn headers_and_epochs_survive_in_a_batch_that_is_written_anew() {
    let disk = FaultyDisk::new();
    let log = new_shared(&disk, compacted());
    let mut builder = RecordBatchBuilder::new();
    let header = dohle_protocol::record::Header::new(&b"h"[..], &b"v"[..]);
    builder.append(NOW_MS + 5, Some(b"a"), Some(b"old"), &[]);
    builder.append(NOW_MS + 3, Some(b"b"), Some(b"1"), std::slice::from_ref(&header));
    builder.append(NOW_MS + 1, Some(b"c"), None, std::slice::from_ref(&header));
    log.lock().append_as_leader(builder.build(), context(9)).unwrap();
    log.lock().append_as_leader(keyed(&[("a", Some("new"))]), context(9)).unwrap();
    clean_all(&log, NOW_MS);
    let bytes = Bytes::from(read_bytes(&log.lock()));
    let batch = RecordBatch::parse(&bytes).unwrap();
    batch.verify_crc().unwrap();
    assert_eq!(
        (batch.header.partition_leader_epoch, batch.header.max_timestamp),
        (LeaderEpoch(9), NOW_MS + 3)
    );
    let limits = DecodeLimits {
        decompressed_bytes_max: 1 << 20,
    };
    let records: Vec<_> = batch.records(limits).unwrap().map(Result::unwrap).collect();
    let seen: Vec<_> = records
        .iter()
        .map(|record| (record.offset.0, record.timestamp, record.headers.clone()))
        .collect();
    assert_eq!(seen, [(1, NOW_MS + 3, vec![header.clone()]), (2, NOW_MS + 1, vec![header])]);
}
