//! How a shard comes to be what its log says: when it is led here, and when it has been given up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use dohle_coordinator::{Counters, GroupConfig, GroupShard};
use dohle_protocol::id::Offset;

use super::{Active, MemberBytes, PanicGuard, Shard, State};
use crate::clock;
use crate::coordinator::loader::{LoadError, Loader};
use crate::limits;

impl Shard {
    pub(super) fn load_again_later(self: &Arc<Shard>) {
        let shard = Arc::clone(self);
        self.services.tasks.spawn(async move {
            let pause = tokio::time::sleep(limits::GROUP_RELOAD_PAUSE);
            if shard.services.stop.run_until_cancelled(pause).await.is_none() || shard.cell.writable_epoch() != Ok(shard.leader_epoch) {
                return;
            }
            {
                let mut state = shard.state.lock();
                if !matches!(*state, State::Ended) {
                    return;
                }
                *state = State::Loading { topics: Vec::new() };
            }
            shard.begin_loading();
        });
    }

    /// The state is `Loading`, and nobody else loads.
    pub(super) fn begin_loading(self: &Arc<Shard>) {
        let is_empty = self
            .cell
            .view(self.leader_epoch)
            .is_ok_and(|view| view.log_start_offset >= view.log_end_offset);
        if is_empty {
            return self.finish_loading(self.load());
        }
        let shard = Arc::clone(self);
        self.services.tasks.spawn(async move {
            let Ok(_turn) = shard.services.loads.acquire().await else { return };
            let loading = Arc::clone(&shard);
            let loaded = tokio::task::spawn_blocking(move || {
                let begun = Instant::now();
                let loaded = loading.load();
                loading.services.metrics.groups.loaded(begun.elapsed());
                loading.finish_loading(loaded);
            });
            if let Err(error) = loaded.await {
                tracing::error!(shard = shard.cell.partition.0, %error, "loading groups failed");
                *shard.state.lock() = State::Ended;
                shard.load_again_later();
            }
        });
    }

    fn batch_bytes_max(&self) -> usize {
        self.cell
            .inspect(|log| log.config().max_message_bytes.min(log.config().segment_bytes) as usize)
    }

    fn load(&self) -> Result<(GroupShard, Offset), LoadError> {
        let loader = Loader {
            cell: &self.cell,
            leader_epoch: self.leader_epoch,
            chunk_bytes: self.load_chunk_bytes,
            metrics: &self.services.metrics.groups,
            stop: &self.services.stop,
            machine: GroupShard::new(GroupConfig {
                record_bytes_max: self.batch_bytes_max().saturating_sub(limits::GROUP_BATCH_OVERHEAD_BYTES),
                ..self.config.clone()
            }),
            open: BTreeMap::new(),
        };
        loader.load()
    }

    fn finish_loading(self: &Arc<Shard>, loaded: Result<(GroupShard, Offset), LoadError>) {
        let _guard = PanicGuard(self);
        let mut state = self.state.lock();
        // It may have ended meanwhile.
        let State::Loading { topics } = &mut *state else { return };
        let deleted = std::mem::take(topics);
        let (machine, appended) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                *state = State::Ended;
                tracing::error!(shard = self.cell.partition.0, "groups cannot be loaded: {error}");
                return self.load_again_later();
            }
        };
        *state = State::Active(Box::new(Active {
            machine,
            waiting: HashMap::new(),
            appended,
            timer_due_ms: None,
            batch_bytes_max: self.batch_bytes_max(),
            counted: Counters::default(),
            member_bytes: MemberBytes {
                all: Arc::clone(&self.services),
                mine: 0,
            },
            load: self.new_token().0,
        }));
        let now_ms = clock::steady_ms();
        self.step(&mut state, now_ms, |machine| machine.on_loaded(now_ms));
        if !deleted.is_empty() {
            let deleted: Vec<&str> = deleted.iter().map(String::as_str).collect();
            self.step(&mut state, now_ms, |machine| machine.on_partitions_deleted(&deleted));
        }
        if let State::Active(active) = &mut *state {
            self.arm(active);
        }
    }
}
