//! How an application is told that its partitions change.

use std::collections::BTreeMap;

use super::StartAt;
use super::offsets::Offsets;
use crate::cluster_metadata::TopicPartition;

/// Called from within `poll`, `close` and `unsubscribe`, never at any other time.
pub trait RebalanceListener: Send {
    /// These partitions are about to be given up; all that `poll` returned of them should be done with. `offsets` is committed before
    /// that: with automatic commits it holds the positions already.
    fn revoked(&mut self, partitions: &[TopicPartition], offsets: &mut Offsets) {
        let _ = (partitions, offsets);
    }

    /// These partitions are new. They are read from where the group has committed, or from what is put into `starts`.
    fn assigned(&mut self, partitions: &[TopicPartition], starts: &mut BTreeMap<TopicPartition, StartAt>) {
        let _ = (partitions, starts);
    }

    /// These partitions belong to others already: the group went on without this member. Nothing can be committed for them.
    fn lost(&mut self, partitions: &[TopicPartition]) {
        let _ = partitions;
    }
}

/// For applications that do not want to know.
pub(super) struct Indifferent;

impl RebalanceListener for Indifferent {}
