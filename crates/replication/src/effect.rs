//! What the shell has to do after a partition has changed.

use dohle_protocol::ErrorCode;

use crate::in_sync::IsrProposal;

/// `P` identifies a parked Produce reply, `F` a parked Fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an effect that is not carried out leaves somebody waiting"]
pub enum Effect<P, F> {
    /// Make the log durable, and tell `Partition::on_synced` up to where it is.
    Sync,
    /// The records that this reply waited for are acknowledged, or will never be.
    AnswerProduce { parked: P, outcome: Result<(), ErrorCode> },
    /// Look again: there is more to read, or an error to report.
    WakeFetch { parked: F },
    /// Send AlterPartition to the controller, and tell `Partition::on_isr_answer` what it says; a timeout is an answer too.
    ProposeIsr(IsrProposal),
    /// The leader can be asked for records: see `Partition::next_fetch`.
    Fetch,
}
