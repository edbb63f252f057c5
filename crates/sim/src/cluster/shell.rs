//! What a broker does around its partitions, as the real one has to: carry out effects, act on metadata, ask the controller, follow, produce.

use std::rc::Rc;

use dohle_metadata::image::topics::PartitionImage;
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_replication::mutant::Mutant as Machine;
use dohle_replication::{Acks, Assignment, Durability, FetchAnswer, FetchToken, FollowerAnswer, FollowerFetch, FollowerStep};

use super::broker::{Effect, Outcome, Process, Replica, Ticket};
use super::controller::partition_of;
use super::model_log::{Record, Sequence};
use super::mutant::Mutant;
use super::plan::{HEARTBEAT_MS, REQUEST_TIMEOUT_MS, TICK_MS};
use super::world::{Ask, Body, CLIENTS, CONTROLLER, Event, Fetched, Produce, Told, World};
use crate::violation::Violation;

/// A controlled shutdown that takes longer is given up: the process ends all the same.
const SHUTDOWN_MS_MAX: i64 = 1_500;
const BACK_OFF_MS: i64 = 15;

impl World {
    /// A process starts.
    pub(super) fn start(&mut self, index: usize, life: u32) {
        let incarnation = self.random.uuid();
        let partitions = self.plan.partitions;
        let broker = &mut self.brokers[index];
        if broker.process.is_some() || broker.life != life {
            return;
        }
        broker.life += 1;
        broker.paused_until_ms = 0;
        let previous_epoch = broker.ended_in_order.take().unwrap_or(-1);
        broker.process = Some(Process::new(incarnation, previous_epoch, partitions));
        let life = broker.life;
        self.queue.after(0, Event::Tick { broker: index, life });
        if self.random.chance(self.plan.crash_at_start_per_mille) {
            self.crash(index, false);
        }
    }

    pub(super) fn tick(&mut self, index: usize) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        let life = self.brokers[index].life;
        self.queue.after(TICK_MS, Event::Tick { broker: index, life });
        self.ask_controller(index, now_ms);
        let version = self.controller.latest();
        let Some(process) = &self.brokers[index].process else {
            return Ok(());
        };
        if process.stops_since_ms.is_some_and(|since_ms| now_ms - since_ms > SHUTDOWN_MS_MAX) {
            self.crash(index, false);
            return Ok(());
        }
        if process.applied < version {
            // Whatever was lost on the way.
            self.send(CONTROLLER, index, Body::Metadata { version });
        }
        for partition in 0..self.plan.partitions {
            self.tick_partition(index, partition, now_ms)?;
        }
        Ok(())
    }

    fn ask_controller(&mut self, index: usize, now_ms: i64) {
        let Some(process) = &mut self.brokers[index].process else { return };
        let ask = match process.epoch {
            None if now_ms - process.asked_ms >= REQUEST_TIMEOUT_MS => Ask::Register {
                incarnation: process.incarnation,
                previous_epoch: process.previous_epoch,
            },
            Some(epoch) if now_ms - process.asked_ms >= HEARTBEAT_MS => Ask::Heartbeat {
                epoch,
                applied: process.applied,
                wants_shut_down: process.stops_since_ms.is_some(),
            },
            _ => return,
        };
        process.asked_ms = now_ms;
        self.send(index, CONTROLLER, Body::Ask(ask));
    }

    fn tick_partition(&mut self, index: usize, partition: usize, now_ms: i64) -> Result<(), Violation> {
        let is_written_back = self.random.chance(50);
        let is_checkpoint = self.random.chance(100);
        let local_ms = self.brokers[index].local_ms(now_ms);
        let Some(image) = self.brokers[index]
            .process
            .as_ref()
            .map(|process| &self.controller.images[process.applied])
        else {
            return Ok(());
        };
        let active_epoch = |id| image.broker(id).filter(|known| known.is_active()).map(|known| known.epoch);
        let Some((log, replica)) = self.brokers[index].replica(partition) else {
            return Ok(());
        };
        if is_written_back {
            log.sync_to(log.end());
        }
        if is_checkpoint {
            log.high_watermark = replica.high_watermark();
        }
        let mut effects = Vec::new();
        if is_written_back {
            effects.extend(replica.role.on_synced(Offset(log.synced())));
        }
        let is_late = |sent_ms: i64| now_ms - sent_ms > REQUEST_TIMEOUT_MS;
        if replica.fetch.is_some_and(|(_, _, sent_ms)| is_late(sent_ms)) {
            replica.fetch = None;
            effects.push(Effect::Fetch);
        }
        if let Some((proposal, _)) = replica.proposal.take_if(|(_, sent_ms)| is_late(*sent_ms)) {
            effects.extend(replica.role.on_isr_answer(&proposal, Err(ErrorCode::RequestTimedOut)));
        }
        effects.extend(replica.role.on_brokers(active_epoch));
        effects.extend(replica.role.on_tick(local_ms));
        self.carry_out(index, partition, effects)
    }

    /// The controller has answered.
    pub(super) fn told(&mut self, index: usize, told: Told) -> Result<(), Violation> {
        let Some(process) = &mut self.brokers[index].process else {
            return Ok(());
        };
        match told {
            Told::Registered(Ok(epoch)) => {
                process.epoch = Some(epoch);
                process.asked_ms = i64::MIN / 2;
                // It may have read the metadata before it knew.
                let version = std::mem::take(&mut process.applied);
                self.apply(index, version)
            }
            Told::Beat(Err(ErrorCode::StaleBrokerEpoch)) => {
                process.epoch = None;
                process.previous_epoch = -1;
                Ok(())
            }
            Told::Beat(Ok(state)) if state.should_shut_down && process.stops_since_ms.is_some() => {
                self.end_in_order(index);
                Ok(())
            }
            Told::Registered(Err(_)) | Told::Beat(_) => Ok(()),
            Told::Altered {
                partition,
                proposal,
                answer,
            } => {
                let Some(replica) = &mut process.replicas[partition] else {
                    return Ok(());
                };
                replica.proposal.take_if(|(latest, _)| *latest == proposal);
                let effects = replica.role.on_isr_answer(&proposal, answer);
                self.carry_out(index, partition, effects)
            }
        }
    }

    fn end_in_order(&mut self, index: usize) {
        let broker = &mut self.brokers[index];
        let Some(process) = broker.process.take() else { return };
        for (log, replica) in broker.logs.iter_mut().zip(&process.replicas) {
            log.sync_to(log.end());
            log.high_watermark = replica.as_ref().map_or(log.high_watermark, Replica::high_watermark);
        }
        broker.ended_in_order = process.epoch;
        broker.life += 1;
        let life = broker.life;
        let after_ms = self.random.between(5..=400);
        self.queue.after(after_ms, Event::Start { broker: index, life });
    }

    /// Acts on a version of the metadata, once its own registration is in it: until then it does not know what has become of its partitions.
    pub(super) fn apply(&mut self, index: usize, version: usize) -> Result<(), Violation> {
        let image = self.controller.images[version].clone();
        let now_ms = self.queue.now_ms();
        let broker = &mut self.brokers[index];
        let (id, local_ms) = (broker.id, broker.local_ms(now_ms));
        let Some(process) = &mut broker.process else { return Ok(()) };
        if version <= process.applied {
            return Ok(());
        }
        process.applied = version;
        let registered = image.broker(id).map(|known| known.epoch);
        if process.epoch.is_none() || registered != process.epoch {
            return Ok(());
        }
        for partition in 0..self.plan.partitions {
            let Some(known) = partition_of(&image, partition) else { continue };
            if known.replicas.contains(&id) {
                self.assign(index, partition, known, local_ms)?;
            } else {
                self.forget(index, partition);
            }
        }
        Ok(())
    }

    fn forget(&mut self, index: usize, partition: usize) {
        let broker = &mut self.brokers[index];
        if let Some(process) = &mut broker.process {
            process.replicas[partition] = None;
        }
        broker.logs[partition].reset(0);
    }

    fn assign(&mut self, index: usize, partition: usize, known: &PartitionImage, local_ms: i64) -> Result<(), Violation> {
        let rules = self.plan.rules;
        let mutant = self.mutant;
        let broker = &mut self.brokers[index];
        let id = broker.id;
        let (Some(process), log) = (&mut broker.process, &mut broker.logs[partition]) else {
            return Ok(());
        };
        let replica = process.replicas[partition].get_or_insert_with(|| {
            let high_watermark = log.high_watermark.clamp(log.start(), log.end());
            Replica::new(id, rules, high_watermark)
        });
        if replica.partition_epoch == known.partition_epoch {
            return Ok(());
        }
        replica.partition_epoch = known.partition_epoch;
        let before = replica.role.leader_epoch();
        let assignment = Assignment {
            leader: known.leader,
            leader_epoch: if mutant == Some(Mutant::EpochNotBumped) {
                LeaderEpoch(0)
            } else {
                known.leader_epoch
            },
            partition_epoch: known.partition_epoch,
            replicas: known.replicas.clone(),
            isr: known.isr.clone(),
        };
        let follows_anew = known.leader_epoch > before && known.leader != id && !known.leader.is_none();
        if mutant == Some(Mutant::TruncateToHighWatermark) && follows_anew && replica.high_watermark() < log.end() {
            let to = replica.high_watermark();
            self.checker.truncation(id, log, partition, to)?;
            log.truncate(to);
        }
        let effects = replica.role.on_assignment(&assignment, log.bounds(), local_ms);
        if replica.role.leader_epoch() > before {
            replica.fetch = None;
            replica.proposal = None;
            replica.epoch_start = None;
            if replica.is_leader() {
                replica.epoch_start = Some((known.leader_epoch, log.end()));
                self.checker.windows(id, log)?;
            }
        }
        self.carry_out(index, partition, effects)
    }

    /// Carries out what a partition asks for, and looks at what it has become.
    pub(super) fn carry_out(&mut self, index: usize, partition: usize, effects: Vec<Effect>) -> Result<(), Violation> {
        self.checker.replica(self.controller.image(), &mut self.brokers, index, partition)?;
        for effect in effects {
            match effect {
                Effect::Sync => self.plan_sync(index, partition),
                Effect::Fetch => self.plan_fetch(index, partition),
                Effect::WakeFetch { parked } => match parked {},
                Effect::AnswerProduce { parked, outcome } => {
                    self.acknowledge(index, partition, parked, outcome.map(|()| parked.offset))?;
                }
                Effect::ProposeIsr(proposal) => {
                    let now_ms = self.queue.now_ms();
                    let Some(process) = &mut self.brokers[index].process else {
                        continue;
                    };
                    let (Some(epoch), Some(replica)) = (process.epoch, &mut process.replicas[partition]) else {
                        continue;
                    };
                    replica.proposal = Some((proposal.clone(), now_ms));
                    let ask = Ask::Alter {
                        epoch,
                        partition,
                        proposal,
                    };
                    self.send(index, CONTROLLER, Body::Ask(ask));
                }
            }
        }
        Ok(())
    }

    fn plan_sync(&mut self, index: usize, partition: usize) {
        let after_ms = self.random.between(0..=self.plan.sync_ms_max);
        let life = self.brokers[index].life;
        let Some((log, replica)) = self.brokers[index].replica(partition) else {
            return;
        };
        if std::mem::replace(&mut replica.sync_is_planned, true) {
            return;
        }
        let event = Event::Synced {
            broker: index,
            life,
            partition,
            to: log.end(),
            cuts: log.cuts,
        };
        self.queue.after(after_ms, event);
    }

    pub(super) fn synced(&mut self, index: usize, partition: usize, to: i64, cuts: u32) -> Result<(), Violation> {
        let rules = self.plan.rules;
        let is_commit = [rules.durability, rules.durability_alone].contains(&Durability::Synced);
        let Some((log, replica)) = self.brokers[index].replica(partition) else {
            return Ok(());
        };
        replica.sync_is_planned = false;
        let mut effects = Vec::new();
        // What was written after a cut is not what was synced.
        if log.cuts == cuts {
            log.sync_to(to);
            effects = replica.role.on_synced(Offset(log.synced()));
        }
        if is_commit && log.synced() < log.end() {
            effects.push(Effect::Sync);
        }
        self.carry_out(index, partition, effects)
    }

    /// The next fetch is due: at once while there is more to read, else after a while.
    fn plan_fetch(&mut self, index: usize, partition: usize) {
        let pause_ms = self.random.between(5..=40);
        let life = self.brokers[index].life;
        let Some((_, replica)) = self.brokers[index].replica(partition) else {
            return;
        };
        let after_ms = if replica.is_idle { pause_ms } else { 0 };
        let event = Event::Fetch {
            broker: index,
            life,
            partition,
        };
        self.queue.after(after_ms, event);
    }

    pub(super) fn fetch(&mut self, index: usize, partition: usize) {
        let now_ms = self.queue.now_ms();
        let broker = &mut self.brokers[index];
        let Some(epoch) = broker.process.as_ref().and_then(|process| process.epoch) else {
            return;
        };
        let id = broker.id;
        let Some((log, replica)) = broker.replica(partition) else { return };
        if replica.fetch.is_some() {
            return;
        }
        let Some(position) = replica.role.next_fetch(log.last_epoch()) else {
            return;
        };
        replica.fetch = Some((position.token, position.offset.0, now_ms));
        let fetch = FollowerFetch {
            replica: id,
            broker_epoch: epoch,
            active_epoch: None,
            current_leader_epoch: position.current_leader_epoch,
            offset: position.offset,
            last_fetched_epoch: position.last_fetched_epoch,
            log_start: Offset(log.start()),
        };
        let body = Body::Fetch {
            partition,
            token: position.token,
            fetch,
        };
        self.send(index, position.leader.0 as usize - 1, body);
    }

    /// A leader serves a follower.
    pub(super) fn serve(
        &mut self,
        index: usize,
        from: usize,
        from_life: u32,
        partition: usize,
        token: FetchToken,
        fetch: FollowerFetch,
    ) -> Result<(), Violation> {
        let now_ms = self.queue.now_ms();
        let count_max = self.plan.fetch_records_max;
        let broker = &mut self.brokers[index];
        let (id, local_ms) = (broker.id, broker.local_ms(now_ms));
        let Some(process) = &broker.process else { return Ok(()) };
        let known = self.controller.images[process.applied].broker(fetch.replica);
        let active_epoch = known.filter(|known| known.is_active()).map(|known| known.epoch);
        let fetch = FollowerFetch { active_epoch, ..fetch };
        let answered = match broker.replica(partition) {
            None => Err(ErrorCode::UnknownTopicOrPartition),
            Some((log, replica)) => {
                let leader_epoch = replica.role.leader_epoch();
                let epoch_end = |epoch| log.epoch_end_as_leader(leader_epoch, epoch);
                replica.role.on_follower_fetch(&fetch, Offset(log.start()), epoch_end, local_ms)
            }
        };
        self.note("Fetch", answered.as_ref().err().map_or(0, |error| error.code()));
        let mut planned = Vec::new();
        let answer = match (answered, self.brokers[index].replica(partition)) {
            (Err(ErrorCode::OffsetOutOfRange), Some((log, _))) => Fetched::OutOfRange {
                log_start: Offset(log.start()),
                log_end: Offset(log.end()),
            },
            (Ok((FollowerAnswer::Diverging(end), _)), _) => Fetched::Diverging(end),
            (Ok((FollowerAnswer::Read, effects)), Some((log, replica))) => {
                self.checker.served(id, replica, &fetch)?;
                if effects.iter().any(|effect| matches!(effect, Effect::ProposeIsr(_))) {
                    self.checker.expansion(id, replica, fetch.offset.0)?;
                }
                planned = effects;
                Fetched::Records {
                    offset: fetch.offset.0,
                    records: Rc::from(log.read(fetch.offset.0, count_max)),
                    high_watermark: replica.role.high_watermark(),
                    log_start: Offset(log.start()),
                }
            }
            (Err(_), _) => Fetched::Failed,
            (Ok(_), None) => return Ok(()),
        };
        let body = Body::Fetched { partition, token, answer };
        self.answer(index, from, from_life, body);
        self.carry_out(index, partition, planned)
    }

    /// A follower has its answer.
    pub(super) fn fetched(&mut self, index: usize, partition: usize, token: FetchToken, answer: Fetched) -> Result<(), Violation> {
        let learns = self.mutant != Some(Mutant::DedupNotRebuilt);
        let trusts_any = self.mutant == Some(Mutant::Machine(Machine::StaleFetchAnswer));
        let broker = &mut self.brokers[index];
        let id = broker.id;
        let Some((log, replica)) = broker.replica(partition) else {
            return Ok(());
        };
        let told = match &answer {
            Fetched::Records {
                high_watermark, log_start, ..
            } => FetchAnswer::Records {
                high_watermark: *high_watermark,
                log_start: *log_start,
            },
            Fetched::Diverging(end) => FetchAnswer::Diverging(*end),
            Fetched::OutOfRange { log_start, log_end } => FetchAnswer::OutOfRange {
                log_start: *log_start,
                log_end: *log_end,
            },
            Fetched::Failed => FetchAnswer::Failed,
        };
        let step = replica.role.on_fetch_answer(token, told, |epoch| log.epoch_end(epoch));
        if step == FollowerStep::Ignore {
            return Ok(());
        }
        if !trusts_any || replica.fetch.is_some_and(|(latest, ..)| latest == token) {
            replica.fetch = None;
        }
        replica.is_idle = false;
        match (step, answer) {
            (FollowerStep::Append { log_start }, Fetched::Records { offset, records, .. }) => {
                if offset != log.end() {
                    return Ok(());
                }
                replica.is_idle = records.is_empty();
                records.iter().for_each(|record| log.append(*record, learns));
                log.delete_before(log_start.0);
            }
            (FollowerStep::TruncateTo(to), _) => {
                self.checker.truncation(id, log, partition, to.0)?;
                log.truncate(to.0);
            }
            (FollowerStep::ResetTo(to), _) => log.reset(to.0),
            _ => {
                let life = self.brokers[index].life;
                let event = Event::Fetch {
                    broker: index,
                    life,
                    partition,
                };
                self.queue.after(BACK_OFF_MS, event);
                return Ok(());
            }
        }
        let effects = replica.role.on_followed(log.bounds());
        self.carry_out(index, partition, effects)
    }

    /// A leader takes a batch.
    pub(super) fn produce(&mut self, index: usize, produce: Produce) -> Result<(), Violation> {
        let Produce { partition, acks, .. } = produce;
        let at_once = self.mutant == Some(Mutant::DuplicateAckedAtOnce);
        let Some((log, replica)) = self.brokers[index].replica(partition) else {
            return self.refuse(index, produce, ErrorCode::UnknownTopicOrPartition);
        };
        let checked = replica.role.leader(LeaderEpoch::NONE).and_then(|leader| leader.check_acks(acks));
        if let Err(error) = checked {
            return self.refuse(index, produce, error);
        }
        let sequence = if produce.id == 0 {
            Sequence::Next
        } else {
            log.sequence(produce.id, produce.sequence)
        };
        let mut effects = Vec::new();
        let mut answers_now = false;
        let offset = match sequence {
            Sequence::OutOfOrder => return self.refuse(index, produce, ErrorCode::OutOfOrderSequenceNumber),
            Sequence::DuplicateOf(offset) => {
                answers_now = at_once;
                offset
            }
            Sequence::Next => {
                let offset = log.end();
                let record = Record {
                    epoch: replica.role.leader_epoch().0,
                    producer: produce.id,
                    sequence: produce.sequence,
                    value: produce.value,
                };
                log.append(record, true);
                effects = replica.role.on_append(Offset(log.end()), 1);
                offset
            }
        };
        let ticket = Ticket {
            producer: produce.producer,
            attempt: produce.attempt,
            acks,
            offset,
            value: produce.value,
        };
        answers_now |= replica.role.is_acknowledged(acks, Offset(offset + 1));
        if !answers_now {
            replica.role.park_produce(acks, Offset(offset + 1), ticket);
        }
        self.carry_out(index, partition, effects)?;
        if answers_now && acks != Acks::None {
            self.acknowledge(index, partition, ticket, Ok(offset))
        } else {
            Ok(())
        }
    }

    fn refuse(&mut self, index: usize, produce: Produce, error: ErrorCode) -> Result<(), Violation> {
        let Produce {
            producer, attempt, acks, ..
        } = produce;
        self.note("Produce", error.code());
        if acks != Acks::None {
            let outcome = Err(error);
            self.send(
                index,
                CLIENTS,
                Body::Produced {
                    producer,
                    attempt,
                    outcome,
                },
            );
        }
        Ok(())
    }

    fn acknowledge(&mut self, index: usize, partition: usize, ticket: Ticket, outcome: Outcome) -> Result<(), Violation> {
        self.note("Produce", outcome.err().map_or(0, ErrorCode::code));
        if outcome.is_ok() {
            let broker = &self.brokers[index];
            self.checker.acknowledged(broker.id, &broker.logs[partition], partition, ticket)?;
        }
        let Ticket { producer, attempt, .. } = ticket;
        self.send(
            index,
            CLIENTS,
            Body::Produced {
                producer,
                attempt,
                outcome,
            },
        );
        Ok(())
    }
}
