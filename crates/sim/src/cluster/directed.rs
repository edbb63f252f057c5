//! Schedules that are written down, because random search does not come to them.

use dohle_protocol::id::BrokerId;

use super::world::{Ask, Body, Envelope, Event, World};
use crate::violation::{Violation, demand};

const PATIENCE_MS: i64 = 10_000;

/// A proposal is kept back by the network. A copy that is sent later is rejected, as the follower is fenced at the time; then the follower is
/// back, and the first copy arrives and is accepted.
pub(super) fn late_proposal(world: &mut World) -> Result<(), Violation> {
    until(world, "both replicas are in sync", |world| members(world) == 2)?;
    let known = world.controller.partition(0).expect("it has members");
    let leader = known.leader;
    let follower = *known.isr.iter().find(|id| **id != leader).expect("there are two");
    let (leader, index) = (leader.0 as usize - 1, follower.0 as usize - 1);

    pause(world, index);
    until(world, "the follower is fenced", move |world| !is_active(world, follower))?;
    demand!(members(world) == 1, "a fenced broker is in sync");
    world.holds = |body| matches!(body, Body::Ask(Ask::Alter { .. }));
    resume(world, index);
    until(world, "the follower is proposed", |world| !world.held.is_empty())?;
    let first = world.held.remove(0);

    pause(world, index);
    until(world, "the follower is fenced again", move |world| !is_active(world, follower))?;
    world.held.clear();
    until(world, "the proposal is sent again", |world| !world.held.is_empty())?;
    let second = world.held.remove(0);
    deliver(world, second);
    until(world, "it is rejected", |world| world.seen.contains_key(&("AlterPartition", 107)))?;
    for _ in 0..20 {
        world.step()?;
    }

    world.cuts.push((index, leader));
    resume(world, index);
    until(world, "the follower is back", move |world| is_active(world, follower))?;
    deliver(world, first);
    until(world, "the first proposal is accepted", |world| members(world) == 2)?;

    world.holds = |_| false;
    world.held.clear();
    world.queue.after(0, Event::Heal);
    world.run()
}

/// A proposal is kept back by the network. The follower loses its power meanwhile, and is back with less when the proposal arrives.
pub(super) fn proposal_of_the_process_before(world: &mut World) -> Result<(), Violation> {
    until(world, "both replicas are in sync", |world| members(world) == 2)?;
    let known = world.controller.partition(0).expect("it has members");
    let leader = known.leader;
    let follower = *known.isr.iter().find(|id| **id != leader).expect("there are two");
    let (leader, index) = (leader.0 as usize - 1, follower.0 as usize - 1);

    pause(world, index);
    until(world, "the follower is fenced", move |world| !is_active(world, follower))?;
    world.holds = |body| matches!(body, Body::Ask(Ask::Alter { .. }));
    resume(world, index);
    until(world, "the follower is proposed", |world| !world.held.is_empty())?;
    let proposal = world.held.remove(0);

    until(world, "the follower has what is not synced", move |world| {
        let log = &world.brokers[index].logs[0];
        log.synced() < log.end()
    })?;
    world.crash(index, true);
    let log = &mut world.brokers[index].logs[0];
    let synced = log.synced();
    log.truncate(synced);
    world.cuts.push((index, leader));
    until(world, "the follower is fenced again", move |world| !is_active(world, follower))?;
    until(world, "the follower is back", move |world| is_active(world, follower))?;
    deliver(world, proposal);
    until(world, "it is rejected", |world| world.seen.contains_key(&("AlterPartition", 107)))?;

    world.holds = |_| false;
    world.held.clear();
    world.queue.after(0, Event::Heal);
    world.run()
}

fn members(world: &World) -> usize {
    world.controller.partition(0).map_or(0, |known| known.isr.len())
}

fn is_active(world: &World, id: BrokerId) -> bool {
    world.controller.image().brokers().is_active(id)
}

fn until(world: &mut World, what: &str, holds: impl Fn(&World) -> bool) -> Result<(), Violation> {
    let deadline_ms = world.queue.now_ms() + PATIENCE_MS;
    while !holds(world) {
        demand!(world.queue.now_ms() < deadline_ms, "the schedule does not come to where {what}");
        world.step()?;
    }
    Ok(())
}

fn deliver(world: &mut World, envelope: Envelope) {
    world.queue.after(0, Event::Deliver(Box::new(envelope)));
}

/// Its backlog is looked at again and again until it goes on.
fn pause(world: &mut World, index: usize) {
    world.brokers[index].is_stopped = true;
}

fn resume(world: &mut World, index: usize) {
    world.brokers[index].is_stopped = false;
}
