//! A cleaning that is interrupted at every operation on the disk: by an error, by the death of the process, by a power cut.

mod fixture;

use std::path::Path;
use std::sync::OnceLock;

use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{Offset, ProducerEpoch, ProducerId};
use dohle_storage::{Disk, FaultyDisk, OpenState, PartitionLog};
use fixture::compaction::*;
use fixture::*;
use parking_lot::Mutex;

/// Three groups of segments, with tombstones, a producer, an aborted transaction; all of it synced, nothing cleaned.
fn dirty_log() -> (FaultyDisk, Mutex<PartitionLog>) {
    let disk = FaultyDisk::new();
    disk.create_dir(Path::new("data")).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    let log = new_shared(&disk, compacted());
    for number in 0..24 {
        put(&log, &format!("key {}", number % 8), &format!("value {number} {}", "x".repeat(40)));
        if number % 8 == 3 {
            append(&mut log.lock(), keyed(&[("gone", None), ("other", Some("x"))]));
            let producer = RecordBatchBuilder::new().producer(ProducerId(5), ProducerEpoch(0), number / 8);
            append(&mut log.lock(), fill_keyed(producer, &[("produced", Some("x"))]));
            append(&mut log.lock(), transactional_batch(6, number / 8, 1));
            append_marker(&mut log.lock(), 6, false);
        }
    }
    close_segment(&log);
    sync(&log);
    (disk, log)
}

fn state(log: &Mutex<PartitionLog>) -> OpenState {
    OpenState {
        clean_shutdown: false,
        recovery_point: log.lock().recovery_point(),
        log_start: Some(Offset(0)),
    }
}

/// What the dirty log holds, and what is left when it is cleaned with one more record.
struct Expected {
    dirty: Vec<Entry>,
    end: Offset,
    clean: Vec<Entry>,
}

fn expected() -> &'static Expected {
    static EXPECTED: OnceLock<Expected> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let (_, log) = dirty_log();
        let (dirty, end) = (entries(&log), log.lock().log_end_offset());
        put(&log, "key 0", "after");
        clean_all(&log, NOW_MS);
        let clean = entries(&log);
        Expected { dirty, end, clean }
    })
}

/// How many changes of the disk a whole cleaning takes.
fn operations() -> u64 {
    static OPERATIONS: OnceLock<u64> = OnceLock::new();
    *OPERATIONS.get_or_init(|| {
        let is_too_few = |after: &u64| {
            let (disk, log) = dirty_log();
            disk.interrupt(*after, u64::MAX);
            try_clean(&log, NOW_MS, LIMITS).unwrap().is_err()
        };
        let counts: Vec<u64> = (0..2000).collect();
        counts.partition_point(is_too_few) as u64
    })
}

/// The last record of each key, which no interruption may take away, and that nothing is there that was not before.
fn check_content(log: &Mutex<PartitionLog>, when: &str) {
    let Expected { dirty: all, end, .. } = expected();
    let found = entries(log);
    assert!(found.iter().all(|entry| all.contains(entry)), "{when}: {found:?}");
    let aborted = |entry: &Entry| entry.1 == "key";
    let mut latest = std::collections::BTreeMap::new();
    for entry in all.iter().filter(|entry| !aborted(entry)) {
        latest.insert(entry.1.clone(), entry.clone());
    }
    for entry in latest.values() {
        assert!(found.contains(entry), "{when}: {entry:?} is missing in {found:?}");
    }
    // A committed reader is told of each aborted record that is left.
    let view = log.lock().read_view();
    let told = view.aborted_transactions(Offset(0), view.log_end_offset());
    for (offset, ..) in found.iter().filter(|entry| aborted(entry)) {
        assert!(
            told.iter().any(|txn| (txn.first_offset.0..=txn.last_offset.0).contains(offset)),
            "{when}: {offset}"
        );
    }
    assert_eq!(log.lock().log_end_offset(), *end, "{when}");
    assert_eq!(log.lock().producers().get(ProducerId(5)).unwrap().last_sequence(), 2, "{when}");
}

/// The log goes on: it can be appended to and cleaned, and is as clean afterwards as if nothing had happened.
fn check_goes_on(disk: &FaultyDisk, log: &Mutex<PartitionLog>, when: &str) {
    assert_eq!(leftovers(disk), [""; 0], "{when}");
    check_content(log, when);
    put(log, "key 0", "after");
    clean_all(log, NOW_MS);
    assert_eq!(entries(log), expected().clean, "{when}");
    let names = |extension: &str| files(disk, extension).len();
    assert_eq!(names(".log"), log.lock().segment_count(), "{when}");
}

#[test]
fn f14_killed_at_every_step_the_log_is_the_old_or_the_new_one() {
    let operations = operations();
    assert!(operations > 60, "{operations}");
    for after in 0..operations {
        let (disk, log) = dirty_log();
        disk.interrupt(after, u64::MAX);
        drop(try_clean(&log, NOW_MS, LIMITS).unwrap());
        disk.clear_faults();
        let log = reopen(&disk, compacted(), state(&log));
        check_goes_on(&disk, &log, &format!("killed after {after} operations"));
    }
}

#[test]
fn f14_after_a_power_cut_at_every_step_the_log_is_the_old_or_the_new_one() {
    for after in 0..operations() {
        for seed in 0..3 {
            let (disk, log) = dirty_log();
            disk.interrupt(after, u64::MAX);
            drop(try_clean(&log, NOW_MS, LIMITS).unwrap());
            let disk = disk.crash(seed);
            let log = reopen(&disk, compacted(), state(&log));
            check_goes_on(&disk, &log, &format!("power cut {seed} after {after} operations"));
        }
    }
}

#[test]
fn an_error_at_every_step_leaves_a_log_that_reads_on_and_opens_again() {
    let mut survived = 0;
    for after in 0..operations() {
        let when = format!("error after {after} operations");
        let (disk, log) = dirty_log();
        disk.interrupt(after, 1);
        let done = try_clean(&log, NOW_MS, LIMITS).unwrap();
        disk.clear_faults();
        check_content(&log, &when);
        if done.is_ok() || try_append(&mut log.lock(), keyed(&[("probe", Some("x"))])).is_ok() {
            survived += 1;
        }
        let (disk, log) = {
            let state = state(&log);
            (disk.clone(), reopen(&disk, compacted(), state))
        };
        assert_eq!(leftovers(&disk), [""; 0], "{when}");
        let end = log.lock().log_end_offset();
        log.lock().truncate_to(expected().end.min(end)).unwrap();
        check_content(&log, &when);
    }
    assert!(survived > 20, "most steps can fail without harm to the log: {survived}");
}

#[test]
fn interrupted_repairs_are_repaired() {
    // Killed in the middle of a swap; then at every step of the start that repairs it.
    for after in (0..operations()).step_by(3) {
        for repaired in 0..10 {
            let (disk, log) = dirty_log();
            disk.interrupt(after, u64::MAX);
            drop(try_clean(&log, NOW_MS, LIMITS).unwrap());
            let state = state(&log);
            disk.clear_faults();
            disk.interrupt(repaired, u64::MAX);
            let opened = PartitionLog::open(arc(&disk), DIR.into(), identity(), std::sync::Arc::new(compacted()), state, NOW_MS);
            drop(opened);
            let disk = if repaired % 2 == 0 { disk.crash(after) } else { disk };
            disk.clear_faults();
            let log = reopen(&disk, compacted(), state);
            assert_eq!(leftovers(&disk), [""; 0]);
            check_content(
                &log,
                &format!("killed after {after} operations, and after {repaired} of the repair"),
            );
        }
    }
}

/// Opens a directory with one more file, named as Apache Kafka would in the middle of a swap.
#[test]
fn what_kafka_leaves_of_a_swap_is_finished() {
    let (disk, log) = dirty_log();
    try_clean(&log, NOW_MS, LIMITS).unwrap().unwrap();
    let expected = entries(&log);
    log.lock().take_removable_files(i64::MAX).remove();
    let state = state(&log);
    // Kafka renames the log first, and the indexes after it.
    for (from, to) in [(".timeindex", ".timeindex.swap"), (".index", ".index.swap")] {
        let name = &files(&disk, from)[0];
        disk.rename(&path(name), &path(&name.replace(from, to))).unwrap();
        let log = reopen(&disk, compacted(), state);
        assert_eq!(entries(&log), expected);
        assert_eq!(leftovers(&disk), [""; 0]);
    }
}
