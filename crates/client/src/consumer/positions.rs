//! Where partitions begin: looked up while the fetches of others go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::group::Coordinator;
use super::offsets::Offsets;
use super::{ConsumeError, Consumer, StartAt};
use crate::admin::Admin;
use crate::admin::offsets::{FoundOffsets, at};
use crate::cluster::Cluster;
use crate::cluster_metadata::TopicPartition;
use crate::config::{IsolationLevel, OffsetReset};
use crate::error::ClientError;

/// The answer to one lookup. One that was overtaken by a seek or another assignment is not the last of its partition any more.
pub(super) struct Lookup {
    number: u64,
    found: Result<Found, ClientError>,
}

struct Found {
    offsets: FoundOffsets,
    committed: Offsets,
    /// Asked for, but nothing is committed.
    uncommitted: Vec<TopicPartition>,
}

impl Consumer {
    /// Starts to look up all positions that are not known, in one go.
    pub(super) fn start_lookups(&mut self) {
        let mut wanted = BTreeMap::new();
        let mut by_group = Vec::new();
        let number = self.next_lookup;
        let unknown =
            |progress: &super::Progress| progress.next_fetch.is_none() && progress.lookup.is_none() && progress.not_before.is_none();
        for (tp, progress) in self.partitions.iter_mut().filter(|(_, progress)| unknown(progress)) {
            let timestamp = match progress.start {
                StartAt::Offset(offset) => {
                    progress.begin(offset);
                    continue;
                }
                StartAt::Committed => {
                    progress.lookup = Some(number);
                    by_group.push(tp.clone());
                    continue;
                }
                StartAt::Earliest => at::EARLIEST,
                StartAt::Latest => at::LATEST,
                StartAt::Timestamp(timestamp_ms) => timestamp_ms,
            };
            progress.lookup = Some(number);
            wanted.insert(tp.clone(), timestamp);
        }
        if wanted.is_empty() && by_group.is_empty() {
            return;
        }
        self.next_lookup += 1;
        let cluster = self.cluster.clone();
        let isolation = self.config.isolation;
        let coordinator = self.group.as_ref().map(|group| group.coordinator.clone());
        self.lookups.push(Box::pin(async move {
            let found = look_up(cluster, coordinator, wanted, by_group, isolation).await;
            Lookup { number, found }
        }));
    }

    pub(super) fn take_lookup(&mut self, lookup: Lookup) -> Result<(), ConsumeError> {
        let number = lookup.number;
        let Found {
            offsets,
            committed,
            uncommitted,
        } = match lookup.found {
            Ok(found) => found,
            Err(error) => {
                self.retry_lookup(number);
                return if error.is_retriable() { Ok(()) } else { Err(error.into()) };
            }
        };
        // One that fails keeps no other from being read.
        let mut outcome = Ok(());
        for (tp, answer) in offsets {
            outcome = outcome.and(self.take_found(number, tp, answer));
        }
        for (tp, committed) in committed {
            if let Some(progress) = self.partitions.get_mut(&tp).filter(|progress| progress.lookup == Some(number)) {
                progress.begin(committed.offset);
                progress.committed = Some(committed.offset);
                progress.position_epoch = committed.leader_epoch;
            }
        }
        for tp in uncommitted {
            let start = self.start_without_position(&tp);
            if let Some(progress) = self.partitions.get_mut(&tp).filter(|progress| progress.lookup == Some(number)) {
                progress.lookup = None;
                match start {
                    Ok(start) => progress.start = start,
                    Err(error) => outcome = outcome.and(Err(error)),
                }
            }
        }
        outcome
    }

    fn take_found(
        &mut self,
        number: u64,
        tp: TopicPartition,
        answer: Result<crate::admin::offsets::FoundOffset, ClientError>,
    ) -> Result<(), ConsumeError> {
        let Some(progress) = self.partitions.get_mut(&tp).filter(|progress| progress.lookup == Some(number)) else {
            return Ok(());
        };
        match answer {
            // No record is that late.
            Ok(found) if found.offset == -1 && matches!(progress.start, StartAt::Timestamp(_)) => {
                progress.lookup = None;
                progress.start = StartAt::Latest;
                Ok(())
            }
            Ok(found) => {
                progress.begin(found.offset);
                Ok(())
            }
            Err(reason) => {
                progress.lookup = None;
                if reason.is_retriable() {
                    progress.back_off(&self.config.client.backoff());
                    return Ok(());
                }
                Err(ConsumeError::Partition { partition: tp, reason })
            }
        }
    }

    /// `auto.offset.reset`.
    pub(super) fn start_without_position(&self, partition: &TopicPartition) -> Result<StartAt, ConsumeError> {
        match self.config.offset_reset {
            OffsetReset::Earliest => Ok(StartAt::Earliest),
            OffsetReset::Latest => Ok(StartAt::Latest),
            OffsetReset::Fail => Err(ConsumeError::NoOffset {
                partition: partition.clone(),
            }),
        }
    }

    /// The lookup has tried for as long as it may; the next one begins after a while.
    fn retry_lookup(&mut self, number: u64) {
        let backoff = self.config.client.backoff();
        for progress in self.partitions.values_mut().filter(|progress| progress.lookup == Some(number)) {
            progress.lookup = None;
            progress.back_off(&backoff);
        }
    }
}

async fn look_up(
    cluster: Arc<Cluster>,
    coordinator: Option<Arc<Coordinator>>,
    wanted: BTreeMap<TopicPartition, i64>,
    by_group: Vec<TopicPartition>,
    isolation: IsolationLevel,
) -> Result<Found, ClientError> {
    let committed = match coordinator {
        Some(coordinator) => coordinator.committed(&by_group).await?,
        None => Offsets::new(),
    };
    let offsets = if wanted.is_empty() {
        FoundOffsets::new()
    } else {
        Admin::new(cluster).list_offsets(&wanted, isolation).await?
    };
    Ok(Found {
        offsets,
        uncommitted: by_group.into_iter().filter(|tp| !committed.contains_key(tp)).collect(),
        committed,
    })
}
