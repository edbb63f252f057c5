//! The course of a run: chaos, then a healed world that has to come to rest. Time, the network, the controller, and who is told what.

use std::collections::BTreeMap;
use std::rc::Rc;

use dohle_metadata::controller::brokers::BrokerState;
use dohle_metadata::controller::{ControllerReply, ControllerRequest};
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, Offset};
use dohle_protocol::messages::broker_heartbeat::BrokerHeartbeatRequest;
use dohle_protocol::messages::broker_registration::BrokerRegistrationRequest;
use dohle_replication::{Acks, Durability, EpochEnd, FetchToken, FollowerFetch, IsrProposal, IsrState};
use uuid::Uuid;

use super::broker::{Broker, Outcome};
use super::check::{Checker, somebody_is_left};
use super::controller::{ActiveController, CLUSTER};
use super::model_log::Record;
use super::mutant::Mutant;
use super::plan::Plan;
use super::producer::Producer;
use crate::queue::Queue;
use crate::random::Random;
use crate::trace::Trace;
use crate::violation::Violation;

pub(super) const START_MS: i64 = 1_000_000;
/// A run that takes more is caught in a loop.
const EVENTS_MAX: u64 = 200_000;
const INSPECT_EVERY_MS: i64 = 50;
/// A healed world is at rest by then.
const REST_WITHIN_MS: i64 = 15_000;
const CONTROLLER_EVERY_MS: i64 = 100;
/// On top of the delay that is usual.
const SPIKE_MS_MAX: i64 = 250;

/// Where messages come from and go to: brokers by index, then these.
pub(super) const CONTROLLER: usize = 10;
pub(super) const CLIENTS: usize = 11;

/// What a leader sends to a follower.
#[derive(Debug, Clone)]
pub(super) enum Fetched {
    Records {
        offset: i64,
        records: Rc<[Record]>,
        high_watermark: Offset,
        log_start: Offset,
    },
    Diverging(EpochEnd),
    OutOfRange {
        log_start: Offset,
        log_end: Offset,
    },
    Failed,
}

#[derive(Debug, Clone)]
pub(super) enum Ask {
    Register {
        incarnation: Uuid,
        previous_epoch: i64,
    },
    Heartbeat {
        epoch: i64,
        applied: usize,
        wants_shut_down: bool,
    },
    Alter {
        epoch: i64,
        partition: usize,
        proposal: IsrProposal,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Told {
    Registered(Result<i64, ErrorCode>),
    Beat(Result<BrokerState, ErrorCode>),
    Altered {
        partition: usize,
        proposal: IsrProposal,
        answer: Result<IsrState, ErrorCode>,
    },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Produce {
    pub(super) partition: usize,
    pub(super) producer: usize,
    pub(super) attempt: u32,
    pub(super) acks: Acks,
    pub(super) id: u16,
    pub(super) sequence: u32,
    pub(super) value: u32,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Fetch {
        partition: usize,
        token: FetchToken,
        fetch: FollowerFetch,
    },
    Fetched {
        partition: usize,
        token: FetchToken,
        answer: Fetched,
    },
    Produce(Produce),
    Produced {
        producer: usize,
        attempt: u32,
        outcome: Outcome,
    },
    Ask(Ask),
    Told(Told),
    Metadata {
        version: usize,
    },
}

/// A connection ends with the process at either end, and what is on it goes with it.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) from: usize,
    pub(super) from_life: u32,
    pub(super) to: usize,
    pub(super) to_life: u32,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Event {
    Deliver(Box<Envelope>),
    Tick {
        broker: usize,
        life: u32,
    },
    Fetch {
        broker: usize,
        life: u32,
        partition: usize,
    },
    Synced {
        broker: usize,
        life: u32,
        partition: usize,
        to: i64,
        cuts: u32,
    },
    Producer {
        producer: usize,
    },
    Start {
        broker: usize,
        life: u32,
    },
    /// The connection of a process broke, and its listener refuses another.
    Gone {
        broker: usize,
        epoch: i64,
    },
    Controller,
    ControllerBack,
    Setup,
    Fault,
    Mend {
        from: usize,
        to: usize,
    },
    Heal,
    Inspect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Setup,
    Chaos,
    Healed,
    Done,
}

pub(super) struct World {
    pub(super) trace: Trace,
    pub(super) events: u64,
    pub(super) seen: BTreeMap<(&'static str, i16), u64>,
    pub(super) mutant: Option<Mutant>,
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) queue: Queue<Event>,
    pub(super) checker: Checker,
    pub(super) controller: ActiveController,
    pub(super) brokers: Vec<Broker>,
    pub(super) producers: Vec<Producer>,
    pub(super) producer_ids: u16,
    /// One-way: from whom nothing arrives where.
    pub(super) cuts: Vec<(usize, usize)>,
    pub(super) stage: Stage,
    deadline_ms: i64,
    /// Of a directed schedule: what is kept back, for as long as it says.
    pub(super) holds: fn(&Body) -> bool,
    pub(super) held: Vec<Envelope>,
}

impl World {
    pub(super) fn new(seed: u64, mutant: Option<Mutant>, print: bool) -> World {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        World::with(plan, random, mutant, print)
    }

    pub(super) fn with(plan: Plan, random: Random, mutant: Option<Mutant>, print: bool) -> World {
        let clocks = plan.clocks.iter().enumerate();
        let producers = plan.producers.iter().enumerate();
        let partitions = plan.partitions;
        let mut world = World {
            trace: Trace::new(print),
            events: 0,
            seen: BTreeMap::new(),
            mutant,
            queue: Queue::starting_at(START_MS),
            checker: Checker::new(partitions, plan.rules.durability),
            controller: ActiveController::new(),
            brokers: clocks.map(|(index, clock)| Broker::new(index, partitions, *clock)).collect(),
            producers: producers
                .map(|(index, acks)| Producer::new(index % partitions, *acks, index as u16 + 1))
                .collect(),
            producer_ids: plan.producers.len() as u16,
            cuts: Vec::new(),
            stage: Stage::Setup,
            deadline_ms: i64::MAX,
            holds: |_| false,
            held: Vec::new(),
            plan,
            random,
        };
        for broker in 0..world.brokers.len() {
            world.queue.after(0, Event::Start { broker, life: 0 });
        }
        world.queue.after(CONTROLLER_EVERY_MS, Event::Controller);
        world.queue.after(100, Event::Setup);
        world
    }

    pub(super) fn run(&mut self) -> Result<(), Violation> {
        while self.stage != Stage::Done {
            self.step()?;
        }
        Ok(())
    }

    /// One event.
    pub(super) fn step(&mut self) -> Result<(), Violation> {
        let Some(event) = self.queue.pop() else {
            return Err(Violation("nothing happens any more".to_owned()));
        };
        if let Some(resumes_ms) = self.is_held(&event) {
            self.queue.at(resumes_ms, event);
            return Ok(());
        }
        self.events += 1;
        if self.events > EVENTS_MAX {
            return Err(Violation(format!("{EVENTS_MAX} events, and no end")));
        }
        self.trace.line(self.queue.now_ms(), format_args!("{event:?}"));
        self.dispatch(event)
    }

    /// A process that is paused finds everything when it goes on.
    fn is_held(&self, event: &Event) -> Option<i64> {
        let broker = match event {
            Event::Deliver(envelope) => envelope.to,
            Event::Tick { broker, .. } | Event::Fetch { broker, .. } | Event::Synced { broker, .. } => *broker,
            _ => return None,
        };
        self.brokers.get(broker)?.resumes_ms(self.queue.now_ms())
    }

    fn dispatch(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Deliver(envelope) => self.deliver(*envelope),
            Event::Tick { broker, life } if self.lives(broker, life) => self.tick(broker),
            Event::Fetch { broker, life, partition } if self.lives(broker, life) => {
                self.fetch(broker, partition);
                Ok(())
            }
            Event::Synced {
                broker,
                life,
                partition,
                to,
                cuts,
            } if self.lives(broker, life) => self.synced(broker, partition, to, cuts),
            Event::Tick { .. } | Event::Fetch { .. } | Event::Synced { .. } => Ok(()),
            Event::Producer { producer } => {
                self.producer(producer);
                Ok(())
            }
            Event::Start { broker, life } => {
                self.start(broker, life);
                Ok(())
            }
            Event::Gone { broker, epoch } => {
                let broker_id = self.brokers[broker].id;
                self.decide(ControllerRequest::FenceBroker {
                    broker_id,
                    broker_epoch: epoch,
                })
                .map(drop)
            }
            Event::Controller => {
                self.queue.after(CONTROLLER_EVERY_MS, Event::Controller);
                self.decide(ControllerRequest::FenceSilentBrokers).map(drop)
            }
            Event::ControllerBack => {
                self.controller.is_up = true;
                Ok(())
            }
            Event::Setup => {
                self.set_up();
                Ok(())
            }
            Event::Fault => self.fault(),
            Event::Mend { from, to } => {
                self.cuts.retain(|cut| *cut != (from, to));
                Ok(())
            }
            Event::Heal => {
                self.heal();
                Ok(())
            }
            Event::Inspect => self.inspect(),
        }
    }

    pub(super) fn lives(&self, broker: usize, life: u32) -> bool {
        self.brokers[broker].life == life && self.brokers[broker].process.is_some()
    }

    /// When all brokers are there, the topic is created and the chaos begins.
    fn set_up(&mut self) {
        let image = self.controller.image();
        if !self.brokers.iter().all(|broker| image.brokers().is_active(broker.id)) {
            self.queue.after(20, Event::Setup);
            return;
        }
        let mut replicas = Vec::new();
        for _ in 0..self.plan.partitions {
            replicas.push(self.draw_replicas());
        }
        self.controller
            .create(self.queue.now_ms(), &replicas, self.plan.rules.min_insync_replicas);
        self.publish();
        self.stage = Stage::Chaos;
        for producer in 0..self.producers.len() {
            self.queue.after(producer as i64, Event::Producer { producer });
        }
        self.queue.after(self.plan.fault_every_ms, Event::Fault);
        self.queue.after(self.plan.chaos_ms, Event::Heal);
    }

    pub(super) fn draw_replicas(&mut self) -> Vec<i32> {
        let mut ids: Vec<i32> = self.brokers.iter().map(|broker| broker.id.0).collect();
        let mut replicas = Vec::new();
        while replicas.len() < self.plan.replicas {
            replicas.push(ids.swap_remove(self.random.below(ids.len())));
        }
        replicas
    }

    fn life_of(&self, site: usize) -> u32 {
        self.brokers.get(site).map_or(0, |broker| broker.life)
    }

    /// Over a network that loses, delays, reorders and repeats.
    pub(super) fn send(&mut self, from: usize, to: usize, body: Body) {
        // A request to the controller is sent once over a connection: copies come from those who ask again.
        let may_repeat = !matches!(body, Body::Ask(_) | Body::Told(_));
        let envelope = Envelope {
            from,
            from_life: self.life_of(from),
            to,
            to_life: self.life_of(to),
            body,
        };
        if may_repeat && self.random.chance(self.plan.duplicate_per_mille) {
            self.send_copy(envelope.clone());
        }
        self.send_copy(envelope);
    }

    fn send_copy(&mut self, envelope: Envelope) {
        if (self.holds)(&envelope.body) {
            self.held.push(envelope);
            return;
        }
        let is_cut = self.cuts.contains(&(envelope.from, envelope.to));
        if is_cut || self.random.chance(self.plan.drop_per_mille) {
            return;
        }
        let mut delay_ms = self.random.between(1..=self.plan.delay_ms_max);
        if self.random.chance(self.plan.spike_per_mille) {
            delay_ms += self.random.between(20..=SPIKE_MS_MAX);
        }
        self.queue.after(delay_ms, Event::Deliver(Box::new(envelope)));
    }

    fn deliver(&mut self, envelope: Envelope) -> Result<(), Violation> {
        let Envelope {
            from,
            from_life,
            to,
            to_life,
            body,
        } = envelope;
        let is_for_broker = to < self.brokers.len();
        if is_for_broker && !self.lives(to, to_life) {
            return Ok(());
        }
        match body {
            Body::Fetch { partition, token, fetch } => self.serve(to, from, from_life, partition, token, fetch),
            Body::Fetched { partition, token, answer } => self.fetched(to, partition, token, answer),
            Body::Produce(produce) => self.produce(to, produce),
            Body::Produced {
                producer,
                attempt,
                outcome,
            } => {
                self.produced(producer, attempt, outcome);
                Ok(())
            }
            Body::Ask(ask) => self.asked(from, from_life, ask),
            Body::Told(told) => self.told(to, told),
            Body::Metadata { version } => self.apply(to, version),
        }
    }

    /// Answers on the connection on which the request came.
    pub(super) fn answer(&mut self, from: usize, to: usize, to_life: u32, body: Body) {
        if self.life_of(to) == to_life {
            self.send(from, to, body);
        }
    }

    /// What the active controller makes of a request; nothing while there is none.
    pub(super) fn decide(&mut self, request: ControllerRequest) -> Result<Option<ControllerReply>, Violation> {
        if !self.controller.is_up {
            return Ok(None);
        }
        let before = self.controller.latest();
        let reply = self.controller.ask(self.queue.now_ms(), request);
        self.on_decided(before)?;
        Ok(Some(reply))
    }

    fn on_decided(&mut self, before: usize) -> Result<(), Violation> {
        if self.controller.latest() > before {
            self.welcome();
            self.check_promise();
            self.checker.metadata(self.controller.image(), &mut self.brokers)?;
            self.publish();
        }
        Ok(())
    }

    /// Who is registered is trusted as far as the controller says.
    fn welcome(&mut self) {
        let image = self.controller.image();
        for broker in &mut self.brokers {
            let Some(process) = &broker.process else { continue };
            if image
                .broker(broker.id)
                .is_some_and(|known| known.incarnation_id == process.incarnation)
            {
                broker.unclean = None;
            }
        }
    }

    /// When everybody who may lead has crashed, and something was lost, nothing is promised (only under `flush.policy=commit`).
    fn check_promise(&mut self) {
        let something_is_lost = self.brokers.iter().any(|broker| broker.unclean == Some(true));
        if self.plan.rules.durability == Durability::Synced || !something_is_lost {
            return;
        }
        let mut partitions = (0..self.plan.partitions).filter_map(|partition| self.controller.partition(partition));
        if partitions.any(|known| !somebody_is_left(known, &self.brokers, None)) {
            self.note("beyond what is promised", 0);
            self.stage = Stage::Done;
        }
    }

    pub(super) fn note(&mut self, what: &'static str, code: i16) {
        *self.seen.entry((what, code)).or_default() += 1;
    }

    fn publish(&mut self) {
        let version = self.controller.latest();
        for broker in 0..self.brokers.len() {
            self.send(CONTROLLER, broker, Body::Metadata { version });
        }
    }

    fn asked(&mut self, from: usize, from_life: u32, ask: Ask) -> Result<(), Violation> {
        let id = self.brokers[from].id;
        let told = match ask {
            Ask::Register {
                incarnation,
                previous_epoch,
            } => self.register(id, incarnation, previous_epoch)?,
            Ask::Heartbeat {
                epoch,
                applied,
                wants_shut_down,
            } => {
                let reply = self.decide(ControllerRequest::BrokerHeartbeat(BrokerHeartbeatRequest {
                    broker_id: id.0,
                    broker_epoch: epoch,
                    current_metadata_offset: applied as i64,
                    want_shut_down: wants_shut_down,
                    ..Default::default()
                }))?;
                let Some(ControllerReply::BrokerHeartbeat(reply)) = reply else {
                    return Ok(());
                };
                Some(Told::Beat(reply.map_err(|refusal| refusal.code)))
            }
            Ask::Alter {
                epoch,
                partition,
                proposal,
            } => {
                if !self.controller.is_up {
                    return Ok(());
                }
                let before = self.controller.latest();
                let answer = self.controller.alter(self.queue.now_ms(), id, epoch, partition, &proposal);
                self.note("AlterPartition", answer.as_ref().err().map_or(0, |error| error.code()));
                self.on_decided(before)?;
                Some(Told::Altered {
                    partition,
                    proposal,
                    answer,
                })
            }
        };
        if let Some(told) = told {
            self.answer(CONTROLLER, from, from_life, Body::Told(told));
        }
        Ok(())
    }

    fn register(&mut self, id: BrokerId, incarnation: Uuid, previous_epoch: i64) -> Result<Option<Told>, Violation> {
        let known = self.controller.image().broker(id).map(|broker| broker.epoch);
        let previous_broker_epoch = match self.mutant {
            Some(Mutant::UncleanStaysInSync) => known.unwrap_or(-1),
            _ => previous_epoch,
        };
        let reply = self.decide(ControllerRequest::RegisterBroker(BrokerRegistrationRequest {
            broker_id: id.0,
            incarnation_id: incarnation,
            cluster_id: CLUSTER.to_owned(),
            previous_broker_epoch,
            ..Default::default()
        }))?;
        let Some(ControllerReply::RegisterBroker(reply)) = reply else {
            return Ok(None);
        };
        let reply = reply.map_err(|refusal| refusal.code);
        self.note("RegisterBroker", reply.err().map_or(0, ErrorCode::code));
        Ok(Some(Told::Registered(reply)))
    }

    /// No fault any more, from here on.
    fn heal(&mut self) {
        self.stage = Stage::Healed;
        self.plan.heal();
        self.cuts.clear();
        self.controller.is_up = true;
        let now_ms = self.queue.now_ms();
        for index in 0..self.brokers.len() {
            let broker = &mut self.brokers[index];
            broker.paused_until_ms = broker.paused_until_ms.min(now_ms);
            if broker.process.is_none() {
                let life = broker.life;
                self.queue.after(1, Event::Start { broker: index, life });
            }
        }
        self.deadline_ms = now_ms + REST_WITHIN_MS;
        self.queue.after(INSPECT_EVERY_MS, Event::Inspect);
    }

    fn inspect(&mut self) -> Result<(), Violation> {
        let Err(what) = self.is_at_rest() else { return self.finish() };
        if self.queue.now_ms() > self.deadline_ms {
            return Err(Violation(format!("the healed world does not come to rest: {what}")));
        }
        self.queue.after(INSPECT_EVERY_MS, Event::Inspect);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Violation> {
        self.stage = Stage::Done;
        *self.seen.entry(("lost of acks=1", 0)).or_default() += self.checker.ledger()?;
        *self.seen.entry(("lost of acks=0", 0)).or_default() += self.checker.unanswered_losses();
        let committed = (0..self.plan.partitions).map(|partition| self.checker.committed_end(partition) as u64);
        *self.seen.entry(("committed", 0)).or_default() += committed.sum::<u64>();
        Ok(())
    }
}
