//! Replays one seed, or runs many: `cargo run -p dohle-sim -- groups --seed 7 --trace`.

use anyhow::{Result, bail};
use clap::{Args, Parser};
use dohle_coordinator::mutant::Mutant;
use dohle_sim::outcome::Outcome;
use dohle_sim::seeds::Summary;
use dohle_sim::{cluster, groups, mutants, quorum, seeds};

/// Seeded simulations of the pure machines.
#[derive(Debug, Parser)]
enum World {
    /// The coordinator of groups.
    Groups(Machines),
    /// Partitions of many replicas, and the controller
    Cluster(Machines),
    /// The metadata quorum: the real code, on simulated networks and disks
    Quorum(Quorum),
}

#[derive(Debug, Args)]
struct Quorum {
    /// Replays one seed
    #[arg(long)]
    seed: Option<u64>,
    /// Runs so many seeds, from 0
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// Prints what happens
    #[arg(long, requires = "seed")]
    trace: bool,
}

#[derive(Debug, Args)]
struct Machines {
    /// Replays one seed
    #[arg(long)]
    seed: Option<u64>,
    /// Runs so many seeds, from 0
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// Prints what happens
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Switches a seeded bug on, by its name
    #[arg(long)]
    mutant: Option<String>,
    /// Catches all seeded bugs, and prints the table for the documentation
    #[arg(long, conflicts_with_all = ["seed", "mutant"])]
    mutants: bool,
}

fn main() -> Result<()> {
    match World::parse() {
        World::Groups(arguments) => run_groups(&arguments),
        World::Cluster(arguments) => run_cluster(&arguments),
        World::Quorum(arguments) => run_quorum(&arguments),
    }
}

fn run_quorum(arguments: &Quorum) -> Result<()> {
    if let Some(seed) = arguments.seed {
        return report_seed(seed, quorum::run(seed, arguments.trace));
    }
    let summary = seeds::run(0..arguments.seeds, |seed| quorum::run(seed, false));
    report(&summary, quorum::replay_command)
}

fn run_cluster(arguments: &Machines) -> Result<()> {
    if arguments.mutants {
        std::panic::set_hook(Box::new(|_| {}));
        print!("{}", mutants::table(&mutants::catch_cluster()));
        return Ok(());
    }
    let mutant = arguments.mutant.as_deref().map(cluster_mutant).transpose()?;
    if let Some(seed) = arguments.seed {
        return report_seed(seed, cluster::run(seed, mutant, arguments.trace));
    }
    let summary = seeds::run(0..arguments.seeds, |seed| cluster::run(seed, mutant, false));
    report(&summary, |seed| cluster::replay_command(seed, mutant))
}

fn cluster_mutant(name: &str) -> Result<cluster::Mutant> {
    let mut all = cluster::Mutant::ALL.into_iter();
    all.find(|mutant| mutant.name() == name).ok_or_else(|| {
        anyhow::anyhow!(
            "no mutant is named {name}; there are {:?}",
            cluster::Mutant::ALL.map(cluster::Mutant::name)
        )
    })
}

fn run_groups(arguments: &Machines) -> Result<()> {
    if arguments.mutants {
        std::panic::set_hook(Box::new(|_| {}));
        print!("{}", mutants::table(&mutants::catch_groups()));
        return Ok(());
    }
    let mutant = arguments.mutant.as_deref().map(by_name).transpose()?;
    if let Some(seed) = arguments.seed {
        return report_seed(seed, groups::run(seed, mutant, arguments.trace));
    }
    let summary = seeds::run(0..arguments.seeds, |seed| groups::run(seed, mutant, false));
    report(&summary, |seed| groups::replay_command(seed, mutant))
}

fn report_seed(seed: u64, outcome: Outcome) -> Result<()> {
    println!("seed {seed}: {} events, hash {:016x}", outcome.events, outcome.hash);
    outcome.violation.map_or(Ok(()), |violation| bail!("{violation}"))
}

fn report(summary: &Summary, replay_command: impl Fn(u64) -> String) -> Result<()> {
    for (seed, violation) in &summary.failures {
        println!("seed {seed}: {violation}\n  replay: {}", replay_command(*seed));
    }
    for ((api, code), count) in &summary.seen {
        println!("{api:>14} {code:>4} {count:>10}");
    }
    println!(
        "{} seeds, {} events, {} seeds per minute",
        summary.seeds,
        summary.events,
        summary.seeds_per_minute()
    );
    if summary.failures.is_empty() {
        Ok(())
    } else {
        bail!("{} seeds failed", summary.failures.len())
    }
}

fn by_name(name: &str) -> Result<Mutant> {
    let found = Mutant::ALL.into_iter().find(|mutant| format!("{mutant:?}") == name);
    found.ok_or_else(|| anyhow::anyhow!("no mutant is named {name}; there are {:?}", Mutant::ALL))
}
