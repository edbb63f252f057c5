//! The world of the quorum: the real `dohle-quorum`, openraft included, on a clock, a network and disks of this simulation. Nodes lose
//! their power and what they had not synced, links break in one direction or both, voters come and go.
//!
//! Start with `world.rs`; `check.rs` says what must never happen (I13), and the end of `world.rs` what must happen in the end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use openraft::AsyncRuntime;
use openraft_rt_sim::SimRuntime;

use crate::outcome::Outcome;
use check::Checker;
use world::World;

mod check;
mod client;
mod network;
mod surroundings;
mod world;

/// Runs the world of one seed.
pub fn run(seed: u64, print: bool) -> Outcome {
    surroundings::reseed(seed);
    let checker = Checker::new(print);
    // The runtime ends last: what the nodes have left behind belongs to it.
    let mut runtime = SimRuntime::with_seed(seed);
    let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(World::new(seed, checker.clone()).run())));
    let (mut outcome, violation) = checker.outcome();
    outcome.violation = match result {
        Ok(result) => violation.or(result.err().map(|violation| violation.0)),
        Err(panic) => Some(format!("panic: {}", message(panic.as_ref()))),
    };
    outcome
}

/// How to see it again.
pub fn replay_command(seed: u64) -> String {
    format!("cargo run -p dohle-sim -- quorum --seed {seed} --trace")
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("?")
}
