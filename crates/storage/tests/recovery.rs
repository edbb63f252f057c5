//! What a log does about damaged files: rows D1 to D5 and D8 of the table of bad inputs, after a crash and after a clean shutdown.

mod fixture;

use std::path::Path;

use dohle_protocol::ErrorCode;
use dohle_protocol::batch::BatchHeader;
use dohle_protocol::id::{LeaderEpoch, Offset, ProducerId};
use dohle_storage::{Disk, FaultyDisk, LogConfig, OpenState, PartitionLog, RealDisk, SyncTarget};
use fixture::*;

/// With the topic id of [`identity`].
const PARTITION_METADATA: &[u8] = b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw";

/// A log of several segments, closed; 120 records in 40 batches of one producer.
fn closed_log() -> FaultyDisk {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for n in 0..40 {
        log.append_as_leader(producer_batch(1, 0, 3 * n, 3), context(n / 10)).unwrap();
    }
    log.close_clean().unwrap();
    disk
}

fn reopen(disk: &FaultyDisk, clean: bool) -> PartitionLog {
    if clean {
        reopen_clean(disk, small())
    } else {
        reopen_crashed(disk, small(), Offset(0))
    }
}

fn assert_complete(log: &mut PartitionLog) {
    assert_eq!((log.log_start_offset().0, log.log_end_offset().0), (0, 120));
    assert_eq!(read_offsets(&log.read_view(), 0), (0..120).collect::<Vec<_>>());
    let view = log.read_view();
    for offset in 0..120 {
        let found = view
            .read(dohle_storage::ReadRequest {
                max_bytes: 1,
                ..everything(Offset(offset))
            })
            .unwrap();
        assert_eq!(found.first_offset.0, offset / 3 * 3);
    }
    let ends: Vec<i64> = (0..4)
        .map(|epoch| log.end_offset_for_epoch(LeaderEpoch(epoch)).end_offset.0)
        .collect();
    assert_eq!(ends, [30, 60, 90, 120]);
    // Deduplication still holds.
    assert!(try_append(log, producer_batch(1, 0, 117, 3)).unwrap().duplicate);
    assert_eq!(append(log, producer_batch(1, 0, 120, 3)), 120);
}

#[test]
fn an_undamaged_log_opens_complete_after_a_clean_shutdown_and_after_a_crash() {
    for clean in [true, false] {
        let disk = closed_log();
        assert_complete(&mut reopen(&disk, clean));
    }
}

#[test]
fn a_clean_start_reads_little_and_leaves_nothing_open() {
    let disk = closed_log();
    let reads = disk.count(dohle_storage::disk::Operation::Read);
    let log = reopen_clean(&disk, small());
    // Ends of both indexes, end of the log, epochs, snapshot: the other segments are not touched.
    assert!(disk.count(dohle_storage::disk::Operation::Read) - reads <= 8);
    assert_eq!(log.recovery_point().0, 120);
    assert!(log.segment_count() > 3);
}

#[test]
fn d1_missing_zeroed_and_garbage_indexes_are_rebuilt() {
    type Damage = fn(&FaultyDisk, &Path);
    let damages: [(&str, Damage); 7] = [
        ("missing", |disk, path| disk.remove_file(path).unwrap()),
        ("empty", |disk, path| disk.tamper(path, Vec::clear)),
        ("zeroed", |disk, path| disk.tamper(path, |bytes| bytes.fill(0))),
        ("preallocated and zeroed", |disk, path| {
            disk.tamper(path, |bytes| *bytes = vec![0; 24_000])
        }),
        ("garbage", |disk, path| {
            disk.tamper(path, |bytes| {
                bytes.iter_mut().enumerate().for_each(|(at, b)| *b = (at * 37 + 11) as u8)
            })
        }),
        ("cut within an entry", |disk, path| {
            disk.tamper(path, |bytes| bytes.truncate(bytes.len().saturating_sub(1)))
        }),
        ("of the wrong place", |disk, path| {
            disk.tamper(path, |bytes| bytes.chunks_mut(4).for_each(|n| n[3] = n[3].wrapping_add(1)))
        }),
    ];
    for extension in [".index", ".timeindex"] {
        for (name, damage) in damages {
            for clean in [true, false] {
                let disk = closed_log();
                let good = files(&disk, extension)
                    .iter()
                    .map(|file| disk.read(&path(file)).unwrap())
                    .collect::<Vec<_>>();
                let names = files(&disk, extension);
                names.iter().for_each(|file| damage(&disk, &path(file)));
                let mut log = reopen(&disk, clean);
                let view = log.read_view();
                for timestamp in [NOW_MS, NOW_MS + 1, NOW_MS + 2] {
                    assert_eq!(
                        view.offset_for_timestamp(timestamp, Offset(120)).unwrap().unwrap().offset.0,
                        timestamp - NOW_MS,
                        "{name}"
                    );
                }
                assert_complete(&mut log);
                log.close_clean().unwrap();
                if name != "of the wrong place" || !clean {
                    let rebuilt = names[..names.len() - 1]
                        .iter()
                        .map(|file| disk.read(&path(file)).unwrap())
                        .collect::<Vec<_>>();
                    assert_eq!(rebuilt, good[..good.len() - 1], "{extension} {name} clean: {clean}");
                }
            }
        }
    }
}

#[test]
fn d2_a_tail_that_is_cut_or_zero_goes() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 5] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.truncate(bytes.len() - 100),
        |bytes| bytes.extend([0; 500]),
        |bytes| bytes.extend([0xff; 30]),
        |bytes| {
            let length = bytes.len();
            bytes[length - 50..].fill(0);
        },
    ];
    for (at, damage) in damages.iter().enumerate() {
        for clean in [true, false] {
            let disk = closed_log();
            let last = files(&disk, ".log").pop().unwrap();
            let size = batch_size(&disk.read(&path(&last)).unwrap()) as u64;
            disk.tamper(&path(&last), damage);
            let mut log = reopen(&disk, clean);
            let kept = if at == 2 || at == 3 { 120 } else { 117 };
            // A body that was zeroed is found by its checksum, which a clean start does not read.
            if !(clean && at == 4) {
                assert_eq!(log.log_end_offset().0, kept, "damage {at}, clean: {clean}");
                assert_eq!(read_offsets(&log.read_view(), 0), (0..kept).collect::<Vec<_>>());
                let batches_left = disk.len(&path(&last)).unwrap().unwrap() / size;
                assert_eq!(
                    disk.len(&path(&last)).unwrap().unwrap(),
                    batches_left * size,
                    "the file itself is cut"
                );
                assert_eq!(
                    append(&mut log, producer_batch(1, 0, kept as i32, 3)),
                    kept,
                    "and so is the producer state"
                );
                assert_eq!(read_offsets(&log.read_view(), 0), (0..kept + 3).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn d2_segments_behind_a_damaged_one_go() {
    let disk = closed_log();
    let names = files(&disk, ".log");
    let base: i64 = names[1][..20].parse().unwrap();
    disk.tamper(&path(&names[1]), |bytes| bytes[300] ^= 1);
    let log = reopen_crashed(&disk, small(), Offset(0));
    assert!((base..base + 9).contains(&log.log_end_offset().0));
    assert_eq!(files(&disk, ".log").len(), 2);
    assert_eq!(read_offsets(&log.read_view(), 0).len() as i64, log.log_end_offset().0);
}

#[test]
fn d3_a_flipped_bit_is_never_served_and_the_rest_stays_readable() {
    for byte in [21, 40, 61, 80, 124] {
        let disk = closed_log();
        let second = &files(&disk, ".log")[1];
        let base: i64 = second[..20].parse().unwrap();
        disk.tamper(&path(second), |bytes| {
            let third_batch = 2 * batch_size(bytes);
            bytes[third_batch + byte] ^= 4;
        });
        for log in [reopen_clean(&disk, small()), reopen_crashed(&disk, small(), Offset(120))] {
            assert_eq!(log.log_end_offset().0, 120);
            let view = log.read_view();
            let before = view.read(everything(Offset(base))).unwrap();
            assert_eq!(before.next_offset.0, base + 6, "up to the damaged batch");
            for offset in base + 6..base + 9 {
                assert_eq!(
                    view.read(everything(Offset(offset))).unwrap_err().error_code(),
                    ErrorCode::CorruptMessage
                );
            }
            assert_eq!(read_offsets(&view, base + 9), (base + 9..120).collect::<Vec<_>>());
        }
    }
}

/// No checksum covers the base offset. Moved up, a batch leaves a gap and is kept; moved down it overlaps the one before it, and goes.
/// (Without an index entry for it, a batch that was moved up looks like one that follows a gap, and followers may write such.)
#[test]
fn d3_a_moved_base_offset_at_the_end_is_noticed_at_once_and_not_after_more_was_appended() {
    for (index_interval_bytes, moved_by, end) in [(1, 16, 136), (1, -2, 117), (100_000, -2, 117)] {
        let config = LogConfig {
            segment_bytes: 100_000,
            index_interval_bytes,
            ..LogConfig::default()
        };
        let disk = FaultyDisk::new();
        let mut log = new_log(&disk, config.clone());
        for number in 0..40 {
            append(&mut log, producer_batch(1, 0, 3 * number, 3));
        }
        log.close_clean().unwrap();
        let name = &files(&disk, ".log")[0];
        disk.tamper(&path(name), |bytes| {
            let last = bytes.len() - batch_size(bytes);
            dohle_protocol::batch::patch_base_offset(&mut bytes[last..], Offset(117 + moved_by));
        });
        let opened = |recovery_point: i64| {
            let state = OpenState {
                clean_shutdown: true,
                recovery_point: Offset(recovery_point),
                log_start: None,
            };
            open_with(&arc(&disk), config.clone(), state)
        };
        let mut log = opened(120);
        assert_eq!(log.log_end_offset().0, end, "moved by {moved_by}");
        assert!(log.recovery_point().0 <= 120);
        assert_eq!(append(&mut log, batch(1, 10, NOW_MS)), end);
        log.close_clean().unwrap();
        let log = opened(end + 1);
        assert_eq!((log.log_end_offset().0, log.recovery_point().0), (end + 1, end + 1));
        assert_eq!(read_offsets(&log.read_view(), 0).last(), Some(&end));
    }
}

fn batch_size(bytes: &[u8]) -> usize {
    BatchHeader::parse(bytes).unwrap().size_in_bytes()
}

#[test]
fn d4_positions_that_make_no_sense_are_ignored() {
    let disk = closed_log();
    for state in [
        OpenState {
            clean_shutdown: false,
            recovery_point: Offset(i64::MAX),
            log_start: None,
        },
        OpenState {
            clean_shutdown: false,
            recovery_point: Offset(121),
            log_start: Some(Offset(i64::MAX)),
        },
        OpenState {
            clean_shutdown: true,
            recovery_point: Offset(7),
            log_start: Some(Offset(121)),
        },
    ] {
        let log = open_with(&arc(&disk), small(), state);
        assert_eq!((log.log_start_offset().0, log.log_end_offset().0), (0, 120));
        assert!(log.recovery_point().0 <= 120);
    }
    let log = open_with(
        &arc(&disk),
        small(),
        OpenState {
            clean_shutdown: true,
            recovery_point: Offset(0),
            log_start: Some(Offset(50)),
        },
    );
    assert_eq!(log.log_start_offset().0, 50);
}

#[test]
fn d4_a_damaged_epoch_checkpoint_is_read_off_the_log() {
    let damages: [&[u8]; 4] = [b"", b"garbage", b"0\n3\n0 0\n", b"\0\0\0\0\0"];
    for damage in damages {
        for clean in [true, false] {
            let disk = closed_log();
            disk.tamper(&path("leader-epoch-checkpoint"), |bytes| *bytes = damage.to_vec());
            assert_complete(&mut reopen(&disk, clean));
        }
    }
    let disk = closed_log();
    disk.remove_file(&path("leader-epoch-checkpoint")).unwrap();
    assert_complete(&mut reopen_clean(&disk, small()));
}

#[test]
fn kip_101_after_a_crash_epochs_are_those_of_the_log_not_those_before_it_was_cut() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, LogConfig::default());
    let write = |log: &mut PartitionLog, epoch, count| {
        (0..count).for_each(|_| drop(log.append_as_leader(batch(1, 10, NOW_MS), context(epoch)).unwrap()));
    };
    write(&mut log, 3, 90);
    write(&mut log, 5, 10);
    log.sync().unwrap();
    // Another leader had a tail of epoch 4 that the leader of epoch 5 did not have.
    log.truncate_to(Offset(90)).unwrap();
    write(&mut log, 4, 5);
    write(&mut log, 6, 5);
    drop(log);
    let log = reopen_crashed(&disk, LogConfig::default(), Offset(0));
    let epochs: Vec<_> = log
        .epochs()
        .entries()
        .iter()
        .map(|entry| (entry.epoch.0, entry.start_offset.0))
        .collect();
    assert_eq!(epochs, [(3, 0), (4, 90), (6, 95)]);
    let end = log.end_offset_for_epoch(LeaderEpoch(5));
    assert_eq!((end.epoch, end.end_offset), (LeaderEpoch(4), Offset(95)));
}

#[test]
fn d5_a_damaged_producer_snapshot_is_rebuilt_from_the_log() {
    for all in [true, false] {
        for clean in [true, false] {
            let disk = closed_log();
            let names = files(&disk, ".snapshot");
            let damaged = if all { &names[..] } else { &names[names.len() - 1..] };
            damaged.iter().for_each(|name| disk.tamper(&path(name), |bytes| bytes[12] ^= 1));
            assert_complete(&mut reopen(&disk, clean));
        }
    }
}

#[test]
fn d5_a_damaged_transaction_index_is_rebuilt_from_the_log() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 3] = [
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.fill(0x55),
        |bytes| bytes.extend([0; 34]),
    ];
    for damage in damages {
        for clean in [true, false] {
            let disk = FaultyDisk::new();
            let mut log = new_log(&disk, small());
            for n in 0..30 {
                append(&mut log, transactional_batch(1, 3 * n, 3));
                append_marker(&mut log, 1, n % 3 == 0);
            }
            let aborted = log.read_view().aborted_transactions(Offset(0), Offset(120));
            assert_eq!(aborted.len(), 20);
            log.close_clean().unwrap();
            let name = &files(&disk, ".txnindex")[1];
            disk.tamper(&path(name), damage);
            let log = reopen(&disk, clean);
            assert_eq!(log.read_view().aborted_transactions(Offset(0), Offset(120)), aborted);
            let log = reopen_clean(&disk, small());
            assert_eq!(
                log.read_view().aborted_transactions(Offset(0), Offset(120)),
                aborted,
                "the files are whole again"
            );
        }
    }
}

#[test]
fn d8_strange_things_in_the_directory_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log_dir = dir.path().join("topic-0");
    let disk: std::sync::Arc<dyn Disk> = std::sync::Arc::new(RealDisk::new());
    let open = |state| {
        PartitionLog::open(
            disk.clone(),
            log_dir.clone(),
            identity(),
            std::sync::Arc::new(small()),
            state,
            NOW_MS,
        )
        .unwrap()
    };
    let mut log = open(OpenState::default());
    append(&mut log, batch(3, 10, NOW_MS));
    log.close_clean().unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        log_dir.join("00000000000000000100.log"),
        fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    std::os::unix::fs::symlink("/dev/zero", log_dir.join("00000000000000000200.log")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", log_dir.join("00000000000000000003.snapshot")).unwrap();
    for name in [
        "foo",
        "17.log",
        "00000000000000000050.index",
        "00000000000000000000.log.deleted",
        "00000000000000000000.timeindex.cleaned",
    ] {
        std::fs::write(log_dir.join(name), "x").unwrap();
    }
    std::fs::create_dir(log_dir.join("00000000000000000300.log")).unwrap();
    for clean_shutdown in [true, false] {
        let log = open(OpenState {
            clean_shutdown,
            ..OpenState::default()
        });
        assert_eq!((log.segment_count(), log.log_end_offset().0), (1, 3));
    }
    let left: Vec<String> = disk.list(&log_dir).unwrap().into_iter().map(|entry| entry.name).collect();
    assert!(
        left.contains(&"foo".to_owned())
            && !left
                .iter()
                .any(|name| name.ends_with(".deleted") || name.starts_with("00000000000000000050"))
    );
}

#[test]
fn what_was_not_synced_is_checked_from_the_recovery_point_on_only() {
    let disk = closed_log();
    let names = files(&disk, ".log");
    let sealed_bases: Vec<i64> = names.iter().map(|name| name[..20].parse().unwrap()).collect();
    // Damage below the recovery point is not looked for at the start (reads find it).
    disk.tamper(&path(&names[0]), |bytes| bytes[100] ^= 1);
    let log = reopen_crashed(&disk, small(), Offset(sealed_bases[1]));
    assert_eq!(log.log_end_offset().0, 120);
    assert_eq!(log.recovery_point().0, sealed_bases[1], "nobody has synced the rest");
}

#[test]
fn a_truncation_during_a_sync_is_not_mistaken_for_durable() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    for _ in 0..3 {
        append(&mut log, batch(3, 10, NOW_MS));
    }
    let target: SyncTarget = log.take_sync_target().unwrap();
    log.truncate_to(Offset(3)).unwrap();
    append(&mut log, batch(6, 10, NOW_MS));
    target.sync(&disk).unwrap();
    assert_eq!(log.on_synced(&target).0, 0);
    assert_eq!(log.sync().unwrap().0, 9);
    assert!(log.take_sync_target().is_none());
}

#[test]
fn everything_synced_survives_a_power_cut() {
    for seed in 0..200 {
        let disk = FaultyDisk::new();
        disk.create_dir(Path::new("data")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let mut log = new_log(&disk, small());
        append(&mut log, transactional_batch(2, 0, 3));
        append_marker(&mut log, 2, false);
        for n in 0..20 {
            log.append_as_leader(producer_batch(1, 0, 3 * n, 3), context(n / 8)).unwrap();
        }
        let synced = log.sync().unwrap();
        assert_eq!(synced.0, 64);
        let bytes = read_bytes(&log);
        for n in 20..30 {
            log.append_as_leader(producer_batch(1, 0, 3 * n, 3), context(n / 8)).unwrap();
        }
        let disk = disk.crash(seed);
        assert_eq!(disk.read(&path("partition.metadata")).unwrap(), PARTITION_METADATA, "seed {seed}");
        for recovery_point in [synced, Offset(0)] {
            let mut log = reopen_crashed(&disk, small(), recovery_point);
            assert!(log.log_end_offset() >= synced, "seed {seed}: {} < {synced}", log.log_end_offset());
            assert_eq!(read_bytes(&log)[..bytes.len()], bytes, "seed {seed}");
            assert_eq!(log.read_view().aborted_transactions(Offset(0), Offset(64)).len(), 1, "seed {seed}");
            assert_eq!(log.end_offset_for_epoch(LeaderEpoch(0)).end_offset.0, 28, "seed {seed}");
            let next = log.producers().get(ProducerId(1)).unwrap().last_sequence() + 1;
            assert!(
                try_append(&mut log, producer_batch(1, 0, next - 3, 3)).unwrap().duplicate,
                "seed {seed}"
            );
            log.truncate_to(synced).unwrap();
        }
    }
}

#[test]
fn a_partition_metadata_file_that_a_power_cut_left_without_content_is_written_again() {
    for content in [&b""[..], b"vers", &[0; 43]] {
        let disk = closed_log();
        disk.tamper(&path("partition.metadata"), |bytes| *bytes = content.to_vec());
        assert_complete(&mut reopen_crashed(&disk, small(), Offset(0)));
        assert_eq!(disk.read(&path("partition.metadata")).unwrap(), PARTITION_METADATA);
    }
}

#[test]
fn a_large_default_index_interval_needs_no_index_for_small_logs() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, LogConfig::default());
    for _ in 0..10 {
        append(&mut log, batch(3, 100, NOW_MS));
    }
    log.close_clean().unwrap();
    assert_eq!(disk.len(&path("00000000000000000000.index")).unwrap(), Some(0));
    assert_eq!(disk.len(&path("00000000000000000000.timeindex")).unwrap(), Some(12));
    let mut log = reopen_clean(&disk, LogConfig::default());
    for n in 0..200 {
        append(&mut log, batch(3, 1000, NOW_MS + 10 * n));
    }
    assert_eq!(read_offsets(&log.read_view(), 0), (0..630).collect::<Vec<_>>());
    assert_eq!(
        log.read_view()
            .offset_for_timestamp(NOW_MS + 1000, Offset(630))
            .unwrap()
            .unwrap()
            .offset
            .0,
        330
    );
}
