//! One world: nodes, clients, and somebody who breaks things for a while. Then everything is mended, and has to work again.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_metadata::controller::Controller;
use dohle_protocol::id::BrokerId;
use dohle_quorum::{NodeId, Quorum, QuorumConfig, Role};
use dohle_storage::FaultyDisk;
use dohle_storage::disk::Disk;
use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use super::check::Checker;
use super::client::{Client, Nodes};
use super::network::{Life, Network};
use super::surroundings::{Simulated, elapsed_ms, sleep_ms};
use crate::random::Random;
use crate::violation::Violation;

/// Not among the first voters: may become one.
const SPARE: NodeId = 6;
const OBSERVER: NodeId = 9;
const BREAKING_MS: i64 = 12_000;
const HEALING_MS: i64 = 40_000;
const DIR: &str = "data/__cluster_metadata-0";

pub(super) struct World {
    random: Random,
    checker: Checker,
    network: Network,
    voters: BTreeMap<NodeId, String>,
    disks: BTreeMap<NodeId, FaultyDisk>,
    nodes: Nodes,
}

impl World {
    pub(super) fn new(seed: u64, checker: Checker) -> World {
        let mut random = Random::new(seed);
        let count = *random.pick(&[1, 3, 3, 3, 5]);
        World {
            random,
            checker,
            network: Network::default(),
            voters: (1..=count).map(|id| (id, id.to_string())).collect(),
            disks: BTreeMap::new(),
            nodes: Nodes::default(),
        }
    }

    pub(super) async fn run(mut self) -> Result<(), Violation> {
        self.set_quality();
        for id in self.everybody() {
            self.start(id).await?;
        }
        let enough = Life::begin();
        let client = Client {
            nodes: Arc::clone(&self.nodes),
            checker: self.checker.clone(),
            next_broker: Arc::default(),
            enough: enough.clone(),
        };
        for _ in 0..3 {
            drop(SimRuntime::spawn(client.clone().run()));
        }
        drop(SimRuntime::spawn(watch(
            Arc::clone(&self.nodes),
            self.checker.clone(),
            enough.clone(),
        )));
        while elapsed_ms() < BREAKING_MS {
            let pause_ms = self.random.between(50..=900);
            sleep_ms(pause_ms).await;
            self.break_something().await?;
            self.checker.verdict()?;
        }
        self.mend().await?;
        let outcome = self.come_to_rest(&client, &enough).await;
        enough.end();
        outcome?;
        self.checker.verdict()
    }

    fn everybody(&self) -> Vec<NodeId> {
        self.voters.keys().copied().chain([SPARE, OBSERVER]).collect()
    }

    async fn start(&mut self, id: NodeId) -> Result<(), Violation> {
        let disk = self.disks.entry(id).or_default().clone();
        // The directory above is somebody else's care.
        let above = disk.create_dir("data".as_ref()).and_then(|()| disk.sync_dir("".as_ref()));
        above.map_err(|error| Violation(error.to_string()))?;
        let life = Life::begin();
        let config = QuorumConfig {
            node_id: id,
            role: if id == OBSERVER { Role::Observer } else { Role::Voter },
            cluster_id: None,
            dir: DIR.into(),
            voters: if id == SPARE { BTreeMap::new() } else { self.voters.clone() },
            // Whoever votes in the end, it has to know one of them.
            bootstrap: vec![SPARE.to_string()],
            peers: self.network.exit_of(id, &life),
            controller: Controller::new(BrokerId(id as i32)),
        };
        let started = Quorum::<Simulated>::start(config, Arc::new(disk)).await;
        let quorum = Arc::new(started.map_err(|error| Violation(format!("node {id} does not start: {error}")))?);
        self.network.connect(id, &quorum, &life);
        drop(SimRuntime::spawn(follow(
            id,
            Arc::downgrade(&quorum),
            life.clone(),
            self.checker.clone(),
        )));
        self.checker.line("start", 0, format_args!("{id}"), "Start");
        self.nodes.lock().insert(id, (quorum, life));
        Ok(())
    }

    /// Its power fails: what was not synced is gone, or not.
    fn kill(&mut self, id: NodeId) {
        let Some((node, life)) = self.nodes.lock().remove(&id) else {
            return;
        };
        life.end();
        drop(node);
        let seed = self.random.draw();
        if let Some(disk) = self.disks.get_mut(&id) {
            *disk = disk.crash(seed);
        }
        self.checker.line("kill", 0, format_args!("{id}"), "Kill");
    }

    fn set_quality(&mut self) {
        let loss = *self.random.pick(&[0, 0, 10, 50]);
        let delay_us_max = *self.random.pick(&[500, 2_000, 10_000, 40_000]);
        self.network.set_quality(loss, delay_us_max);
    }

    async fn break_something(&mut self) -> Result<(), Violation> {
        let everybody = self.everybody();
        let id = *self.random.pick(&everybody);
        match self.random.below(12) {
            0..=2 => self.kill(id),
            3..=6 => {
                let dead: Vec<NodeId> = everybody.into_iter().filter(|id| !self.nodes.lock().contains_key(id)).collect();
                if !dead.is_empty() {
                    let id = *self.random.pick(&dead);
                    self.start(id).await?;
                }
            }
            7 => self.cut(id, &everybody),
            8 => {
                self.network.heal();
                self.checker.line("heal", 0, format_args!(""), "Heal");
            }
            9 => self.set_quality(),
            10 => self.change_voters(id),
            _ if self.random.chance(100) => everybody.into_iter().for_each(|id| self.kill(id)),
            _ => self.transfer(id),
        }
        Ok(())
    }

    fn cut(&mut self, id: NodeId, everybody: &[NodeId]) {
        let ways = self.random.below(3);
        for other in everybody.iter().filter(|other| **other != id) {
            if ways != 1 {
                self.network.cut(id, *other);
            }
            if ways != 2 {
                self.network.cut(*other, id);
            }
        }
        self.checker.line("cut", ways as i16, format_args!("{id} {ways}"), "Cut");
    }

    fn leader(&self) -> Option<(NodeId, Arc<Quorum<Simulated>>)> {
        let nodes = self.nodes.lock();
        let leads = |(id, (node, _)): (&NodeId, &(Arc<Quorum<Simulated>>, Life))| {
            (node.status().leader == Some(*id)).then(|| (*id, Arc::clone(node)))
        };
        nodes.iter().filter_map(leads).max_by_key(|(_, node)| node.status().leader_epoch)
    }

    fn change_voters(&mut self, id: NodeId) {
        let Some((_, leader)) = self.leader() else { return };
        let voters: Vec<NodeId> = leader.status().voters.iter().map(|voter| voter.node_id).collect();
        let checker = self.checker.clone();
        drop(SimRuntime::spawn(async move {
            let (what, outcome) = if voters.contains(&id) && voters.len() > 1 {
                ("Remove", leader.remove_voter(id).await)
            } else if !voters.contains(&id) && id != OBSERVER {
                ("Add", leader.add_voter(id, id.to_string()).await)
            } else {
                return;
            };
            let code = i16::from(outcome.is_err());
            checker.line("change", code, format_args!("{what} {id}: {outcome:?}"), what);
        }));
    }

    fn transfer(&mut self, id: NodeId) {
        let Some((_, leader)) = self.leader() else { return };
        let checker = self.checker.clone();
        drop(SimRuntime::spawn(async move {
            let outcome = leader.transfer_leader(id).await;
            checker.line(
                "transfer",
                i16::from(outcome.is_err()),
                format_args!("{id}: {outcome:?}"),
                "Transfer",
            );
        }));
    }

    async fn mend(&mut self) -> Result<(), Violation> {
        self.network.heal();
        self.network.set_quality(0, 1_000);
        for id in self.everybody() {
            if !self.nodes.lock().contains_key(&id) {
                self.start(id).await?;
            }
        }
        self.checker.line("mended", 0, format_args!(""), "Mended");
        Ok(())
    }

    /// Within a time, somebody leads, and all voters and the observer have the same metadata.
    async fn come_to_rest(&mut self, client: &Client, enough: &Life) -> Result<(), Violation> {
        let deadline_ms = elapsed_ms() + HEALING_MS;
        let mut works_for = 0;
        while works_for < 20 {
            self.checker.verdict()?;
            if elapsed_ms() > deadline_ms {
                return Err(Violation(format!("everything is mended, and nothing works: {}", self.describe())));
            }
            sleep_ms(50).await;
            let Some((id, _)) = self.leader() else { continue };
            if client.register(Some(id)).await == Some(id) {
                works_for += 1;
            }
        }
        enough.end();
        // The clients have given up by now.
        sleep_ms(3_500).await;
        self.agree().await?;
        // Nothing happens any more: who comes now learns everything all the same.
        self.kill(OBSERVER);
        self.start(OBSERVER).await?;
        sleep_ms(2_000).await;
        self.agree().await
    }

    /// Within a time, all voters and the observer have the metadata of the leader.
    async fn agree(&self) -> Result<(), Violation> {
        let deadline_ms = elapsed_ms() + HEALING_MS;
        loop {
            self.checker.verdict()?;
            if let Some((_, leader)) = self.leader() {
                let goal = leader.version();
                let voters = leader.status().voters;
                let members = voters.iter().map(|voter| voter.node_id).chain([OBSERVER]);
                let nodes = self.nodes.lock().clone();
                if members.into_iter().all(|id| nodes[&id].0.version().offset == goal.offset) {
                    self.checker.on_end(&goal.image);
                    return Ok(());
                }
            }
            if elapsed_ms() > deadline_ms {
                return Err(Violation(format!(
                    "everything is mended, and not all have the metadata: {}",
                    self.describe()
                )));
            }
            sleep_ms(50).await;
        }
    }

    fn describe(&self) -> String {
        let nodes = self.nodes.lock();
        let told = nodes.iter().map(|(id, (node, _))| {
            let status = node.status();
            let voters: Vec<NodeId> = status.voters.iter().map(|voter| voter.node_id).collect();
            format!(
                "{id}: leader {:?} in term {}, at {}, voters {voters:?}",
                status.leader,
                status.leader_epoch.0,
                node.version().offset.0
            )
        });
        told.collect::<Vec<_>>().join("; ")
    }
}

/// Checks every version of the metadata that one node hands out.
async fn follow(id: NodeId, node: std::sync::Weak<Quorum<Simulated>>, life: Life, checker: Checker) {
    let Some(mut subscription) = node.upgrade().map(|node| node.subscribe()) else {
        return;
    };
    checker.on_version(id, &subscription.start);
    while let Some(change) = subscription.changes.recv().await {
        if !life.goes_on() {
            return;
        }
        checker.on_version(id, &change.version);
    }
}

async fn watch(nodes: Nodes, checker: Checker, enough: Life) {
    while enough.goes_on() {
        let nodes: Vec<_> = nodes.lock().iter().map(|(id, (node, _))| (*id, Arc::clone(node))).collect();
        for (id, node) in nodes {
            checker.on_status(id, &node.status());
        }
        sleep_ms(50).await;
    }
}
