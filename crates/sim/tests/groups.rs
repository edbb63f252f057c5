//! The world of groups, by the thousand. `DOHLE_SIM_SEEDS` says how many seeds; a few by default.

use dohle_sim::{groups, mutants, seeds};

const SEEDS: u64 = 500;

fn seed_count() -> u64 {
    std::env::var("DOHLE_SIM_SEEDS").map_or(SEEDS, |text| text.parse().expect("DOHLE_SIM_SEEDS is a number"))
}

#[test]
fn no_seed_breaks_a_promise() {
    let summary = seeds::run(0..seed_count(), |seed| groups::run(seed, None, false));
    for (seed, violation) in &summary.failures {
        println!("seed {seed}: {violation}\n  replay: {}", groups::replay_command(*seed, None));
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
        ("Join", &[0, 23, 24, 25, 26, 27, 79, 81, 82][..]),
        ("Sync", &[0, 22, 23, 25, 27, 82]),
        ("Heartbeat", &[0, 22, 25, 27, 82]),
        ("Leave", &[0, 25]),
        ("Commit", &[0, 12, 22, 25, 27, 69, 82]),
        ("Fetch", &[0]),
        ("DeleteOffsets", &[0, 69, 86]),
        ("DeleteGroup", &[0, 68, 69]),
        ("Describe", &[0, 69]),
        ("List", &[0]),
    ];
    for (api, codes) in expected {
        for code in codes {
            assert!(summary.seen.contains_key(&(api, *code)), "{api} was never answered with {code}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..20 {
        let first = groups::run(seed, None, false);
        assert_eq!(first, groups::run(seed, None, false), "seed {seed}");
        assert_ne!(first.hash, groups::run(seed + 1, None, false).hash);
    }
}

#[test]
fn every_mutant_is_caught() {
    // Some of them panic, by design: their messages are of no interest here, but those of a failed assertion below are.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let catches = mutants::catch_groups();
    std::panic::set_hook(hook);
    let escaped: Vec<_> = catches.iter().filter(|catch| catch.by.is_none()).collect();
    assert!(escaped.is_empty(), "{escaped:#?}");
    print!("{}", mutants::table(&catches));
}
