//! The world of clusters, by the thousand. `DOHLE_SIM_SEEDS` says how many seeds; a few by default.

use dohle_sim::{cluster, mutants, seeds};

const SEEDS: u64 = 500;

fn seed_count() -> u64 {
    std::env::var("DOHLE_SIM_SEEDS").map_or(SEEDS, |text| text.parse().expect("DOHLE_SIM_SEEDS is a number"))
}

#[test]
fn no_seed_breaks_a_promise() {
    let summary = seeds::run(0..seed_count(), |seed| cluster::run(seed, None, false));
    for (seed, violation) in &summary.failures {
        println!("seed {seed}: {violation}\n  replay: {}", cluster::replay_command(*seed, None));
    }
    assert!(summary.failures.is_empty(), "{:#?}", summary.failures);
    println!(
        "{} seeds, {} events, {} seeds per minute",
        summary.seeds,
        summary.events,
        summary.seeds_per_minute()
    );

    // A run that never comes to these answers would prove little.
    let expected = [
        ("AlterPartition", &[0, 74, 95, 107][..]),
        ("Fetch", &[0, 1, 3, 6, 74, 75]),
        ("Produce", &[0, 3, 6, 19, 20, 45]),
        ("RegisterBroker", &[0, 101]),
    ];
    for (api, codes) in expected {
        for code in codes {
            assert!(summary.seen.contains_key(&(api, *code)), "{api} was never answered with {code}");
        }
    }
    let count = |what| summary.seen.get(&(what, 0)).copied().unwrap_or(0);
    assert!(
        count("lost of acks=1") > 0 && count("lost of acks=0") > 0,
        "faults that cost nobody anything prove little"
    );
    assert!(count("committed") > 20 * summary.seeds, "little is committed");
    let excused = count("beyond what is promised");
    assert!(excused * 20 < summary.seeds, "{excused} runs ended early");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let first = cluster::run(seed, None, false);
        assert_eq!(first, cluster::run(seed, None, false), "seed {seed}");
        assert_ne!(first.hash, cluster::run(seed + 1, None, false).hash);
    }
}

#[test]
fn the_directed_schedules_break_no_promise() {
    assert_eq!(cluster::run_directed(None).violation, None);
}

#[test]
fn every_mutant_is_caught() {
    // Some of them panic, by design: their messages are of no interest here, but those of a failed assertion below are.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let catches = mutants::catch_cluster();
    std::panic::set_hook(hook);
    let escaped: Vec<_> = catches.iter().filter(|catch| catch.by.is_none()).collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
    let lost: Vec<_> = catches
        .iter()
        .filter(|catch| matches!(&catch.by, Some((_, what)) if what.contains("the schedule does not come to")))
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
    print!("{}", mutants::table(&catches));
}
