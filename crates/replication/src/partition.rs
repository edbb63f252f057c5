//! One replica of a partition: its role, the checks that every request passes, and the replies that wait for it.

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};

use crate::acks::Acks;
use crate::effect::Effect;
use crate::leader::{Durability, Leader};
use crate::waiters::{ByteWaiters, OffsetWaiters, ParkedFetch, WaitKey};

/// What the committed metadata says about a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment {
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
}

/// How far the log goes, and how much of it is known to be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnd {
    pub written: Offset,
    pub synced: Offset,
}

#[derive(Debug)]
enum Role {
    Leader(Leader),
    /// Somebody else leads, or nobody.
    Bystander,
}

/// `P` identifies a parked Produce reply, `F` a parked Fetch.
#[derive(Debug)]
pub struct Partition<P, F> {
    role: Role,
    leader_epoch: LeaderEpoch,
    produces: OffsetWaiters<P>,
    fetches: ByteWaiters<F>,
}

impl<P, F: ParkedFetch> Default for Partition<P, F> {
    fn default() -> Partition<P, F> {
        Partition::new()
    }
}

impl<P, F: ParkedFetch> Partition<P, F> {
    /// Without an assignment; every request is refused until there is one.
    pub fn new() -> Partition<P, F> {
        Partition {
            role: Role::Bystander,
            leader_epoch: LeaderEpoch::NONE,
            produces: OffsetWaiters::new(),
            fetches: ByteWaiters::new(),
        }
    }

    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The leader of this partition, if it is this replica, and if the client does not live in another epoch.
    pub fn leader(&self, current_leader_epoch: LeaderEpoch) -> Result<&Leader, ErrorCode> {
        if !current_leader_epoch.is_none() && current_leader_epoch < self.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if !current_leader_epoch.is_none() && current_leader_epoch > self.leader_epoch {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        match &self.role {
            Role::Leader(leader) => Ok(leader),
            Role::Bystander => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// The metadata has changed. An assignment of an older epoch than the present one is stale and changes nothing.
    pub fn on_assignment(&mut self, assignment: Assignment, me: BrokerId, log: LogEnd, durability: Durability) -> Vec<Effect<P, F>> {
        if assignment.leader_epoch < self.leader_epoch {
            return Vec::new();
        }
        self.leader_epoch = assignment.leader_epoch;
        if assignment.leader != me {
            self.role = Role::Bystander;
            return self.dismiss(ErrorCode::NotLeaderOrFollower);
        }
        if let Role::Bystander = self.role {
            self.role = Role::Leader(Leader::new(durability, log.synced, log.written, log.synced));
        }
        self.sync_if_needed()
    }

    /// Records were appended by a producer; the log ends at `log_end` now.
    pub fn on_append(&mut self, log_end: Offset, bytes: u64) -> Vec<Effect<P, F>> {
        let readable = self.leading().on_append(log_end, bytes);
        let mut effects = self.sync_if_needed();
        self.on_readable(readable, &mut effects);
        effects
    }

    /// Everything below `synced` is on the disk.
    pub fn on_synced(&mut self, synced: Offset) -> Vec<Effect<P, F>> {
        let Role::Leader(leader) = &mut self.role else { return Vec::new() };
        let readable = leader.on_synced(synced);
        let mut effects = Vec::new();
        self.on_readable(readable, &mut effects);
        effects
    }

    /// `flush.policy` was changed. Towards less durability, what waited for a sync waits no longer.
    pub fn set_durability(&mut self, durability: Durability) -> Vec<Effect<P, F>> {
        let Role::Leader(leader) = &mut self.role else { return Vec::new() };
        let readable = leader.set_durability(durability);
        let mut effects = self.sync_if_needed();
        self.on_readable(readable, &mut effects);
        effects
    }

    /// Nothing more can be written: producers who wait are told. What can be read, still is.
    pub fn dismiss_produces(&mut self, error: ErrorCode) -> Vec<Effect<P, F>> {
        self.produces
            .take_all()
            .map(|parked| Effect::AnswerProduce {
                parked,
                outcome: Err(error),
            })
            .collect()
    }

    /// The log cannot be used any more (its topic was deleted, the broker ends): everybody who waits is told.
    pub fn give_up(&mut self, error: ErrorCode) -> Vec<Effect<P, F>> {
        self.role = Role::Bystander;
        self.dismiss(error)
    }

    /// Whether a reply with `acks` to records that end at `end` can leave at once; else it is to be parked.
    pub fn is_acknowledged(&self, acks: Acks, end: Offset) -> bool {
        match &self.role {
            Role::Leader(leader) => leader.is_acknowledged(acks, end),
            Role::Bystander => false,
        }
    }

    /// Parks a Produce reply until the high watermark reaches `end`.
    pub fn park_produce(&mut self, end: Offset, parked: P) {
        self.produces.park(end, parked);
    }

    /// Parks a fetch that has seen everything below the high watermark `seen`; `None` if there is more by now and it has to look again.
    pub fn park_fetch(&mut self, seen: Offset, parked: F) -> Option<WaitKey> {
        match &self.role {
            Role::Leader(leader) if leader.high_watermark() == seen => Some(self.fetches.park(parked)),
            _ => None,
        }
    }

    /// The fetch does not wait any longer, or was woken by another partition.
    pub fn cancel_fetch(&mut self, key: WaitKey) {
        self.fetches.cancel(key);
    }

    fn leading(&mut self) -> &mut Leader {
        match &mut self.role {
            Role::Leader(leader) => leader,
            Role::Bystander => panic!("only a leader appends for clients"),
        }
    }

    fn sync_if_needed(&self) -> Vec<Effect<P, F>> {
        match &self.role {
            Role::Leader(leader) if leader.needs_sync() => vec![Effect::Sync],
            _ => Vec::new(),
        }
    }

    fn on_readable(&mut self, readable: Option<u64>, effects: &mut Vec<Effect<P, F>>) {
        let (Role::Leader(leader), Some(bytes)) = (&self.role, readable) else {
            return;
        };
        let acknowledged = self.produces.take_reached(leader.high_watermark());
        effects.extend(acknowledged.map(|parked| Effect::AnswerProduce { parked, outcome: Ok(()) }));
        effects.extend(self.fetches.take_satisfied(bytes).map(|parked| Effect::WakeFetch { parked }));
    }

    fn dismiss(&mut self, error: ErrorCode) -> Vec<Effect<P, F>> {
        let produces = self.produces.take_all().map(|parked| Effect::AnswerProduce {
            parked,
            outcome: Err(error),
        });
        produces
            .chain(self.fetches.take_all().map(|parked| Effect::WakeFetch { parked }))
            .collect()
    }
}

#[cfg(test)]
mod tests;
