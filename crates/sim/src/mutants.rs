//! The seeded bugs of the machines, and the seeds that find them.

use dohle_coordinator::mutant::Mutant;

use crate::outcome::Outcome;
use crate::{cluster, groups, seeds};

/// A mutant of the groups that survives so many seeds is not caught.
pub const SEEDS_MAX: u64 = 500;
/// Of a cluster, likewise: some need several coincidences.
pub const CLUSTER_SEEDS_MAX: u64 = 5_000;
/// Seeds that are run side by side before anybody looks whether one has noticed something.
const SEEDS_AT_ONCE: u64 = 32;

/// How a mutant was caught.
#[derive(Debug)]
pub struct Catch {
    pub mutant: String,
    /// By whom, and what was noticed. None: it got away.
    pub by: Option<(By, String)>,
}

#[derive(Debug, Clone, Copy)]
pub enum By {
    Seed(u64),
    /// A directed schedule: it takes more coincidences than random search comes to.
    Schedule,
}

pub fn catch_groups() -> Vec<Catch> {
    let all = Mutant::ALL.into_iter();
    all.map(|mutant| catch(format!("{mutant:?}"), SEEDS_MAX, |seed| groups::run(seed, Some(mutant), false)))
        .collect()
}

pub fn catch_cluster() -> Vec<Catch> {
    let all = cluster::Mutant::ALL.into_iter();
    all.map(|mutant| {
        let name = mutant.name();
        if !mutant.needs_direction() {
            return catch(name, CLUSTER_SEEDS_MAX, |seed| cluster::run(seed, Some(mutant), false));
        }
        let by = cluster::run_directed(Some(mutant))
            .violation
            .map(|violation| (By::Schedule, violation));
        Catch { mutant: name, by }
    })
    .collect()
}

fn catch(mutant: String, seeds_max: u64, world: impl Fn(u64) -> Outcome + Sync) -> Catch {
    let mut from = 0;
    let mut at_once = SEEDS_AT_ONCE;
    while from < seeds_max {
        let to = (from + at_once).min(seeds_max);
        let mut failures = seeds::run(from..to, &world).failures;
        if !failures.is_empty() {
            let (seed, violation) = failures.swap_remove(0);
            let by = Some((By::Seed(seed), violation));
            return Catch { mutant, by };
        }
        from = to;
        at_once *= 2;
    }
    Catch { mutant, by: None }
}

/// In Markdown, for `docs/simulation.md`.
pub fn table(catches: &[Catch]) -> String {
    let mut table = "| mutant | seeds until caught | what was noticed |\n|---|---|---|\n".to_owned();
    for Catch { mutant, by } in catches {
        let (seeds, noticed) = match by {
            Some((By::Seed(seed), violation)) => ((seed + 1).to_string(), shortened(violation)),
            Some((By::Schedule, violation)) => ("directed".to_owned(), shortened(violation)),
            None => ("not caught".to_owned(), String::new()),
        };
        table.push_str(&format!("| `{mutant}` | {seeds} | {noticed} |\n"));
    }
    table
}

fn shortened(violation: &str) -> String {
    let end = violation.floor_char_boundary(110);
    let dots = if end < violation.len() { " ..." } else { "" };
    format!("{}{dots}", &violation[..end]).replace('|', "/").replace('\n', " ")
}
