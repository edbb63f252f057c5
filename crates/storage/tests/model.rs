//! Any sequence of appends, rolls, truncations, deletions, clean restarts and power cuts, compared with a list of batches.

mod fixture;

use std::path::Path;

use bytes::Bytes;
use dohle_protocol::batch::BatchHeader;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_storage::{Disk, FaultyDisk, LogConfig, PartitionLog};
use fixture::*;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Append {
        records: usize,
        size: usize,
    },
    AppendFollower {
        gap: i64,
        records: usize,
    },
    Roll,
    Sync,
    /// To this share of the log, in percent.
    TruncateTo(i64),
    DeleteRecordsBefore(i64),
    RestartAt(i64),
    Retention,
    CloseAndReopen,
    /// The process is killed: everything written is there.
    Kill,
    /// The machine is: what was not synced may be gone.
    PowerCut(u64),
    Read {
        from: i64,
        max_bytes: usize,
    },
    /// The disk has this much room for the next appends.
    FillUp(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1usize..6, 0usize..200).prop_map(|(records, size)| Step::Append { records, size }),
        2 => (0i64..100, 1usize..6).prop_map(|(gap, records)| Step::AppendFollower { gap, records }),
        1 => Just(Step::Roll),
        3 => Just(Step::Sync),
        1 => (0i64..120).prop_map(Step::TruncateTo),
        1 => (0i64..100).prop_map(Step::DeleteRecordsBefore),
        1 => (0i64..10_000).prop_map(Step::RestartAt).prop_filter("rare", |step| matches!(step, Step::RestartAt(at) if at % 5 == 0)),
        1 => Just(Step::Retention),
        1 => Just(Step::CloseAndReopen),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::PowerCut),
        4 => (0i64..110, 0usize..3000).prop_map(|(from, max_bytes)| Step::Read { from, max_bytes }),
        1 => (0u64..600).prop_map(Step::FillUp),
    ]
}

/// The log as it should be.
#[derive(Debug, Default)]
struct Model {
    batches: Vec<Bytes>,
    start: i64,
    end: i64,
    synced: i64,
}

impl Model {
    fn header(batch: &Bytes) -> BatchHeader {
        BatchHeader::parse(batch).unwrap()
    }

    fn keep_below(&mut self, end: i64) {
        self.batches.retain(|batch| Model::header(batch).last_offset().0 < end);
        self.end = self.batches.last().map_or(self.start, |batch| Model::header(batch).next_offset().0);
        self.synced = self.synced.min(self.end);
    }

    /// What a reader gets from `from` on.
    fn readable(&self, from: i64) -> Vec<u8> {
        let wanted = self.batches.iter().filter(|batch| Model::header(batch).last_offset().0 >= from);
        wanted.flat_map(|batch| batch.to_vec()).collect()
    }
}

struct World {
    disk: FaultyDisk,
    log: PartitionLog,
    model: Model,
    clock_ms: i64,
    truncated: bool,
}

impl World {
    fn new() -> World {
        let disk = FaultyDisk::new();
        disk.create_dir(Path::new("data")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let log = new_log(&disk, config());
        World {
            disk,
            log,
            model: Model::default(),
            clock_ms: NOW_MS,
            truncated: false,
        }
    }

    fn run(&mut self, step: &Step) {
        let percent = |share: i64| self.model.start + (self.model.end - self.model.start) * share / 100;
        match *step {
            Step::Append { records, size } => self.append(records, size),
            Step::AppendFollower { gap, records } => {
                let mut bytes = batch(records, 10, self.clock_ms).to_vec();
                dohle_protocol::batch::patch_base_offset(&mut bytes, Offset(self.model.end + gap));
                if let Ok(info) = self.log.append_as_follower(bytes.into(), LeaderEpoch(0), self.clock_ms) {
                    self.appended(info.bytes);
                }
            }
            Step::Roll => drop(self.log.roll(self.clock_ms)),
            Step::Sync => {
                self.disk.set_free_bytes(None);
                self.model.synced = self.log.sync().unwrap().0;
                assert_eq!(self.model.synced, self.model.end);
            }
            Step::TruncateTo(share) => {
                self.truncated = true;
                self.truncate(percent(share));
            }
            Step::DeleteRecordsBefore(share) => {
                let offset = percent(share);
                self.model.start = offset;
                assert_eq!(self.log.delete_records_before(Offset(offset)).0, offset);
            }
            Step::RestartAt(offset) => {
                self.truncated = true;
                self.log.truncate_fully_and_start_at(Offset(offset)).unwrap();
                self.model = Model {
                    batches: Vec::new(),
                    start: offset,
                    end: offset,
                    synced: offset,
                };
            }
            Step::Retention => {
                self.clock_ms += 30_000;
                self.log.apply_retention(self.clock_ms, Offset(self.model.end)).unwrap();
                self.log.take_removable_files(self.clock_ms).remove();
                assert_eq!(self.log.log_start_offset().0, self.model.start, "only what is below the start goes");
            }
            Step::CloseAndReopen => {
                self.disk.set_free_bytes(None);
                self.log.close_clean().unwrap();
                self.disk.sync_file_system(Path::new("data")).unwrap();
                self.reopen(true);
                assert_eq!(self.log.recovery_point().0, self.model.end);
                self.model.synced = self.model.end;
            }
            Step::Kill => {
                self.disk.set_free_bytes(None);
                self.reopen(false);
                self.truncated = true;
            }
            Step::PowerCut(seed) => {
                // What a truncation removed may come back if it is not synced; the model does not know that.
                if std::mem::take(&mut self.truncated) {
                    self.run(&Step::Sync);
                }
                self.disk = self.disk.crash(seed);
                self.reopen(false);
                // As a broker does: what recovery has cut must not come back.
                self.run(&Step::Sync);
            }
            Step::Read { from, max_bytes } => self.read(percent(from), max_bytes),
            Step::FillUp(free) => self.disk.set_free_bytes(Some(free)),
        }
        self.compare();
    }

    fn append(&mut self, records: usize, size: usize) {
        self.clock_ms += 1;
        match try_append(&mut self.log, batch(records, size, self.clock_ms)) {
            Ok(info) => {
                assert_eq!(info.base_offset.0, self.model.end);
                self.appended(info.bytes);
            }
            Err(error) => {
                assert!(!error.is_disk_failure(), "{error}");
                self.disk.set_free_bytes(None);
            }
        }
    }

    fn appended(&mut self, bytes: Bytes) {
        self.model.end = Model::header(&bytes).next_offset().0;
        self.model.batches.push(bytes);
    }

    fn truncate(&mut self, offset: i64) {
        let end = self.log.truncate_to(Offset(offset)).unwrap().0;
        if offset < self.model.end {
            self.model.keep_below(offset);
            match self.model.batches.last() {
                Some(last) => assert_eq!(end, Model::header(last).next_offset().0),
                None => assert!(end <= offset, "{end} > {offset}"),
            }
            self.model.end = end;
            self.model.start = self.model.start.min(end);
        }
        self.model.synced = self.model.synced.min(end);
    }

    /// Opens the log anew, with the start and the recovery point that a checkpoint would hold.
    fn reopen(&mut self, clean_shutdown: bool) {
        let state = dohle_storage::OpenState {
            clean_shutdown,
            recovery_point: Offset(self.model.synced),
            log_start: Some(Offset(self.model.start)),
        };
        self.log = open_with(&arc(&self.disk), config(), state);
        let end = self.log.log_end_offset().0;
        // Of an empty log, the end is only known by the name of its segment.
        let nothing_readable = self.model.readable(self.model.start).is_empty();
        assert!(
            end >= self.model.synced || nothing_readable,
            "synced to {}, ends at {end}",
            self.model.synced
        );
        assert!(end <= self.model.end, "ends at {end} instead of {}", self.model.end);
        self.model.keep_below(end);
        self.model.end = end;
        self.model.start = self.log.log_start_offset().0;
        self.model.synced = self.model.synced.min(end);
        if self.log.size_in_bytes() == 0 {
            // The checkpointed start may be all that is left.
            self.model.batches.clear();
        }
    }

    fn read(&self, from: i64, max_bytes: usize) {
        let request = dohle_storage::ReadRequest {
            max_bytes,
            ..everything(Offset(from))
        };
        let Ok(result) = self.log.read_view().read(request) else {
            assert!(from < self.model.start || from > self.model.end);
            return;
        };
        let expected = self.model.readable(from);
        assert_eq!(result.records, expected[..result.records.len()]);
        assert_eq!(result.records.is_empty(), expected.is_empty());
        if let Some(first) = (!expected.is_empty()).then(|| BatchHeader::parse(&expected).unwrap().size_in_bytes()) {
            assert!(result.records.len() <= max_bytes.max(first));
        }
    }

    fn compare(&self) {
        assert_eq!(
            (self.log.log_start_offset().0, self.log.log_end_offset().0),
            (self.model.start, self.model.end)
        );
        assert_eq!(read_bytes(&self.log), self.model.readable(self.model.start));
    }
}

fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 300,
        retention_ms: -1,
        file_delete_delay_ms: 60_000,
        ..LogConfig::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_list_of_batches(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
        }
    }
}
