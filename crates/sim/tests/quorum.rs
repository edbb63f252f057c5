//! The world of the quorum: slower than the others, because real code runs in it. `DOHLE_QUORUM_SEEDS` says how many seeds.

use dohle_sim::{quorum, seeds};

const SEEDS: u64 = 60;

#[test]
fn i13_no_seed_breaks_a_promise() {
    let count = std::env::var("DOHLE_QUORUM_SEEDS").map_or(SEEDS, |text| text.parse().expect("DOHLE_QUORUM_SEEDS is a number"));
    let summary = seeds::run(0..count, |seed| quorum::run(seed, false));
    for (seed, violation) in &summary.failures {
        println!("seed {seed}: {violation}\n  replay: {}", quorum::replay_command(*seed));
    }
    assert!(summary.failures.is_empty(), "{:#?}", summary.failures);
    println!("{} seeds, {} seeds per minute", summary.seeds, summary.seeds_per_minute());

    // A run that never comes to these would prove little.
    let expected = [
        ("Register", &[0, 2, 3][..]),
        ("Allocate", &[0]),
        ("Kill", &[0]),
        ("Cut", &[0, 1, 2]),
        ("Add", &[0]),
        ("Remove", &[0]),
        ("Transfer", &[0]),
    ];
    for (what, codes) in expected {
        for code in codes {
            assert!(summary.seen.contains_key(&(what, *code)), "{what} never ended with {code}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in 0..4 {
        let first = quorum::run(seed, false);
        assert_eq!(first, quorum::run(seed, false), "seed {seed}");
        assert_ne!(first.hash, quorum::run(seed + 1, false).hash);
    }
}
