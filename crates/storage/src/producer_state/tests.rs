//! Duplicates, gaps, epochs, transactions and expiry, on a log of headers.

use super::*;
use dohle_protocol::batch::RecordBatch;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::LeaderEpoch;
use proptest::prelude::*;

use crate::producer_snapshot;

const PRODUCER: ProducerId = ProducerId(7);

/// A log that holds nothing but headers.
#[derive(Default)]
struct Log {
    state: ProducerState,
    end: i64,
    now_ms: i64,
}

impl Log {
    fn batch(&self, epoch: i16, sequence: i32, records: usize, transactional: bool) -> BatchHeader {
        let mut builder = RecordBatchBuilder::new()
            .producer(PRODUCER, ProducerEpoch(epoch), sequence)
            .base_offset(Offset(self.end));
        for _ in 0..records {
            builder.append(1_000 + self.end, None, None, &[]);
        }
        let builder = if transactional { builder.transactional() } else { builder };
        RecordBatch::parse(&builder.build()).unwrap().header
    }

    fn write(&mut self, header: BatchHeader, marker: Option<EndTxnMarker>) -> Option<CompletedTxn> {
        self.end = header.next_offset().0;
        self.state.apply(&header, marker.as_ref(), self.now_ms)
    }

    /// As a client's batch: the base offset, old or new, or the error code.
    fn produce(&mut self, epoch: i16, sequence: i32, records: usize) -> Result<i64, i16> {
        self.produce_batch(self.batch(epoch, sequence, records, false))
    }

    fn produce_in_transaction(&mut self, epoch: i16, sequence: i32) -> Result<i64, i16> {
        self.produce_batch(self.batch(epoch, sequence, 1, true))
    }

    fn produce_batch(&mut self, header: BatchHeader) -> Result<i64, i16> {
        match self
            .state
            .check(&header, None, AppendOrigin::Client)
            .map_err(|error| error.error_code().code())?
        {
            Admission::Duplicate(known) => Ok(known.first_offset().0),
            Admission::Append => {
                self.write(header, None);
                Ok(header.base_offset.0)
            }
        }
    }

    fn mark(&mut self, producer_id: ProducerId, epoch: i16, coordinator_epoch: i32, committed: bool) -> Result<Option<CompletedTxn>, i16> {
        let marker = EndTxnMarker {
            committed,
            coordinator_epoch,
        };
        let bytes = marker.to_batch(5_000, producer_id, ProducerEpoch(epoch), LeaderEpoch(0));
        let header = BatchHeader {
            base_offset: Offset(self.end),
            ..BatchHeader::parse(&bytes).unwrap()
        };
        let checked = self.state.check(&header, Some(&marker), AppendOrigin::Coordinator);
        checked.map_err(|error| error.error_code().code())?;
        Ok(self.write(header, Some(marker)))
    }
}

#[test]
fn batches_without_a_producer_id_leave_no_trace() {
    let mut log = Log::default();
    let header = BatchHeader {
        producer_id: ProducerId::NONE,
        ..log.batch(0, 0, 1, false)
    };
    assert_eq!(log.produce_batch(header), Ok(0));
    assert!(log.state.is_empty());
}

#[test]
fn w21_trap_19_the_last_five_batches_are_answered_with_their_first_offset() {
    let mut log = Log::default();
    for batch in 0..7 {
        assert_eq!(log.produce(0, batch * 3, 3), Ok(i64::from(batch) * 3));
    }
    for batch in 2..7 {
        assert_eq!(log.produce(0, batch * 3, 3), Ok(i64::from(batch) * 3));
    }
    let Ok(Admission::Duplicate(known)) = log.state.check(&log.batch(0, 18, 3, false), None, AppendOrigin::Client) else {
        panic!("a duplicate");
    };
    assert_eq!(
        (known.first_offset(), known.last_offset, known.timestamp),
        (Offset(18), Offset(20), 1_018)
    );
    assert_eq!(
        [log.produce(0, 0, 3), log.produce(0, 3, 3)],
        [Err(46); 2],
        "older ones are known to be duplicates, but not where they are"
    );
    assert_eq!(log.produce(0, 7, 3), Err(45), "no batch that was sent, though its records were");
    assert_eq!(log.produce(0, 18, 2), Err(45));
    assert_eq!(log.end, 21, "nothing was written twice");
}

#[test]
fn w21_a_gap_is_out_of_order() {
    let mut log = Log::default();
    assert_eq!(log.produce(0, 0, 2), Ok(0));
    assert_eq!([log.produce(0, 3, 1), log.produce(0, 1 << 29, 1)], [Err(45); 2]);
    assert_eq!(log.produce(0, 2, 1), Ok(2));
}

#[test]
fn w21_trap_21_epochs_only_rise_and_begin_at_sequence_0() {
    let mut log = Log::default();
    assert_eq!(
        log.produce(3, 40, 2),
        Ok(0),
        "of an unknown producer any sequence is taken (KIP-360)"
    );
    assert_eq!(log.produce(2, 42, 1), Err(47));
    assert_eq!(log.produce(4, 42, 1), Err(45));
    assert_eq!(log.produce(4, 0, 1), Ok(2));
    assert_eq!(log.produce(3, 42, 1), Err(47), "not even as a duplicate");
    assert_eq!(log.produce(4, 1, 1), Ok(3));
}

#[test]
fn trap_20_sequences_wrap_between_and_inside_batches() {
    let mut log = Log::default();
    assert_eq!(log.produce(0, i32::MAX - 1, 2), Ok(0));
    assert_eq!(log.produce(0, 0, 1), Ok(2));
    assert_eq!(log.produce(0, i32::MAX - 1, 2), Ok(0), "a duplicate");
    let mut log = Log::default();
    assert_eq!(log.produce(0, i32::MAX - 1, 4), Ok(0));
    assert_eq!(log.produce(0, i32::MAX - 1, 4), Ok(0), "a duplicate");
    assert_eq!(log.produce(0, 1, 1), Err(45));
    assert_eq!(log.produce(0, 2, 1), Ok(4));
    for sequence in 3..8 {
        log.produce(0, sequence, 1).unwrap();
    }
    assert_eq!(log.produce(0, i32::MAX - 1, 4), Err(46));
}

#[test]
fn trap_22_an_open_transaction_takes_only_its_own_batches() {
    let mut log = Log::default();
    assert_eq!(log.produce_in_transaction(0, 0), Ok(0));
    assert_eq!(log.produce(0, 1, 1), Err(48));
    assert_eq!(log.produce_in_transaction(0, 1), Ok(1));
    log.mark(PRODUCER, 0, 0, true).unwrap();
    assert_eq!(log.produce(0, 2, 1), Ok(3), "the marker took an offset, but no sequence number");
}

#[test]
fn trap_36_the_first_unstable_offset_waits_for_the_markers_to_be_replicated() {
    let mut log = Log::default();
    log.produce(0, 0, 3).unwrap();
    assert_eq!(log.state.first_unstable_offset(), None);
    log.produce_in_transaction(0, 3).unwrap();
    let other = BatchHeader {
        producer_id: ProducerId(8),
        ..log.batch(0, 0, 1, true)
    };
    log.produce_batch(other).unwrap();
    assert_eq!(log.state.first_unstable_offset(), Some(Offset(3)));
    let first = log.mark(PRODUCER, 0, 0, false).unwrap().unwrap();
    assert_eq!(
        (first.producer_id, first.first_offset, first.last_offset, first.aborted),
        (PRODUCER, Offset(3), Offset(5), true)
    );
    assert_eq!(log.state.last_stable_offset_after(&first), Offset(4), "the other one is still open");
    log.state.on_high_watermark(Offset(5));
    assert_eq!(
        log.state.first_unstable_offset(),
        Some(Offset(3)),
        "its marker is not below the high watermark"
    );
    log.state.on_high_watermark(Offset(6));
    assert_eq!(log.state.first_unstable_offset(), Some(Offset(4)));
    let second = log.mark(ProducerId(8), 0, 0, true).unwrap().unwrap();
    assert_eq!((second.aborted, log.state.last_stable_offset_after(&second)), (false, Offset(7)));
    log.state.on_high_watermark(Offset(7));
    assert_eq!(log.state.first_unstable_offset(), None);
}

#[test]
fn markers_fence_epochs_and_zombie_coordinators() {
    let mut log = Log::default();
    log.produce_in_transaction(1, 0).unwrap();
    assert_eq!(log.mark(PRODUCER, 0, 5, true), Err(47));
    assert!(log.mark(PRODUCER, 2, 5, false).unwrap().is_some());
    assert_eq!(log.mark(PRODUCER, 2, 4, false), Err(52));
    assert_eq!(
        log.mark(PRODUCER, 2, 5, false),
        Ok(None),
        "no transaction is open, so none is completed"
    );
    assert_eq!(log.produce(1, 1, 1), Err(47), "the marker raised the epoch");
    assert_eq!([log.produce(2, 1, 1), log.produce(2, 0, 1)], [Err(45), Ok(3)]);
    assert_eq!(log.state.get(PRODUCER).unwrap().coordinator_epoch, 5);
    assert_eq!(log.mark(ProducerId(99), 0, 0, true), Ok(None), "of an unknown producer");
}

#[test]
fn what_compaction_leaves_is_applied() {
    let mut log = Log::default();
    let header = BatchHeader {
        record_count: 0,
        ..log.batch(0, 10, 3, false)
    };
    log.write(header, None);
    assert_eq!(log.state.get(PRODUCER).unwrap().last_sequence(), 12);
    let emptied_marker = BatchHeader {
        attributes: 0x30,
        record_count: 0,
        ..log.batch(1, -1, 1, false)
    };
    assert_eq!(log.write(emptied_marker, None), None);
    assert_eq!(log.state.get(PRODUCER).unwrap().epoch, ProducerEpoch(0));
}

#[test]
fn silent_producers_are_forgotten_unless_a_transaction_is_open() {
    let mut log = Log {
        now_ms: 1_000,
        ..Log::default()
    };
    log.produce(0, 0, 1).unwrap();
    log.state.expire(1_999, 1_000);
    assert!(log.state.get(PRODUCER).is_some(), "its records are old, but it was heard of lately");
    log.state.expire(2_000, 1_000);
    assert!(log.state.is_empty());
    log.produce_in_transaction(0, 5).unwrap();
    log.state.expire(i64::MAX, 1_000);
    assert_eq!(log.state.len(), 1);
}

#[test]
fn made_up_producer_ids_do_not_fill_the_memory() {
    let mut log = Log::default();
    let open = BatchHeader {
        producer_id: ProducerId(0),
        ..log.batch(0, 0, 1, true)
    };
    log.produce_batch(open).unwrap();
    let plain = log.batch(0, 0, 1, false);
    for id in 1..=limits::PRODUCERS_MAX as i64 {
        log.now_ms = id;
        log.produce_batch(BatchHeader {
            producer_id: ProducerId(id),
            ..plain
        })
        .unwrap();
    }
    assert!(log.state.len() <= limits::PRODUCERS_MAX);
    let known = |id| log.state.get(ProducerId(id)).is_some();
    assert!(known(0), "transactions stay");
    assert!(known(limits::PRODUCERS_MAX as i64));
    let mut log = Log::default();
    for id in 0..limits::PRODUCERS_MAX as i64 {
        let (producer_id, base_offset) = (ProducerId(id), Offset(id));
        log.produce_batch(BatchHeader {
            producer_id,
            base_offset,
            ..open
        })
        .unwrap();
    }
    assert_eq!(log.produce_in_transaction(0, 0), Ok(7), "a duplicate of a known producer");
    assert_eq!(
        log.produce_batch(BatchHeader {
            producer_id: ProducerId(1 << 40),
            ..open
        }),
        Err(44)
    );
}

#[test]
fn a_snapshot_keeps_the_last_batch_and_the_open_transaction() {
    let mut log = Log::default();
    log.produce(2, 0, 2).unwrap();
    log.produce(2, 2, 2).unwrap();
    log.produce_in_transaction(2, 4).unwrap();
    log.mark(PRODUCER, 2, 9, true).unwrap();
    log.produce_in_transaction(2, 5).unwrap();
    let file = producer_snapshot::encode(&log.state.to_snapshot());
    log.state = ProducerState::from_snapshot(&producer_snapshot::decode(&file).unwrap(), 50);
    let entry = log.state.get(PRODUCER).unwrap();
    assert_eq!(
        (entry.epoch, entry.coordinator_epoch, entry.txn_first_offset),
        (ProducerEpoch(2), 9, Some(Offset(6)))
    );
    assert_eq!(log.state.first_unstable_offset(), Some(Offset(6)));
    assert_eq!(log.produce_in_transaction(2, 5), Ok(6), "a duplicate");
    assert_eq!(log.produce_in_transaction(2, 4), Err(46));
    assert_eq!(log.produce_in_transaction(2, 6), Ok(7));
}

/// What a network does to a producer with at most five batches in flight: it resends from a random point.
#[derive(Debug, Clone)]
enum Step {
    Next(usize),
    Resend(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![4 => (1usize..5).prop_map(Step::Next), 3 => (1usize..6).prop_map(Step::Resend), 1 => Just(Step::Restart)]
}

proptest! {
    #[test]
    fn d5_resending_never_writes_twice_nor_loses(start in prop_oneof![Just(0), Just(i32::MAX - 20)], steps in prop::collection::vec(step(), 1..60)) {
        let mut log = Log::default();
        let mut sent: Vec<(i32, usize, i64)> = Vec::new();
        let mut sequence = start;
        let mut remembered = 0;
        for step in steps {
            match step {
                Step::Next(records) => {
                    let end = log.end;
                    prop_assert_eq!(log.produce(0, sequence, records), Ok(end));
                    sent.push((sequence, records, end));
                    sequence = increment_sequence(sequence, records as i32);
                    remembered = (remembered + 1).min(BATCHES_RETAINED);
                }
                Step::Resend(back) => {
                    let Some(&(sequence, records, offset)) = sent.len().checked_sub(back).and_then(|index| sent.get(index)) else { continue };
                    let end = log.end;
                    let expected = if back <= remembered { Ok(offset) } else { Err(46) };
                    prop_assert_eq!(log.produce(0, sequence, records), expected);
                    prop_assert_eq!(log.end, end);
                }
                Step::Restart => {
                    log.state = ProducerState::from_snapshot(&log.state.to_snapshot(), 0);
                    remembered = remembered.min(1);
                }
            }
        }
    }
}
