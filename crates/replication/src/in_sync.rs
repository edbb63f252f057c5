//! Which replicas are in sync, as the leader knows it: what the metadata say, and what it has proposed.
//!
//! While a proposal is undecided the controller may have accepted it or not, so whatever is in sync in either case counts (KIP-497).

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch};

use crate::assignment::Assignment;
use crate::mutant::{Mutant, mutant_is};

/// A replica that is to be in sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InSyncReplica {
    pub id: BrokerId,
    /// Of the process that has fetched; -1 for the leader itself, and for a replica in sync that has not been heard of in this epoch.
    pub broker_epoch: i64,
}

/// What AlterPartition asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrProposal {
    /// Tells one sending of this leader epoch from another.
    pub number: u64,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    pub isr: Vec<InSyncReplica>,
}

/// What the controller has made of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsrState {
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: i32,
    pub isr: Vec<BrokerId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Sent,
    /// To be sent again: nobody knows what has become of it.
    Due,
    /// The last sending was rejected, but an earlier one may still arrive. Such a copy does not live for ever.
    RejectedOnce,
    /// The metadata have moved on, and will say so.
    Superseded,
}

#[derive(Debug)]
struct Pending {
    proposal: IsrProposal,
    stage: Stage,
    sent_ms: i64,
    /// Whether copies of it are on their way that nobody waits for any more.
    was_resent: bool,
}

#[derive(Debug)]
pub(crate) struct InSync {
    leader_epoch: LeaderEpoch,
    partition_epoch: i32,
    committed: Vec<BrokerId>,
    pending: Option<Pending>,
    next_number: u64,
}

impl InSync {
    pub(crate) fn new(assignment: &Assignment) -> InSync {
        InSync {
            leader_epoch: assignment.leader_epoch,
            partition_epoch: assignment.partition_epoch,
            committed: assignment.isr.clone(),
            pending: None,
            next_number: 0,
        }
    }

    pub(crate) fn partition_epoch(&self) -> i32 {
        self.partition_epoch
    }

    pub(crate) fn committed(&self) -> &[BrokerId] {
        &self.committed
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    fn is_proposed(&self, id: BrokerId) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|pending| pending.proposal.isr.iter().any(|replica| replica.id == id))
    }

    /// Whether the controller may take the replica for one in sync.
    pub(crate) fn may_contain(&self, id: BrokerId) -> bool {
        if mutant_is(Mutant::NoMaximalIsr) {
            return self.committed.contains(&id);
        }
        if mutant_is(Mutant::ShrinkBeforeCommit) && self.pending.is_some() {
            return self.is_proposed(id);
        }
        self.committed.contains(&id) || self.is_proposed(id)
    }

    /// The metadata have changed.
    pub(crate) fn commit(&mut self, partition_epoch: i32, isr: &[BrokerId]) {
        self.partition_epoch = partition_epoch;
        self.committed = isr.to_vec();
        self.pending = None;
    }

    pub(crate) fn propose(&mut self, isr: Vec<InSyncReplica>, now_ms: i64) -> IsrProposal {
        assert!(self.pending.is_none(), "one proposal at a time");
        let proposal = IsrProposal {
            number: self.next_number,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            isr,
        };
        self.next_number += 1;
        self.pending = Some(Pending {
            proposal: proposal.clone(),
            stage: Stage::Sent,
            sent_ms: now_ms,
            was_resent: false,
        });
        proposal
    }

    /// What to send again.
    pub(crate) fn on_tick(&mut self, now_ms: i64, copy_life_ms_max: i64) -> Option<IsrProposal> {
        let pending = self.pending.as_mut()?;
        match pending.stage {
            Stage::Sent | Stage::Superseded => None,
            Stage::RejectedOnce => {
                if now_ms - pending.sent_ms > copy_life_ms_max {
                    self.pending = None;
                }
                None
            }
            Stage::Due => {
                pending.proposal.number = self.next_number;
                self.next_number += 1;
                pending.stage = Stage::Sent;
                pending.sent_ms = now_ms;
                pending.was_resent = true;
                Some(pending.proposal.clone())
            }
        }
    }

    /// The controller has answered a sending. True if the replicas in sync are known better now.
    pub(crate) fn on_answer(&mut self, sent: &IsrProposal, answer: Result<IsrState, ErrorCode>) -> bool {
        let trusts_any = mutant_is(Mutant::StaleIsrAnswer);
        let is_latest = trusts_any || self.pending.as_ref().is_some_and(|pending| pending.proposal == *sent);
        match answer {
            Ok(state) => {
                let is_news = state.partition_epoch > self.partition_epoch || state.partition_epoch == self.partition_epoch && is_latest;
                let is_ours = state.leader_epoch == self.leader_epoch && is_news;
                if is_ours || trusts_any {
                    self.commit(state.partition_epoch, &state.isr);
                }
                is_ours
            }
            Err(error) if is_latest => self.on_error(error),
            Err(_) => false,
        }
    }

    fn on_error(&mut self, error: ErrorCode) -> bool {
        let Some(pending) = &mut self.pending else { return false };
        pending.stage = match error {
            ErrorCode::IneligibleReplica if pending.was_resent && !mutant_is(Mutant::RejectedTooEarly) => Stage::RejectedOnce,
            ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted => {
                self.pending = None;
                return true;
            }
            ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::InvalidRequest
            | ErrorCode::NewLeaderElected
            | ErrorCode::UnknownTopicId
            | ErrorCode::UnknownTopicOrPartition => Stage::Superseded,
            _ => Stage::Due,
        };
        false
    }
}
