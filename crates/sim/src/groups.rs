//! The world of groups: one shard of the coordinator on a log that commits late and loses its tail, a network that loses, delays and repeats,
//! members that die, stop, lag and come back, strangers that send what nobody should, and people with tools.
//!
//! Start with `world.rs`; `check.rs` says what must never happen, and `goal.rs` what must happen in the end.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dohle_coordinator::mutant::Mutant;

use crate::outcome::Outcome;
use world::{Mutation, World};

mod assignment;
mod check;
mod goal;
mod member;
mod node;
mod offsets_log;
mod operator;
mod plan;
mod refusal;
mod stranger;
mod wording;
mod world;

/// Runs the world of one seed. The mutant is a bug that is switched on in the machine.
pub fn run(seed: u64, mutant: Option<Mutant>, print: bool) -> Outcome {
    let mut world = World::new(seed, print);
    let mutation = Mutation::on(mutant);
    // The machine asserts its own logic: a panic is a defect like any other.
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    drop(mutation);
    let violation = match result {
        Ok(result) => result.err().map(|violation| violation.0),
        Err(panic) => Some(format!("panic: {}", message(panic.as_ref()))),
    };
    let seen: BTreeMap<_, _> = std::mem::take(&mut world.checker.seen);
    Outcome {
        hash: world.trace.hash(),
        events: world.events,
        seen,
        violation,
    }
}

/// How to see it again.
pub fn replay_command(seed: u64, mutant: Option<Mutant>) -> String {
    let mutant = mutant.map_or(String::new(), |mutant| format!(" --mutant {mutant:?}"));
    format!("cargo run -p dohle-sim -- groups --seed {seed} --trace{mutant}")
}

/// What a panic says.
pub(crate) fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}
