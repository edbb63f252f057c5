//! Seeded bugs. A simulator that does not notice each of them proves nothing; built with the feature `mutants`, it can switch one on.

/// One bug each, named after what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// A rebalance does not wait for a member that has been given an id.
    PendingNotCounted,
    /// A timer that was cancelled goes off all the same.
    TimerNotCancelled,
    /// The member that was replaced is not told that it was.
    FencedTooLate,
    /// Two members have the same instance id.
    InstanceTwice,
    /// Offsets are committed between JoinGroup and SyncGroup.
    CommitWhileCompleting,
    /// Offsets of an earlier generation are committed.
    StaleCommit,
    /// A rebalance keeps the generation.
    GenerationKept,
    /// Any member may hand out the assignments.
    AssignmentFromFollower,
    /// Heartbeats do not extend the session.
    SessionNotExtended,
    /// Sessions never end.
    SessionEndless,
    /// A rebalance waits for ever for members that do not come back.
    RebalanceEndless,
    /// A parked SyncGroup is forgotten when a rebalance begins.
    SyncForgotten,
}

impl Mutant {
    pub const ALL: [Mutant; 12] = [
        Mutant::PendingNotCounted,
        Mutant::TimerNotCancelled,
        Mutant::FencedTooLate,
        Mutant::InstanceTwice,
        Mutant::CommitWhileCompleting,
        Mutant::StaleCommit,
        Mutant::GenerationKept,
        Mutant::AssignmentFromFollower,
        Mutant::SessionNotExtended,
        Mutant::SessionEndless,
        Mutant::RebalanceEndless,
        Mutant::SyncForgotten,
    ];
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// From now on, shards that run on this thread have this bug, or none.
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
