//! The world of partitions with many replicas: brokers with the real state machines of `dohle_replication`, the real decisions of the
//! controller, logs in memory, producers; a network that loses, delays, reorders and repeats; and everything that goes wrong with machines.
//!
//! Start with `world.rs`; `shell.rs` is what a broker does around its partitions, `faults.rs` what goes wrong, `check.rs` what must never
//! happen, and `goal.rs` what must happen in the end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dohle_replication::mutant::set_mutant;

use crate::outcome::Outcome;
use crate::random::Random;
use crate::violation::Violation;
pub use mutant::Mutant;
use plan::Plan;
use world::World;

mod broker;
mod check;
mod clients;
mod controller;
mod directed;
mod faults;
mod goal;
mod model_log;
mod mutant;
mod plan;
mod producer;
mod shell;
mod world;

/// Runs the world of one seed. The mutant is a bug that is switched on.
pub fn run(seed: u64, mutant: Option<Mutant>, print: bool) -> Outcome {
    run_world(World::new(seed, mutant, print))
}

/// The schedules that random search does not come to, in turn until one of them breaks a promise.
pub fn run_directed(mutant: Option<Mutant>) -> Outcome {
    let run =
        |course: fn(&mut World) -> Result<(), Violation>| run_course(World::with(Plan::quiet(), Random::new(0), mutant, false), course);
    let first = run(directed::late_proposal);
    if first.violation.is_some() {
        return first;
    }
    run(directed::proposal_of_the_process_before)
}

fn run_world(world: World) -> Outcome {
    run_course(world, World::run)
}

fn run_course(mut world: World, course: impl FnOnce(&mut World) -> Result<(), Violation>) -> Outcome {
    set_mutant(match world.mutant {
        Some(Mutant::Machine(machine)) => Some(machine),
        _ => None,
    });
    // The machines assert their own logic: a panic is a defect like any other.
    let result = catch_unwind(AssertUnwindSafe(|| course(&mut world)));
    set_mutant(None);
    let violation = match result {
        Ok(result) => result.err().map(|violation| violation.0),
        Err(panic) => Some(format!("panic: {}", crate::groups::message(panic.as_ref()))),
    };
    Outcome {
        hash: world.trace.hash(),
        events: world.events,
        seen: std::mem::take(&mut world.seen),
        violation,
    }
}

/// How to see it again.
pub fn replay_command(seed: u64, mutant: Option<Mutant>) -> String {
    let mutant = mutant.map_or(String::new(), |mutant| format!(" --mutant {}", mutant.name()));
    format!("cargo run -p dohle-sim -- cluster --seed {seed} --trace{mutant}")
}
