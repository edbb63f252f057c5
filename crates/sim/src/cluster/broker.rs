//! A broker: what its disk keeps, and the process that runs on it, if one does.

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};
use dohle_replication::{Acks, FetchToken, IsrProposal, ParkedFetch, Partition, Rules};
use uuid::Uuid;

use super::model_log::ModelLog;

/// Who waits for a batch to be acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) producer: usize,
    pub(super) attempt: u32,
    pub(super) acks: Acks,
    pub(super) offset: i64,
    pub(super) value: u32,
}

/// Followers of this world come back by themselves.
#[derive(Debug)]
pub(super) enum NobodyParks {}

impl ParkedFetch for NobodyParks {
    fn on_readable(&self, _: u64) -> bool {
        match *self {}
    }
}

pub(super) type Role = Partition<Ticket, NobodyParks>;
pub(super) type Effect = dohle_replication::Effect<Ticket, NobodyParks>;

#[derive(Debug)]
pub(super) struct Replica {
    pub(super) role: Role,
    /// Of the epoch that this process leads, if it does: where the log ended at its beginning.
    pub(super) epoch_start: Option<(LeaderEpoch, i64)>,
    pub(super) fetch: Option<(FetchToken, i64, i64)>,
    /// The last answer brought nothing.
    pub(super) is_idle: bool,
    pub(super) sync_is_planned: bool,
    pub(super) proposal: Option<(IsrProposal, i64)>,
    /// The largest high watermark so far.
    pub(super) seen: i64,
    pub(super) partition_epoch: i32,
}

impl Replica {
    pub(super) fn new(me: BrokerId, rules: Rules, high_watermark: i64) -> Replica {
        Replica {
            role: Partition::new(me, rules, Offset(high_watermark)),
            epoch_start: None,
            fetch: None,
            is_idle: false,
            sync_is_planned: false,
            proposal: None,
            seen: 0,
            partition_epoch: -1,
        }
    }

    pub(super) fn is_leader(&self) -> bool {
        self.role.leader(LeaderEpoch::NONE).is_ok()
    }

    pub(super) fn high_watermark(&self) -> i64 {
        self.role.high_watermark().0
    }
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) incarnation: Uuid,
    /// The epoch under which an earlier process ended in order; -1 if it did not.
    pub(super) previous_epoch: i64,
    pub(super) epoch: Option<i64>,
    /// The version of the metadata that it acts on.
    pub(super) applied: usize,
    pub(super) replicas: Vec<Option<Replica>>,
    pub(super) asked_ms: i64,
    /// Since when it wants to stop.
    pub(super) stops_since_ms: Option<i64>,
}

impl Process {
    pub(super) fn new(incarnation: Uuid, previous_epoch: i64, partitions: usize) -> Process {
        Process {
            incarnation,
            previous_epoch,
            epoch: None,
            applied: 0,
            replicas: (0..partitions).map(|_| None).collect(),
            asked_ms: i64::MIN / 2,
            stops_since_ms: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Broker {
    pub(super) id: BrokerId,
    /// Counts the processes, and their ends.
    pub(super) life: u32,
    pub(super) process: Option<Process>,
    pub(super) paused_until_ms: i64,
    /// Paused by a directed schedule, until that says otherwise.
    pub(super) is_stopped: bool,
    /// By partition; empty ones are as good as none.
    pub(super) logs: Vec<ModelLog>,
    /// The note that a process leaves when it ends in order; the next one takes it before anything else.
    pub(super) ended_in_order: Option<i64>,
    /// It crashed, and no process of it has been registered since. True: something that was only in memory is lost.
    pub(super) unclean: Option<bool>,
    /// What its clock shows is time times this, in thousandths.
    pub(super) clock: i64,
}

impl Broker {
    pub(super) fn new(index: usize, partitions: usize, clock: i64) -> Broker {
        Broker {
            id: BrokerId(index as i32 + 1),
            life: 0,
            process: None,
            paused_until_ms: 0,
            is_stopped: false,
            logs: vec![ModelLog::default(); partitions],
            ended_in_order: None,
            unclean: None,
            clock,
        }
    }

    /// When it goes on, or may, if it is paused.
    pub(super) fn resumes_ms(&self, now_ms: i64) -> Option<i64> {
        let resumes_ms = if self.is_stopped { now_ms + 1 } else { self.paused_until_ms };
        (now_ms < resumes_ms).then_some(resumes_ms)
    }

    pub(super) fn local_ms(&self, now_ms: i64) -> i64 {
        now_ms * self.clock / 1000
    }

    /// The log and the role of a partition, if a process runs that has taken it over.
    pub(super) fn replica(&mut self, partition: usize) -> Option<(&mut ModelLog, &mut Replica)> {
        let replica = self.process.as_mut()?.replicas[partition].as_mut()?;
        Some((&mut self.logs[partition], replica))
    }

    pub(super) fn role(&self, partition: usize) -> Option<&Replica> {
        self.process.as_ref()?.replicas[partition].as_ref()
    }
}

/// An error as it goes over the wire, and how much a producer cares.
pub(super) type Outcome = Result<i64, ErrorCode>;
