//! Everything that goes wrong, and what people do to a cluster.

use dohle_metadata::controller::ControllerRequest;
use dohle_protocol::id::{BrokerId, Offset};
use dohle_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use dohle_replication::Durability;

use super::check::somebody_is_left;
use super::controller::TOPIC;
use super::mutant::Mutant;
use super::world::{CLIENTS, CONTROLLER, Event, Stage, World};
use crate::violation::Violation;

const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Clone, Copy)]
enum Fault {
    Kill,
    Power,
    PowerOfAll,
    Pause,
    Cut,
    Isolate,
    Controller,
    Reassign,
    Stop,
    DiskError,
    Delete,
    Balance,
}

impl World {
    /// The next fault.
    pub(super) fn fault(&mut self) -> Result<(), Violation> {
        if self.stage != Stage::Chaos {
            return Ok(());
        }
        let every_ms = self.plan.fault_every_ms;
        let after_ms = self.random.between(1..=2 * every_ms);
        self.queue.after(after_ms, Event::Fault);
        let Some(fault) = self.draw_fault() else { return Ok(()) };
        let broker = self.random.below(self.brokers.len());
        match fault {
            Fault::Kill => self.kill(broker, false),
            // A disk that fails ends the process, and what it had not written yet is anybody's guess.
            Fault::Power | Fault::DiskError => self.kill(broker, true),
            Fault::PowerOfAll => (0..self.brokers.len()).for_each(|broker| self.kill(broker, true)),
            Fault::Pause => {
                let until_ms = self.queue.now_ms() + self.random.between(20..=1_200);
                if self.brokers[broker].process.is_some() {
                    self.brokers[broker].paused_until_ms = until_ms;
                }
            }
            Fault::Cut => self.cut(broker),
            Fault::Isolate => self.isolate(broker),
            Fault::Controller => self.replace_controller(),
            Fault::Reassign => return self.reassign(),
            Fault::Stop => {
                let now_ms = self.queue.now_ms();
                if let Some(process) = &mut self.brokers[broker].process {
                    process.stops_since_ms.get_or_insert(now_ms);
                }
            }
            Fault::Delete => return self.delete_records(broker),
            Fault::Balance => return self.decide(ControllerRequest::BalanceLeaders).map(drop),
        }
        Ok(())
    }

    fn draw_fault(&mut self) -> Option<Fault> {
        let weights = &self.plan.weights;
        let choices = [
            (Fault::Kill, weights.kill),
            (Fault::Power, weights.power),
            (Fault::PowerOfAll, weights.power_of_all),
            (Fault::Pause, weights.pause),
            (Fault::Cut, weights.cut),
            (Fault::Isolate, weights.isolate),
            (Fault::Controller, weights.controller),
            (Fault::Reassign, weights.reassign),
            (Fault::Stop, weights.stop),
            (Fault::DiskError, weights.disk_error),
            (Fault::Delete, weights.delete),
            (Fault::Balance, weights.balance),
        ];
        let sum: u32 = choices.iter().map(|(_, weight)| weight).sum();
        if sum == 0 {
            return None;
        }
        let mut drawn = self.random.below(sum as usize) as u32;
        choices.into_iter().find_map(|(fault, weight)| {
            if drawn < weight {
                return Some(fault);
            }
            drawn -= weight;
            None
        })
    }

    /// A crash that does not break what is promised: under other policies than `commit`, as long as somebody is left who has not crashed.
    fn kill(&mut self, index: usize, loses: bool) {
        let id = self.brokers[index].id;
        let promises_all = self.plan.rules.durability == Durability::Synced;
        let something_is_lost = self.brokers.iter().any(|broker| broker.unclean == Some(true));
        let mut partitions = (0..self.plan.partitions).filter_map(|partition| self.controller.partition(partition));
        let others_are_left = partitions.all(|known| somebody_is_left(known, &self.brokers, Some(id)));
        if promises_all || others_are_left {
            self.crash(index, loses);
        } else if !something_is_lost {
            self.crash(index, false);
        }
    }

    /// A process ends without knowing it. What it had not synced may be lost.
    pub(super) fn crash(&mut self, index: usize, loses: bool) {
        let broker = &mut self.brokers[index];
        let Some(process) = broker.process.take() else { return };
        broker.life += 1;
        broker.paused_until_ms = 0;
        for log in broker.logs.iter_mut().filter(|_| loses) {
            let kept = self.random.between(log.synced()..=log.end());
            log.truncate(kept);
        }
        broker.unclean = Some(loses || broker.unclean == Some(true));
        if process.epoch.is_none() && self.mutant == Some(Mutant::UncleanForgotten) {
            broker.ended_in_order = self.controller.image().broker(broker.id).map(|known| known.epoch);
        }
        let life = broker.life;
        let after_ms = self.random.between(1..=600);
        self.queue.after(after_ms, Event::Start { broker: index, life });
        if let Some(epoch) = process.epoch
            && self.random.chance(400)
        {
            let after_ms = self.random.between(1..=30);
            self.queue.after(after_ms, Event::Gone { broker: index, epoch });
        }
    }

    fn cut_for(&mut self, from: usize, to: usize, ms: i64) {
        self.cuts.push((from, to));
        self.queue.after(ms, Event::Mend { from, to });
    }

    /// One way only.
    fn cut(&mut self, broker: usize) {
        let ms = self.random.between(50..=1_500);
        let other = match self.random.below(self.brokers.len() + 2) {
            site if site == self.brokers.len() => CONTROLLER,
            site if site > self.brokers.len() => CLIENTS,
            site => site,
        };
        if self.random.chance(500) {
            self.cut_for(broker, other, ms);
        } else {
            self.cut_for(other, broker, ms);
        }
    }

    /// From the other brokers, and perhaps from the controller or the clients.
    fn isolate(&mut self, broker: usize) {
        let ms = self.random.between(50..=1_500);
        let mut others: Vec<usize> = (0..self.brokers.len()).filter(|other| *other != broker).collect();
        others.extend([CONTROLLER, CLIENTS].into_iter().filter(|_| self.random.chance(600)));
        for other in others {
            self.cut_for(broker, other, ms);
            self.cut_for(other, broker, ms);
        }
    }

    fn replace_controller(&mut self) {
        let skew_ms = self.random.between(-HOUR_MS..=HOUR_MS);
        let node = *self.random.pick(&[BrokerId(100), BrokerId(101), BrokerId(1)]);
        self.controller.replace(node, skew_ms);
        self.controller.is_up = false;
        let after_ms = self.random.between(10..=400);
        self.queue.after(after_ms, Event::ControllerBack);
    }

    fn reassign(&mut self) -> Result<(), Violation> {
        let partition_index = self.random.below(self.plan.partitions) as i32;
        let replicas = if self.random.chance(200) {
            None
        } else {
            Some(self.draw_replicas())
        };
        let partition = ReassignablePartition {
            partition_index,
            replicas,
            ..Default::default()
        };
        let topic = ReassignableTopic {
            name: TOPIC.to_owned(),
            partitions: vec![partition],
            ..Default::default()
        };
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![topic],
            ..Default::default()
        };
        self.decide(ControllerRequest::AlterPartitionReassignments(request)).map(drop)
    }

    /// Retention, or DeleteRecords: never above the high watermark, and the last batch of a producer stays.
    fn delete_records(&mut self, index: usize) -> Result<(), Violation> {
        let partition = self.random.below(self.plan.partitions);
        let per_cent = self.random.between(0..=100);
        let Some((log, replica)) = self.brokers[index].replica(partition) else {
            return Ok(());
        };
        if replica.is_leader() {
            let bound = Offset(log.first_needed()).min(replica.role.high_watermark()).0;
            log.delete_before(log.start() + (bound - log.start()) * per_cent / 100);
        }
        self.carry_out(index, partition, Vec::new())
    }
}
