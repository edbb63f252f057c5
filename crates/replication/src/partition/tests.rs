//! Transitions of one partition, by value: what it is told, and which effects come out.

mod followers;
mod following;
mod membership;
mod one_replica;

use super::*;
use crate::assignment::Durability;
use std::rc::Rc;

#[derive(Debug, Clone, PartialEq)]
struct Need(Rc<std::cell::Cell<i64>>);

impl Need {
    fn of(bytes: i64) -> Need {
        Need(Rc::new(std::cell::Cell::new(bytes)))
    }
}

impl ParkedFetch for Need {
    fn on_readable(&self, bytes: u64) -> bool {
        self.0.set(self.0.get() - bytes as i64);
        self.0.get() <= 0
    }
}

type TestPartition = Partition<&'static str, Need>;

const ME: BrokerId = BrokerId(1);

/// The partition epoch rises with the leader epoch here.
fn assignment(leader: i32, epoch: i32) -> Assignment {
    Assignment {
        leader: BrokerId(leader),
        ..Assignment::alone(ME, LeaderEpoch(epoch))
    }
}

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().map(|id| BrokerId(*id)).collect()
}

fn log(written: i64, synced: i64) -> LogEnd {
    LogEnd {
        written: Offset(written),
        synced: Offset(synced),
    }
}

fn rules(durability: Durability) -> Rules {
    Rules {
        durability,
        durability_alone: durability,
        ..Rules::default()
    }
}

fn leading(durability: Durability, written: i64, synced: i64) -> TestPartition {
    let mut partition = TestPartition::new(ME, rules(durability), Offset::ZERO);
    let effects = partition.on_assignment(&assignment(1, 5), log(written, synced), 0);
    let expected = if durability == Durability::Synced && synced < written {
        vec![Effect::Sync]
    } else {
        vec![]
    };
    assert_eq!(effects, expected);
    partition
}

fn high_watermark(partition: &TestPartition) -> i64 {
    partition.high_watermark().0
}

fn answered(name: &'static str) -> Effect<&'static str, Need> {
    Effect::AnswerProduce {
        parked: name,
        outcome: Ok(()),
    }
}

fn refused(name: &'static str, error: ErrorCode) -> Effect<&'static str, Need> {
    Effect::AnswerProduce {
        parked: name,
        outcome: Err(error),
    }
}
