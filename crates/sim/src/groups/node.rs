//! The node that coordinates: a shard, its log, and the answers that may not leave yet.

use std::collections::VecDeque;

use dohle_coordinator::{Effect, GroupConfig, GroupShard};
use dohle_protocol::coordinator_records::GroupRecord;

use super::offsets_log::OffsetsLog;
use crate::random::Random;
use crate::violation::{Violation, demand};

#[derive(Debug)]
pub(super) enum State {
    Up(Box<GroupShard>),
    Loading,
    Down,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) config: GroupConfig,
    pub(super) state: State,
    pub(super) log: OffsetsLog,
    /// Counts the shards that there were.
    pub(super) incarnation: u32,
    /// With the end of the log that has to be committed first.
    withheld: VecDeque<(usize, Effect)>,
    /// Knows the log, and nothing else.
    shadow: GroupShard,
}

impl Node {
    pub(super) fn new(config: GroupConfig) -> Node {
        Node {
            shadow: GroupShard::new(config.clone()),
            config,
            state: State::Down,
            log: OffsetsLog::default(),
            incarnation: 0,
            withheld: VecDeque::new(),
        }
    }

    pub(super) fn shard(&mut self) -> Option<&mut GroupShard> {
        match &mut self.state {
            State::Up(shard) => Some(shard),
            State::Loading | State::Down => None,
        }
    }

    /// Writes what was decided, and holds the answers back.
    pub(super) fn carry_out(&mut self, records: &[GroupRecord], effects: Vec<Effect>) -> Result<(), Violation> {
        if !records.is_empty() {
            let as_read = self.log.append(records);
            demand!(as_read == records, "the log has {as_read:?}, and {records:?} was written");
            if let State::Up(shard) = &mut self.state {
                for record in &as_read {
                    shard.replay(record);
                    self.shadow.replay(record);
                }
                demand!(
                    shard.durable_state() == self.shadow.durable_state(),
                    "the shard knows what is not in the log"
                );
            }
        }
        let end = self.log.end();
        self.withheld.extend(effects.into_iter().map(|effect| (end, effect)));
        Ok(())
    }

    /// The next answer that may leave.
    pub(super) fn release(&mut self) -> Option<Effect> {
        let (end, _) = self.withheld.front()?;
        if *end > self.log.committed() {
            return None;
        }
        self.withheld.pop_front().map(|(_, effect)| effect)
    }

    pub(super) fn lose(&mut self, random: &mut Random) {
        self.log.lose_tail(random);
        self.withheld.clear();
        self.state = State::Down;
        self.incarnation += 1;
    }

    pub(super) fn load(&mut self, from_compacted: bool) -> Result<&mut GroupShard, Violation> {
        let (whole, compacted) = self.replayed()?;
        self.shadow = self.replayed()?.0;
        self.state = State::Up(Box::new(if from_compacted { compacted } else { whole }));
        Ok(self.shard().expect("it is up"))
    }

    /// A shard from the log as it was written, and one from what the cleaner leaves of it.
    pub(super) fn replayed(&self) -> Result<(GroupShard, GroupShard), Violation> {
        let mut whole = GroupShard::new(self.config.clone());
        self.log.read().for_each(|record| whole.replay(&record));
        let mut compacted = GroupShard::new(self.config.clone());
        self.log.read_compacted().for_each(|record| compacted.replay(&record));
        demand!(
            whole.durable_state() == compacted.durable_state(),
            "compaction changes what the log says"
        );
        Ok((whole, compacted))
    }
}
