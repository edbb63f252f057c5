//! What is true of the groups at the moment that somebody scrapes the metrics.

use std::collections::BTreeMap;

use dohle_coordinator::{GroupShard, GroupState};

use super::group_coordinator::GroupCoordinator;
use crate::limits;
use crate::metrics::groups::{GroupGauges, GroupLag};
use crate::state::BrokerState;

/// Also counts what the shards have counted since the last time.
pub(crate) fn collect(groups: &GroupCoordinator, broker: &BrokerState) -> GroupGauges {
    let mut by_state: BTreeMap<GroupState, usize> = GroupState::ALL.into_iter().map(|state| (state, 0)).collect();
    let mut gauges = GroupGauges::default();
    for shard in groups.shards() {
        shard.publish_counters();
        let committed = shard.inspect(|machine| {
            for group in machine.groups() {
                *by_state.entry(group.state).or_default() += 1;
                gauges.members += group.members;
            }
            let room = limits::GROUP_LAGS_PER_SCRAPE_MAX - gauges.lags.len();
            copy_committed(machine, room)
        });
        // The shard is not kept waiting while partitions are asked where they end.
        let (committed, left_out) = committed.unwrap_or_default();
        gauges.lags_left_out += left_out;
        gauges
            .lags
            .extend(committed.into_iter().filter_map(|committed| lag(broker, committed)));
    }
    gauges.by_state = by_state.into_iter().map(|(state, groups)| (state.name(), groups)).collect();
    gauges
}

/// Committed offsets in the place of lags, and how many there was no room for.
fn copy_committed(machine: &GroupShard, room: usize) -> (Vec<GroupLag>, usize) {
    let is_short = |name: &str| name.len() <= limits::GROUP_LABEL_BYTES_MAX;
    let total = machine.offsets().count();
    let shown = machine.offsets().filter(|offset| is_short(offset.group)).take(room);
    let copied: Vec<GroupLag> = shown
        .map(|offset| GroupLag {
            group: offset.group.to_string(),
            topic: offset.topic.to_string(),
            partition: offset.partition,
            records: offset.committed.offset,
        })
        .collect();
    let left_out = total - copied.len();
    (copied, left_out)
}

/// `None` if there is no such partition here any more.
fn lag(broker: &BrokerState, committed: GroupLag) -> Option<GroupLag> {
    let cell = broker.replicas.cell(&committed.topic, committed.partition).ok()?;
    let end = cell.positions().high_watermark;
    Some(GroupLag {
        records: (end.0 - committed.records).max(0),
        ..committed
    })
}
