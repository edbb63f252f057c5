//! What must never happen (I1 to I10 and I14 of the reliability plan). The checker keeps what is committed, as the high watermarks of all
//! replicas have told it, and compares everybody with that.

use std::collections::{BTreeMap, BTreeSet};

use dohle_metadata::image::ClusterImage;
use dohle_metadata::image::topics::PartitionImage;
use dohle_protocol::id::{BrokerId, LeaderEpoch};
use dohle_replication::{Acks, Durability, FollowerFetch};

use super::broker::{Broker, Replica, Ticket};
use super::controller::partition_of;
use super::model_log::{ModelLog, Record};
use crate::violation::{Violation, demand};

#[derive(Debug, Default)]
struct History {
    /// By offset: this never changes.
    committed: Vec<Record>,
    /// The last committed sequence of each producer.
    sequences: BTreeMap<u16, u32>,
    /// Who has led in each epoch.
    leaders: BTreeMap<i32, BrokerId>,
    leader_epoch: i32,
    partition_epoch: i32,
}

/// A batch that was sent once.
#[derive(Debug, Clone, Copy)]
struct Sent {
    partition: usize,
    acks: Acks,
    acknowledged: bool,
}

#[derive(Debug)]
pub(super) struct Checker {
    histories: Vec<History>,
    /// By value.
    sent: Vec<Sent>,
    durability: Durability,
}

impl Checker {
    pub(super) fn new(partitions: usize, durability: Durability) -> Checker {
        Checker {
            histories: (0..partitions).map(|_| History::default()).collect(),
            sent: Vec::new(),
            durability,
        }
    }

    /// A value for a new batch.
    pub(super) fn value(&mut self, partition: usize, acks: Acks) -> u32 {
        self.sent.push(Sent {
            partition,
            acks,
            acknowledged: false,
        });
        self.sent.len() as u32 - 1
    }

    pub(super) fn committed_end(&self, partition: usize) -> i64 {
        self.histories[partition].committed.len() as i64
    }

    /// After anything that concerns a replica.
    pub(super) fn replica(
        &mut self,
        image: &ClusterImage,
        brokers: &mut [Broker],
        broker: usize,
        partition: usize,
    ) -> Result<(), Violation> {
        let id = brokers[broker].id;
        let Some((log, replica)) = brokers[broker].replica(partition) else {
            return Ok(());
        };
        let high_watermark = replica.high_watermark();
        demand!(
            log.start() <= high_watermark && high_watermark <= log.end() && log.synced() <= log.end(),
            "I9: {id} has log start {}, high watermark {high_watermark}, synced {}, end {}",
            log.start(),
            log.synced(),
            log.end()
        );
        demand!(
            high_watermark >= replica.seen,
            "I2: the high watermark of {id} moves back from {} to {high_watermark}",
            replica.seen
        );
        let has_moved = high_watermark > replica.seen;
        replica.seen = high_watermark;
        if has_moved {
            self.histories[partition].commit(log, high_watermark, id, &self.sent)?;
        }
        let committed = self.committed_end(partition);
        let readable = replica.role.readable_end(LeaderEpoch::NONE).map_or(0, |end| end.0);
        demand!(
            readable <= committed,
            "consumers of {id} read up to {readable}, and {committed} are committed"
        );
        if replica.is_leader() {
            self.leader(image, brokers, broker, partition)?;
        }
        if has_moved {
            self.members(image, brokers, partition)
        } else {
            Ok(())
        }
    }

    fn leader(&mut self, image: &ClusterImage, brokers: &mut [Broker], broker: usize, partition: usize) -> Result<(), Violation> {
        let id = brokers[broker].id;
        let Some(replica) = brokers[broker].role(partition) else {
            return Ok(());
        };
        let epoch = replica.role.leader_epoch();
        let history = &mut self.histories[partition];
        let first = *history.leaders.entry(epoch.0).or_insert(id);
        demand!(first == id, "I6: {first} and {id} lead partition {partition} in epoch {epoch}");
        let Ok(leader) = replica.role.leader(LeaderEpoch::NONE) else {
            return Ok(());
        };
        let Some(known) = partition_of(image, partition) else {
            return Ok(());
        };
        if known.leader_epoch != epoch || known.leader != id {
            return Ok(());
        }
        let committed = history.committed.len() as i64;
        demand!(
            !leader.is_settled() || leader.high_watermark().0 >= committed,
            "I2: {id} serves with high watermark {}, and {committed} are committed",
            leader.high_watermark()
        );
        let eligible: &[BrokerId] = if leader.is_under_min_isr() { &[] } else { &known.elr };
        for member in known.isr.iter().chain(eligible).filter(|member| **member != id) {
            demand!(
                leader.may_be_in_sync(*member),
                "I5: {id} leads epoch {epoch} and does not count on {member}, which may lead: {known:?}"
            );
        }
        Ok(())
    }

    /// Whoever may be elected holds everything that is committed.
    pub(super) fn members(&mut self, image: &ClusterImage, brokers: &mut [Broker], partition: usize) -> Result<(), Violation> {
        let Some(known) = partition_of(image, partition) else {
            return Ok(());
        };
        for member in known.isr.iter().chain(&known.elr) {
            let broker = &mut brokers[member.0 as usize - 1];
            // What it lost it loses in the eyes of the controller when it registers; until then it is not there to be elected.
            let may_have_lost = broker.unclean == Some(true) && self.durability == Durability::Written;
            if may_have_lost {
                continue;
            }
            let log = &mut broker.logs[partition];
            let held = self.histories[partition].verify(log);
            let kept = if self.durability == Durability::Synced {
                log.synced()
            } else {
                log.end()
            };
            let committed = self.committed_end(partition);
            demand!(
                held == committed && kept >= committed,
                "I3, I4: {member} may lead partition {partition} and holds what is committed up to {held}, keeps up to {kept}, of {committed}: {known:?}"
            );
        }
        Ok(())
    }

    /// The metadata have a new version.
    pub(super) fn metadata(&mut self, image: &ClusterImage, brokers: &mut [Broker]) -> Result<(), Violation> {
        for partition in 0..self.histories.len() {
            let Some(known) = partition_of(image, partition) else { continue };
            let history = &mut self.histories[partition];
            demand!(
                known.leader_epoch.0 >= history.leader_epoch && known.partition_epoch >= history.partition_epoch,
                "I6: epochs go back: {known:?}"
            );
            if known.partition_epoch == history.partition_epoch {
                continue;
            }
            history.leader_epoch = known.leader_epoch.0;
            history.partition_epoch = known.partition_epoch;
            self.members(image, brokers, partition)?;
            for broker in 0..brokers.len() {
                self.replica(image, brokers, broker, partition)?;
            }
        }
        Ok(())
    }

    /// A replica is about to cut its log.
    pub(super) fn truncation(&mut self, id: BrokerId, log: &mut ModelLog, partition: usize, to: i64) -> Result<(), Violation> {
        let held = self.histories[partition].verify(log);
        demand!(
            to >= held,
            "I7: {id} cuts partition {partition} at {to}, and holds what is committed up to {held}"
        );
        Ok(())
    }

    /// A leader counts on what a follower says that it has. That is true in the epoch in which it was said: a follower may have cut its log
    /// between two epochs, and never does within one once it was told that it may read on.
    pub(super) fn served(&self, id: BrokerId, replica: &Replica, fetch: &FollowerFetch) -> Result<(), Violation> {
        let (epoch, of) = (replica.role.leader_epoch(), fetch.current_leader_epoch);
        demand!(
            epoch == of,
            "I7: {id} leads epoch {epoch} and counts on what {} said in epoch {of}",
            fetch.replica
        );
        Ok(())
    }

    /// A leader proposes a follower whose fetch has just told where its log ends.
    pub(super) fn expansion(&self, id: BrokerId, replica: &Replica, fetched: i64) -> Result<(), Violation> {
        let start = replica.epoch_start.map_or(0, |(_, start)| start);
        demand!(
            fetched >= start && fetched >= replica.high_watermark(),
            "I8: {id} lets somebody in who has {fetched}; its epoch began at {start}, its high watermark is {}",
            replica.high_watermark()
        );
        Ok(())
    }

    /// A new leader tells batches that it has from new ones.
    pub(super) fn windows(&self, id: BrokerId, log: &ModelLog) -> Result<(), Violation> {
        for (producer, window) in log.rebuilt() {
            let known = log.producers.get(&producer);
            demand!(
                window.iter().all(|batch| known.is_some_and(|known| known.contains(batch))),
                "I10: {id} leads and has forgotten batches of producer {producer}: {window:?}, {known:?}"
            );
        }
        Ok(())
    }

    /// A broker acknowledges a batch.
    pub(super) fn acknowledged(&mut self, id: BrokerId, log: &ModelLog, partition: usize, ticket: Ticket) -> Result<(), Violation> {
        let holds = |record: Option<&Record>| record.is_some_and(|record| record.value == ticket.value);
        let sent = &mut self.sent[ticket.value as usize];
        sent.acknowledged = true;
        demand!(
            sent.acks == ticket.acks && sent.partition == partition,
            "I14: nobody has asked for {ticket:?}"
        );
        let committed = self.histories[partition].committed.get(ticket.offset as usize);
        match ticket.acks {
            Acks::None => demand!(false, "I14: acks=0 has no answer"),
            Acks::Leader => {
                let kept = if self.durability == Durability::Synced {
                    log.synced()
                } else {
                    log.end()
                };
                let is_here = holds(log.at(ticket.offset)) || ticket.offset < log.start();
                demand!(
                    is_here && kept > ticket.offset,
                    "I14: {id} acknowledges, and does not keep {ticket:?}"
                );
            }
            Acks::All => demand!(
                holds(committed),
                "I14: {id} acknowledges what is not committed: {ticket:?}, {committed:?}"
            ),
        }
        Ok(())
    }

    /// At the end: every acknowledged batch is there. Returns how many of `acks=1` are not, which may be.
    pub(super) fn ledger(&self) -> Result<u64, Violation> {
        let mut lost = 0;
        let committed = self.histories.iter().flat_map(|history| &history.committed);
        let found: BTreeSet<u32> = committed.map(|record| record.value).collect();
        for (value, sent) in self.sent.iter().enumerate().filter(|(_, sent)| sent.acknowledged) {
            if !found.contains(&(value as u32)) {
                demand!(sent.acks != Acks::All, "value {value} was acknowledged and is lost");
                lost += 1;
            }
        }
        Ok(lost)
    }

    /// The batches that were sent without a wish for an answer, and are gone.
    pub(super) fn unanswered_losses(&self) -> u64 {
        let committed = self.histories.iter().flat_map(|history| &history.committed);
        let found: BTreeSet<u32> = committed.map(|record| record.value).collect();
        let unanswered = self.sent.iter().enumerate().filter(|(_, sent)| sent.acks == Acks::None);
        unanswered.filter(|(value, _)| !found.contains(&(*value as u32))).count() as u64
    }
}

impl History {
    /// A replica says that everything below its high watermark is committed.
    fn commit(&mut self, log: &mut ModelLog, high_watermark: i64, id: BrokerId, sent: &[Sent]) -> Result<(), Violation> {
        while (self.committed.len() as i64) < high_watermark {
            let offset = self.committed.len() as i64;
            let Some(record) = log.at(offset).copied() else {
                return Err(Violation(format!("I9: {id} has committed {offset} and does not hold it")));
            };
            if record.producer != 0 {
                let last = self.sequences.insert(record.producer, record.sequence);
                demand!(
                    last.is_none_or(|last| record.sequence == last + 1),
                    "I10: after {last:?} comes {record:?} at {offset}"
                );
            }
            demand!((record.value as usize) < sent.len(), "nobody has sent {record:?}");
            self.committed.push(record);
        }
        let held = self.verify(log);
        demand!(
            held >= high_watermark,
            "I1: {id} holds {:?} at {held} below its high watermark {high_watermark}, and {:?} is committed there",
            log.at(held),
            self.committed.get(held as usize)
        );
        Ok(())
    }

    /// How far the log is what is committed.
    fn verify(&self, log: &mut ModelLog) -> i64 {
        while let Some(committed) = self.committed.get(log.verified as usize)
            && log.at(log.verified) == Some(committed)
        {
            log.verified += 1;
        }
        log.verified
    }
}

/// Whether somebody who may be elected has neither crashed nor lost anything. While nobody has, no promise holds.
pub(super) fn somebody_is_left(known: &PartitionImage, brokers: &[Broker], but: Option<BrokerId>) -> bool {
    let mut members = known.isr.iter().chain(&known.elr);
    members.any(|member| Some(*member) != but && brokers[member.0 as usize - 1].unclean.is_none())
}
