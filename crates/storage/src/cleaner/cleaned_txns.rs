//! Which transactions the batches belong to that a round passes, and whether their markers are still needed.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::batch::{BatchHeader, RecordBatch};
use dohle_protocol::control_record::EndTxnMarker;
use dohle_protocol::id::ProducerId;
use dohle_protocol::record::RecordError;

use crate::txn_index::AbortedTxn;

/// Fed with every batch of a stretch of log, in order.
#[derive(Debug)]
pub(crate) struct CleanedTxns {
    /// The aborted transactions that touch the stretch, by first offset, last one first.
    aborted_ahead: Vec<AbortedTxn>,
    /// Those that have begun, and whether a batch of them has been met.
    aborted: BTreeMap<ProducerId, (AbortedTxn, bool)>,
    /// Producers with a batch of a transaction that will be committed.
    committed: BTreeSet<ProducerId>,
}

/// What is to become of a control batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    /// There is data before it that it decides, or it is no marker. An aborted transaction stays in the transaction index.
    Needed(Option<AbortedTxn>),
    /// None of its data is left.
    Unneeded,
}

impl CleanedTxns {
    pub(crate) fn new(mut aborted: Vec<AbortedTxn>) -> CleanedTxns {
        aborted.sort_unstable_by_key(|txn| std::cmp::Reverse(txn.first_offset));
        CleanedTxns {
            aborted_ahead: aborted,
            aborted: BTreeMap::new(),
            committed: BTreeSet::new(),
        }
    }

    /// Takes note of a data batch; tells whether it was aborted.
    pub(crate) fn on_data(&mut self, header: &BatchHeader) -> bool {
        if !header.is_transactional() {
            return false;
        }
        self.advance(header);
        if let Some((_, is_met)) = self.aborted.get_mut(&header.producer_id) {
            *is_met = true;
            return true;
        }
        self.committed.insert(header.producer_id);
        false
    }

    /// Takes note of a control batch.
    pub(crate) fn on_control(&mut self, batch: &RecordBatch) -> Result<Marker, RecordError> {
        self.advance(&batch.header);
        let producer_id = batch.header.producer_id;
        let is_needed = match EndTxnMarker::from_batch(batch)? {
            None => batch.header.record_count > 0,
            Some(EndTxnMarker { committed: true, .. }) => self.committed.remove(&producer_id),
            Some(EndTxnMarker { committed: false, .. }) => match self.aborted.remove(&producer_id) {
                Some((txn, true)) => return Ok(Marker::Needed(Some(txn))),
                _ => false,
            },
        };
        Ok(if is_needed { Marker::Needed(None) } else { Marker::Unneeded })
    }

    fn advance(&mut self, header: &BatchHeader) {
        while let Some(txn) = self.aborted_ahead.pop_if(|txn| txn.first_offset <= header.last_offset()) {
            self.aborted.entry(txn.producer_id).or_insert((txn, false));
        }
    }
}
