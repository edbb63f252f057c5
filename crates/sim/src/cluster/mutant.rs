//! The seeded bugs of this world: those of the pure machine, and those of the code around it.

use dohle_replication::mutant::Mutant as Machine;

/// One bug each, named after what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    Machine(Machine),
    /// A new follower cuts its log at its high watermark (before KIP-101).
    TruncateToHighWatermark,
    /// A batch that was appended before is acknowledged at once, committed or not.
    DuplicateAckedAtOnce,
    /// A follower does not learn which batches of a producer it holds.
    DedupNotRebuilt,
    /// Brokers do not see that the leader epoch has changed.
    EpochNotBumped,
    /// A process that crashed registers as one that ended in order.
    UncleanStaysInSync,
    /// That a process crashed is forgotten when it crashes again before it has registered.
    UncleanForgotten,
}

impl Mutant {
    pub const ALL: [Mutant; 19] = [
        Mutant::TruncateToHighWatermark,
        Mutant::DuplicateAckedAtOnce,
        Mutant::DedupNotRebuilt,
        Mutant::EpochNotBumped,
        Mutant::UncleanStaysInSync,
        Mutant::UncleanForgotten,
        Mutant::Machine(Machine::AckOnAppend),
        Mutant::Machine(Machine::ReadPastHighWatermark),
        Mutant::Machine(Machine::CommitBelowMinIsr),
        Mutant::Machine(Machine::ExpandTooEarly),
        Mutant::Machine(Machine::NoMaximalIsr),
        Mutant::Machine(Machine::ShrinkBeforeCommit),
        Mutant::Machine(Machine::StaleFetchAnswer),
        Mutant::Machine(Machine::StaleBrokerEpoch),
        Mutant::Machine(Machine::NoFetchEpochCheck),
        Mutant::Machine(Machine::NoDivergence),
        Mutant::Machine(Machine::StaleIsrAnswer),
        Mutant::Machine(Machine::RejectedTooEarly),
        Mutant::Machine(Machine::UnsyncedFetch),
    ];

    /// Whether it takes more coincidences than random search comes to.
    pub fn needs_direction(self) -> bool {
        matches!(self, Mutant::Machine(Machine::RejectedTooEarly | Machine::StaleBrokerEpoch))
    }

    pub fn name(self) -> String {
        match self {
            Mutant::Machine(machine) => format!("{machine:?}"),
            shell => format!("{shell:?}"),
        }
    }
}
