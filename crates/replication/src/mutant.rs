//! Seeded bugs. A simulator that does not notice each of them proves nothing; built with the feature `mutants`, it can switch one on.

/// One bug each, named after what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// `acks=all` is answered when the leader has the records.
    AckOnAppend,
    /// Consumers read up to the end of the log.
    ReadPastHighWatermark,
    /// The high watermark moves with fewer replicas in sync than `min.insync.replicas` (KIP-966).
    CommitBelowMinIsr,
    /// A follower joins before it has everything from before the leader's epoch (KIP-320).
    ExpandTooEarly,
    /// The high watermark does not wait for replicas that are proposed to be in sync (KIP-497).
    NoMaximalIsr,
    /// The high watermark does not wait for a replica any more while its removal is only proposed.
    ShrinkBeforeCommit,
    /// A late answer to an earlier fetch is taken for the answer to the present one.
    StaleFetchAnswer,
    /// A replica may join as a process that was restarted since (KIP-903).
    StaleBrokerEpoch,
    /// Fetches of earlier and later leader epochs are served.
    NoFetchEpochCheck,
    /// The leader does not look where the log of a follower parts from its own.
    NoDivergence,
    /// An answer to an earlier proposal counts for the present one.
    StaleIsrAnswer,
    /// A proposal counts as rejected although an earlier copy of it may be on its way.
    RejectedTooEarly,
    /// Under `flush.policy=commit` a follower tells of records that it has not synced.
    UnsyncedFetch,
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// From now on, partitions that run on this thread have this bug, or none.
    pub fn set_mutant(mutant: Option<Mutant>) {
        ON.set(mutant);
    }

    pub(crate) fn mutant_is(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }
}

#[cfg(feature = "mutants")]
pub(crate) use switch::mutant_is;
#[cfg(feature = "mutants")]
pub use switch::set_mutant;

#[cfg(not(feature = "mutants"))]
pub(crate) const fn mutant_is(_: Mutant) -> bool {
    false
}
