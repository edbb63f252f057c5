//! The seeded bugs of the machines, and the seeds that find them.

use dohle_coordinator::mutant::Mutant;

use crate::groups;

/// A mutant that survives so many seeds is not caught.
pub const SEEDS_MAX: u64 = 500;

/// How a mutant was caught.
#[derive(Debug)]
pub struct Catch {
    pub mutant: Mutant,
    /// The seed, and what it noticed. None: it got away.
    pub by: Option<(u64, String)>,
}

pub fn catch_all() -> Vec<Catch> {
    Mutant::ALL.into_iter().map(catch).collect()
}

fn catch(mutant: Mutant) -> Catch {
    let mut seeds = 0..SEEDS_MAX;
    let by = seeds.find_map(|seed| groups::run(seed, Some(mutant), false).violation.map(|violation| (seed, violation)));
    Catch { mutant, by }
}

/// In Markdown, for `docs/simulation.md`.
pub fn table(catches: &[Catch]) -> String {
    let mut table = "| mutant | seeds until caught | what was noticed |\n|---|---|---|\n".to_owned();
    for Catch { mutant, by } in catches {
        let (seeds, noticed) = match by {
            Some((seed, violation)) => ((seed + 1).to_string(), shortened(violation)),
            None => ("not caught".to_owned(), String::new()),
        };
        table.push_str(&format!("| `{mutant:?}` | {seeds} | {noticed} |\n"));
    }
    table
}

fn shortened(violation: &str) -> String {
    let end = violation.floor_char_boundary(110);
    let dots = if end < violation.len() { " ..." } else { "" };
    format!("{}{dots}", &violation[..end]).replace('|', "/").replace('\n', " ")
}
