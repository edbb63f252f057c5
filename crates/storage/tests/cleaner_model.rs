//! Any sequence of appends, transactions, rolls, cleanings and restarts, compared with a list of all records that were ever written.

mod fixture;

use std::collections::BTreeMap;
use std::path::Path;

use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::compression::Compression;
use dohle_protocol::id::{ProducerEpoch, ProducerId};
use dohle_storage::{CleanerLimits, Disk, FaultyDisk, LogConfig, OpenState, PartitionLog, ReadView};
use fixture::compaction::*;
use fixture::*;
use parking_lot::Mutex;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    /// Keys, and whether each record is a tombstone.
    Append {
        records: Vec<(u8, bool)>,
        codec: usize,
    },
    Produce {
        producer: i64,
        records: Vec<(u8, bool)>,
    },
    InTransaction {
        producer: i64,
        key: u8,
    },
    EndTransaction {
        producer: i64,
        committed: bool,
    },
    Roll,
    Clean {
        keys_max: usize,
    },
    Wait(i64),
    DeleteRecordsBefore(i64),
    Restart,
    Kill,
    PowerCut(u64),
    KeepView,
}

fn step() -> impl Strategy<Value = Step> {
    let records = || prop::collection::vec((0u8..12, prop::bool::weighted(0.2)), 1..6);
    prop_oneof![
        6 => (records(), 0usize..5).prop_map(|(records, codec)| Step::Append { records, codec }),
        3 => (1i64..4, records()).prop_map(|(producer, records)| Step::Produce { producer, records }),
        3 => (11i64..14, 0u8..12).prop_map(|(producer, key)| Step::InTransaction { producer, key }),
        2 => (11i64..14, any::<bool>()).prop_map(|(producer, committed)| Step::EndTransaction { producer, committed }),
        2 => Just(Step::Roll),
        4 => prop_oneof![Just(1000usize), 6usize..12].prop_map(|keys_max| Step::Clean { keys_max }),
        2 => (0i64..3000).prop_map(Step::Wait),
        1 => (0i64..60).prop_map(Step::DeleteRecordsBefore),
        1 => Just(Step::Restart),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(Step::PowerCut),
        2 => Just(Step::KeepView),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Written {
    key: String,
    /// `None`: a tombstone.
    value: Option<String>,
    at_ms: i64,
    /// `None`: its transaction is open.
    committed: Option<bool>,
    producer: i64,
}

struct World {
    disk: FaultyDisk,
    log: Mutex<PartitionLog>,
    written: BTreeMap<i64, Written>,
    sequences: BTreeMap<i64, i32>,
    cleaned_at_ms: i64,
    now_ms: i64,
    views: Vec<(Vec<Entry>, i64, ReadView)>,
    /// Of the producers; a new one begins when records of the last have been deleted.
    generation: i64,
    values: u64,
}

const DELETE_RETENTION_MS: i64 = 2000;

fn config() -> LogConfig {
    LogConfig {
        delete: true,
        retention_ms: -1,
        file_delete_delay_ms: 0,
        delete_retention_ms: DELETE_RETENTION_MS,
        ..compacted()
    }
}

impl World {
    fn new() -> World {
        let disk = FaultyDisk::new();
        disk.create_dir(Path::new("data")).unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        let log = new_shared(&disk, config());
        World {
            disk,
            log,
            written: BTreeMap::new(),
            sequences: BTreeMap::new(),
            cleaned_at_ms: i64::MAX,
            now_ms: NOW_MS,
            views: Vec::new(),
            generation: 0,
            values: 0,
        }
    }

    fn append(&mut self, builder: RecordBatchBuilder, records: &[(u8, bool)], producer: i64, committed: Option<bool>) {
        let records: Vec<(String, Option<String>)> = records
            .iter()
            .map(|(key, is_tombstone)| {
                self.values += 1;
                (
                    format!("key {key}"),
                    (!is_tombstone).then(|| format!("value {} {}", self.values, "x".repeat(30))),
                )
            })
            .collect();
        let lines: Vec<(&str, Option<&str>)> = records.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let base = append(&mut self.log.lock(), fill_keyed(builder, &lines));
        for (at, (key, value)) in records.into_iter().enumerate() {
            let written = Written {
                key,
                value,
                at_ms: self.now_ms,
                committed,
                producer,
            };
            self.written.insert(base + at as i64, written);
        }
    }

    fn run(&mut self, step: &Step) {
        let id = |producer: &i64| producer + 100 * self.generation;
        match step {
            Step::Append { records, codec } => {
                let builder = RecordBatchBuilder::new().compression(Compression::ALL[*codec], None);
                self.append(builder, records, -1, Some(true));
            }
            Step::Produce { producer, records } => {
                let producer = id(producer);
                let sequence = self.sequences.get(&producer).copied().unwrap_or(0);
                let builder = RecordBatchBuilder::new().producer(ProducerId(producer), ProducerEpoch(0), sequence);
                self.append(builder, records, producer, Some(true));
                self.sequences.insert(producer, sequence + records.len() as i32);
            }
            Step::InTransaction { producer, key } => {
                let producer = id(producer);
                let sequence = self.sequences.get(&producer).copied().unwrap_or(0);
                let builder = RecordBatchBuilder::new()
                    .producer(ProducerId(producer), ProducerEpoch(0), sequence)
                    .transactional();
                self.append(builder, &[(*key, false)], producer, None);
                self.sequences.insert(producer, sequence + 1);
            }
            Step::EndTransaction { producer, committed } => {
                let producer = id(producer);
                append_marker(&mut self.log.lock(), producer, *committed);
                let open = self
                    .written
                    .values_mut()
                    .filter(|written| written.producer == producer && written.committed.is_none());
                open.for_each(|written| written.committed = Some(*committed));
            }
            Step::Roll => close_segment(&self.log),
            Step::Clean { keys_max } => self.clean(*keys_max),
            Step::Wait(ms) => self.now_ms += ms,
            Step::DeleteRecordsBefore(_) if self.written.values().any(|written| written.committed.is_none()) => {}
            Step::DeleteRecordsBefore(share) => {
                self.generation += 1;
                self.sequences.clear();
                let mut log = self.log.lock();
                let end = log.log_end_offset();
                let start = log.log_start_offset();
                let start = log.delete_records_before(start + (end - start) * share / 100);
                log.apply_retention(self.now_ms, end).unwrap();
                self.written = self.written.split_off(&start.0);
            }
            Step::Restart => {
                self.log.lock().close_clean().unwrap();
                self.disk.sync_file_system(Path::new("data")).unwrap();
                self.reopen(true);
            }
            Step::Kill => self.reopen(false),
            Step::PowerCut(seed) => {
                sync(&self.log);
                self.views.clear();
                self.disk = self.disk.crash(*seed);
                self.reopen(false);
            }
            Step::KeepView => {
                let view = self.log.lock().read_view();
                let from = view.log_start_offset().0;
                self.views.push((entries_from(&view, from), from, view));
            }
        }
    }

    fn clean(&mut self, keys_max: usize) {
        sync(&self.log);
        let limits = CleanerLimits {
            key_bytes_max: 24 * (keys_max + 1),
            load_factor: 1.0,
        };
        if let Some(done) = try_clean(&self.log, self.now_ms, limits) {
            done.unwrap();
            self.cleaned_at_ms = self.cleaned_at_ms.min(self.now_ms);
        }
        self.log.lock().take_removable_files(self.now_ms).remove();
    }

    fn reopen(&mut self, clean_shutdown: bool) {
        let (cleaned_to, state) = {
            let log = self.log.lock();
            let state = OpenState {
                clean_shutdown,
                recovery_point: log.recovery_point(),
                log_start: Some(log.log_start_offset()),
            };
            (log.cleaned_to(), state)
        };
        // Their files are gone with the process that would have kept them.
        self.views.clear();
        self.log = reopen(&self.disk, config(), state);
        self.log.lock().set_cleaned_to(cleaned_to);
        assert!(leftovers(&self.disk).is_empty());
    }

    /// What is read is what was written; nothing that counts is missing; views see what they saw.
    fn compare(&self) {
        let found = entries(&self.log);
        assert!(found.is_sorted_by(|one, other| one.0 < other.0), "offsets rise");
        let offsets: std::collections::BTreeSet<i64> = found.iter().map(|(offset, ..)| *offset).collect();
        for (offset, key, value) in &found {
            let written = &self.written[offset];
            assert_eq!(
                (&written.key, &written.value),
                (key, value),
                "record {offset} is what was written there"
            );
        }
        let start = self.log.lock().log_start_offset().0;
        let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
        for (offset, written) in self.written.range(start..) {
            match written.committed {
                Some(true) => drop(latest.insert(&written.key, *offset)),
                Some(false) => {}
                None => assert!(offsets.contains(offset), "record {offset} of an open transaction is missing"),
            }
        }
        for (key, offset) in latest {
            let written = &self.written[&offset];
            let may_be_gone = written.value.is_none() && self.now_ms >= self.cleaned_at_ms.saturating_add(DELETE_RETENTION_MS);
            assert!(
                offsets.contains(&offset) || may_be_gone,
                "the last record of {key}, {offset}, is missing"
            );
        }
        let view = self.log.lock().read_view();
        for from in [start, (start + view.log_end_offset().0) / 2, view.log_end_offset().0] {
            let expected: Vec<_> = found.iter().filter(|(offset, ..)| *offset >= from).cloned().collect();
            assert_eq!(entries_from(&view, from), expected, "read from {from}");
        }
        for (seen, from, view) in &self.views {
            assert_eq!(&entries_from(view, *from), seen);
        }
    }

    /// Of every transaction, committed readers are still told the truth.
    fn compare_committed(&self) {
        let log = self.log.lock();
        let view = log.read_view();
        let aborted = view.aborted_transactions(view.log_start_offset(), view.log_end_offset());
        drop(log);
        for (offset, key, _) in entries(&self.log) {
            let written = &self.written[&offset];
            let is_aborted = aborted
                .iter()
                .any(|txn| txn.producer_id.0 == written.producer && (txn.first_offset.0..=txn.last_offset.0).contains(&offset));
            assert_eq!(is_aborted, written.committed == Some(false), "{offset} {key}");
        }
        let first_open = self
            .written
            .iter()
            .find(|(_, written)| written.committed.is_none())
            .map(|(offset, _)| *offset);
        let mut log = self.log.lock();
        let end = log.log_end_offset();
        assert_eq!(log.last_stable_offset(end).0, first_open.unwrap_or(end.0));
    }

    /// No producer is forgotten: its last batch is recognised, the next one accepted.
    fn check_producers(&mut self) {
        for (producer, sequence) in self.sequences.clone() {
            let log = self.log.lock();
            let entry = log.producers().get(ProducerId(producer));
            assert_eq!(entry.map(|entry| entry.last_sequence()), Some(sequence - 1), "producer {producer}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_that_counts(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.run(step);
            world.compare();
            world.compare_committed();
            world.check_producers();
        }
    }
}
