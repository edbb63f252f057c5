//! What a leader has to do with its followers.

use std::sync::Arc;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};
use dohle_replication::{EpochEnd, FollowerAnswer, FollowerFetch, IsrProposal, IsrState};

use super::Cell;
use crate::clock;

impl Cell {
    /// A follower asks. To be called once for each request.
    pub(crate) fn on_follower_fetch(self: &Arc<Cell>, fetch: &FollowerFetch) -> Result<FollowerAnswer, ErrorCode> {
        let now_ms = clock::steady_ms();
        let (answer, effects) = {
            let mut replica = self.lock();
            let log_start = replica.log.log_start_offset();
            let end = replica.end_of_epoch(fetch.last_fetched_epoch);
            let end = (!end.epoch.is_none()).then_some(EpochEnd {
                epoch: end.epoch,
                end_offset: end.end_offset,
            });
            replica.role.on_follower_fetch(fetch, log_start, |_| end, now_ms)?
        };
        if !effects.is_empty() {
            // The high watermark has moved, most likely.
            self.plan_checkpoint();
        }
        self.carry_out(effects);
        Ok(answer)
    }

    /// The controller has answered a proposal.
    pub(crate) fn on_isr_answer(self: &Arc<Cell>, sent: &IsrProposal, answer: Result<IsrState, ErrorCode>) {
        match &answer {
            Ok(state) => {
                let isr: Vec<i32> = state.isr.iter().map(|id| id.0).collect();
                tracing::info!("{}-{}: in sync are {isr:?}", self.topic, self.partition.0);
            }
            Err(code) => tracing::debug!("{}-{}: replicas in sync were refused: {code}", self.topic, self.partition.0),
        }
        let effects = self.lock().role.on_isr_answer(sent, answer);
        self.carry_out(effects);
    }

    /// Time has passed, and these brokers are there. Returns whether that matters here: other replicas follow this one.
    pub(crate) fn tick(self: &Arc<Cell>, now_ms: i64, active_epoch: impl Fn(BrokerId) -> Option<i64>) -> bool {
        let effects = {
            let mut replica = self.lock();
            if replica.replicas < 2 || replica.role.leader(LeaderEpoch::NONE).is_err() {
                return false;
            }
            let mut effects = replica.role.on_brokers(active_epoch);
            effects.extend(replica.role.on_tick(now_ms));
            effects
        };
        self.carry_out(effects);
        true
    }

    /// The replica in sync near a consumer that it should read from; `None`: this one.
    pub(crate) fn preferred_read_replica(&self, offset: Offset, near: &[BrokerId]) -> Option<BrokerId> {
        let replica = self.lock();
        let leader = replica.role.leader(LeaderEpoch::NONE).ok()?;
        leader.preferred_read_replica(offset, |id| near.contains(&id))
    }

    /// Below, no replica that is there has anything any more.
    pub(crate) fn low_watermark(&self, is_there: impl Fn(BrokerId) -> bool) -> Result<Offset, ErrorCode> {
        let replica = self.lock();
        let leader = replica.role.leader(LeaderEpoch::NONE)?;
        Ok(leader.low_watermark(replica.log.log_start_offset(), is_there))
    }
}
