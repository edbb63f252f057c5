//! A consumer of the client library with what REST adds to it: records are held until they are delivered, and only what was delivered
//! is committed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use dohle_client::consumer::{ConsumeError, OffsetAndMetadata, Offsets, PendingCommit, StartAt};
use dohle_client::{Consumer, ConsumerConfig, ConsumerRecord, TopicPartition};
use regex_lite::Regex;
use tokio::time::Instant;

use crate::delivered::{Delivered, Watcher};
use crate::error::RestError;
use crate::instance::InstanceSettings;
use crate::limits::{
    AUTO_COMMIT_INTERVAL, FETCH_BYTES_MAX, FIRST_ASSIGNMENT_WAIT_MAX, HELD_IDLE_MAX, LEAVE_TIMEOUT, POLL_RECORDS_MAX, READ_RECORDS_MAX,
};
use crate::proxy::Proxy;

const IDLE_POLL: Duration = Duration::from_secs(3600);

pub(crate) struct Reader {
    consumer: Consumer,
    wants: Wants,
    delivered: Arc<Delivered>,
    auto_commit: bool,
    auto_commit_at: Instant,
    auto_committing: Option<(Offsets, PendingCommit)>,
    /// Read, and not delivered.
    held: VecDeque<ConsumerRecord>,
    held_bytes: usize,
    /// Met while nobody was there to be told.
    failure: Option<ConsumeError>,
}

/// What the instance reads. The three ways exclude each other.
#[derive(Clone)]
pub(crate) enum Wants {
    Nothing,
    Topics(Vec<String>),
    Pattern(Regex),
    Partitions,
}

/// When a read ends.
pub(crate) struct ReadWish {
    /// Of the request itself: then it is all the time there is.
    pub(crate) timeout: Option<Duration>,
    pub(crate) timeout_default: Duration,
    pub(crate) bytes_min: usize,
    pub(crate) bytes_max: usize,
}

impl Reader {
    pub(crate) async fn connect(settings: &InstanceSettings, delivered: Arc<Delivered>, proxy: &Proxy) -> Result<Reader, RestError> {
        let mut properties = proxy.client_properties();
        properties.set("group.id", settings.group.as_str());
        properties.set("auto.offset.reset", settings.offset_reset.as_str());
        properties.set("enable.auto.commit", "false");
        properties.set_default("max.poll.records", POLL_RECORDS_MAX.to_string());
        properties.set_default("fetch.max.bytes", FETCH_BYTES_MAX.to_string());
        let config = ConsumerConfig::from_properties(&properties).map_err(RestError::invalid_consumer_config)?;
        let mut consumer = proxy.consumer(config).await?;
        consumer.set_listener(Watcher::new(delivered.clone()));
        Ok(Reader {
            consumer,
            wants: Wants::Nothing,
            delivered,
            auto_commit: settings.auto_commit,
            auto_commit_at: Instant::now() + AUTO_COMMIT_INTERVAL,
            auto_committing: None,
            held: VecDeque::new(),
            held_bytes: 0,
            failure: None,
        })
    }

    pub(crate) fn wants(&self) -> &Wants {
        &self.wants
    }

    pub(crate) fn subscribe(&mut self, wants: Wants) -> Result<(), RestError> {
        match (&self.wants, &wants) {
            (Wants::Nothing, _) | (Wants::Topics(_), Wants::Topics(_)) | (Wants::Pattern(_), Wants::Pattern(_)) => {}
            _ => return Err(exclusive()),
        }
        match &wants {
            Wants::Topics(topics) => self.consumer.subscribe(topics.iter().map(String::as_str))?,
            Wants::Pattern(pattern) => {
                let pattern = pattern.clone();
                self.consumer.subscribe_matching(move |topic| pattern.is_match(topic))?;
            }
            Wants::Nothing | Wants::Partitions => {}
        }
        self.wants = wants;
        Ok(())
    }

    /// Leaves the group, and forgets what was assigned by hand.
    pub(crate) async fn unsubscribe(&mut self) -> Result<(), RestError> {
        self.commit_by_hand_assigned().await;
        let left = self.consumer.unsubscribe(LEAVE_TIMEOUT).await;
        self.wants = Wants::Nothing;
        self.drop_all();
        Ok(left?)
    }

    pub(crate) async fn assign(&mut self, partitions: Vec<TopicPartition>) -> Result<(), RestError> {
        if !matches!(self.wants, Wants::Nothing | Wants::Partitions) {
            return Err(exclusive());
        }
        self.commit_by_hand_assigned().await;
        self.drop_all();
        self.wants = Wants::Partitions;
        self.consumer.assign(partitions.into_iter().map(|tp| (tp, StartAt::Committed)));
        self.delivered.assigned_by_hand();
        Ok(())
    }

    pub(crate) fn assignment(&self) -> Vec<TopicPartition> {
        self.consumer.assignment()
    }

    /// An error unless all of these are assigned. A reader that has just subscribed is given time to get them.
    pub(crate) async fn must_have(&mut self, partitions: &[TopicPartition]) -> Result<(), RestError> {
        if matches!(self.wants, Wants::Topics(_) | Wants::Pattern(_)) {
            let deadline = Instant::now() + FIRST_ASSIGNMENT_WAIT_MAX;
            while self.delivered.assigned_at().is_none() && self.failure.is_none() && Instant::now() < deadline {
                self.gather(deadline, false).await;
            }
        }
        let assigned = self.consumer.assignment();
        match partitions.iter().find(|tp| !assigned.contains(tp)) {
            Some(missing) => Err(RestError::illegal_state(format!("No current assignment for partition {missing}"))),
            None => Ok(()),
        }
    }

    /// Goes on reading there.
    pub(crate) fn seek(&mut self, to: Offsets) -> Result<(), RestError> {
        self.drop_revoked();
        self.failure = None;
        for (tp, offset) in to {
            self.consumer.seek(&tp, StartAt::Offset(offset.offset))?;
            self.held.retain(|record| !is_of(record, &tp));
            self.delivered.seek(&tp, offset);
        }
        self.held_bytes = self.held.iter().map(size_of).sum();
        Ok(())
    }

    /// Fills what is held, until there is enough of it or the time is over. Records stay held until `deliver`, so that a request that
    /// is given up loses none. Acknowledges the answers that had been made when the request came.
    pub(crate) async fn read(&mut self, wish: &ReadWish, seen: u64) -> Result<(), RestError> {
        if matches!(self.wants, Wants::Nothing) {
            return Err(RestError::illegal_state(
                "Consumer is not subscribed to any topics or assigned any partitions",
            ));
        }
        self.delivered.acknowledge(seen);
        let began = Instant::now();
        loop {
            self.drop_revoked();
            if !self.held.is_empty() && self.held_bytes >= wish.bytes_min.min(wish.bytes_max) {
                break;
            }
            if let Some(failure) = self.failure.take_if(|_| self.held.is_empty()) {
                return Err(failure.into());
            }
            if self.failure.is_some() {
                // Told when nothing is held any more.
                return Ok(());
            }
            let deadline = match (wish.timeout, self.delivered.assigned_at()) {
                (Some(timeout), _) => began + timeout,
                (None, Some(assigned_at)) => began.max(assigned_at) + wish.timeout_default,
                (None, None) => began + FIRST_ASSIGNMENT_WAIT_MAX.max(wish.timeout_default),
            };
            if Instant::now() >= deadline {
                break;
            }
            self.gather(deadline, true).await;
        }
        // What has arrived along with the first records.
        while self.held_bytes < wish.bytes_max && self.held.len() < READ_RECORDS_MAX {
            let before = self.held.len();
            self.gather(Instant::now(), true).await;
            if self.held.len() <= before {
                break;
            }
        }
        Ok(())
    }

    /// What `deliver` will render at most.
    pub(crate) fn deliverable_bytes(&self, bytes_max: usize) -> usize {
        let first = self.held.front().map_or(0, size_of);
        self.held_bytes.min(bytes_max.max(first))
    }

    /// Renders held records until one does not fit any more, and counts them as delivered. `render` says how many bytes a record counts.
    pub(crate) fn deliver(
        &mut self,
        bytes_max: usize,
        mut render: impl FnMut(&ConsumerRecord) -> Result<(), RestError>,
    ) -> Result<usize, RestError> {
        self.drop_revoked();
        self.delivered.begin();
        let (mut count, mut bytes) = (0, 0);
        while let Some(record) = self.held.front() {
            let size = size_of(record);
            if count > 0 && (bytes + size > bytes_max || count >= READ_RECORDS_MAX) {
                break;
            }
            match render(record) {
                Ok(()) => {}
                Err(error) if count == 0 => return Err(error),
                // Told by the next read.
                Err(_) => break,
            }
            self.delivered.note(record);
            self.held.pop_front();
            self.held_bytes -= size;
            bytes += size;
            count += 1;
        }
        Ok(count)
    }

    /// Commits these, or all that had been delivered when the request came; without waiting if so told.
    pub(crate) async fn commit(&mut self, offsets: Option<Offsets>, wait: bool, seen: u64) -> Result<(), RestError> {
        self.drop_revoked();
        let offsets = offsets.unwrap_or_else(|| {
            self.delivered.acknowledge(seen);
            self.delivered.acknowledged()
        });
        let pending = self.consumer.start_commit_of(offsets.clone())?;
        if wait {
            pending.wait().await?;
            self.delivered.committed(offsets);
        }
        Ok(())
    }

    pub(crate) fn committed(&self, partitions: &[TopicPartition]) -> impl Future<Output = Result<Offsets, ConsumeError>> + Send + use<> {
        self.consumer.committed(partitions)
    }

    /// Keeps the reader in its group, and commits what is due; until it is dropped. Nothing is fetched, and what has been is let go soon.
    pub(crate) async fn tend(&mut self) {
        let mut lets_go_at = Some(Instant::now() + HELD_IDLE_MAX);
        while self.failure.is_none() {
            self.drop_revoked();
            let wake = lets_go_at.unwrap_or_else(|| Instant::now() + IDLE_POLL);
            self.gather(wake, false).await;
            if self.failure.is_none() && lets_go_at.take_if(|at| *at <= Instant::now()).is_some() {
                self.let_go();
            }
        }
        std::future::pending().await
    }

    /// What was fetched and not delivered is fetched again when somebody reads.
    fn let_go(&mut self) {
        self.drop_revoked();
        for tp in self.consumer.assignment() {
            let held = self.held.iter().find(|record| is_of(record, &tp)).map(|record| record.offset);
            if let Some(position) = held.or_else(|| self.consumer.position(&tp)) {
                let sought = self.consumer.seek(&tp, StartAt::Offset(position));
                sought.expect("it is assigned");
            }
        }
        self.held = VecDeque::new();
        self.held_bytes = 0;
    }

    pub(crate) async fn close(mut self, seen: u64) {
        self.delivered.acknowledge(seen);
        if let Err(error) = self.unsubscribe().await {
            tracing::warn!("a consumer instance was not closed well: {}", error.message());
        }
    }

    /// One step: some records, a rebalance, a commit, or the deadline. Without `reads` only what keeps the reader in its group.
    async fn gather(&mut self, deadline: Instant, reads: bool) {
        self.auto_commit();
        let paused = match reads {
            true => self.consumer.resume(&self.consumer.paused()),
            false => self.consumer.pause(&self.consumer.assignment()),
        };
        paused.expect("they are its own partitions");
        let mut wake = deadline;
        if self.auto_commit && self.delivered.has_uncommitted() {
            wake = wake.min(self.auto_commit_at);
        }
        let assignment_changes = self.delivered.assignment_changes();
        let polled = tokio::select! {
            polled = self.consumer.poll(wake.saturating_duration_since(Instant::now())) => polled,
            () = assignment_changes => return,
        };
        match polled {
            Ok(records) => {
                self.drop_revoked();
                self.held_bytes += records.iter().map(size_of).sum::<usize>();
                self.held.extend(records);
            }
            Err(error) => self.failure = Some(error),
        }
    }

    /// What was held for partitions that have gone is read by others, or again.
    fn drop_revoked(&mut self) {
        let revoked = self.delivered.take_revoked();
        if !revoked.is_empty() {
            self.held.retain(|record| !revoked.iter().any(|tp| is_of(record, tp)));
            self.held_bytes = self.held.iter().map(size_of).sum();
        }
    }

    fn drop_all(&mut self) {
        self.held.clear();
        self.held_bytes = 0;
        self.failure = None;
        self.delivered.forget();
    }

    /// Members of a group commit when they are told to give up their partitions; others are told nothing.
    async fn commit_by_hand_assigned(&mut self) {
        if !self.auto_commit || !matches!(self.wants, Wants::Partitions) {
            return;
        }
        let offsets = self.delivered.uncommitted();
        if let Err(error) = self.consumer.commit_offsets(offsets).await {
            tracing::warn!("delivered offsets are not committed: {error}");
        }
    }

    fn auto_commit(&mut self) {
        let outcome = self.auto_committing.as_mut().and_then(|(_, pending)| pending.outcome());
        if let Some(outcome) = outcome {
            let offsets = self.auto_committing.take().map(|(offsets, _)| offsets).unwrap_or_default();
            match outcome {
                Ok(()) => self.delivered.committed(offsets),
                Err(error) => tracing::warn!("delivered offsets are not committed, the next attempt follows: {error}"),
            }
        }
        if !self.auto_commit || Instant::now() < self.auto_commit_at {
            return;
        }
        self.auto_commit_at = Instant::now() + AUTO_COMMIT_INTERVAL;
        if self.auto_committing.is_some() {
            return;
        }
        let offsets = self.delivered.uncommitted();
        if offsets.is_empty() {
            return;
        }
        if let Ok(pending) = self.consumer.start_commit_of(offsets.clone()) {
            self.auto_committing = Some((offsets, pending));
        }
    }
}

/// What counts for `max_bytes` and `fetch.min.bytes`.
pub(crate) fn size_of(record: &ConsumerRecord) -> usize {
    let headers = record.headers.iter().flat_map(|header| [Some(&header.key), header.value.as_ref()]);
    let parts = [record.key.as_ref(), record.value.as_ref()].into_iter().chain(headers);
    parts.flatten().map(|bytes| bytes.len()).sum()
}

fn is_of(record: &ConsumerRecord, tp: &TopicPartition) -> bool {
    record.partition == tp.partition && record.topic == tp.topic
}

fn exclusive() -> RestError {
    RestError::illegal_state("Subscription to topics, partitions and pattern are mutually exclusive")
}

/// The next record to read after this one.
pub(crate) fn after(record: &ConsumerRecord) -> OffsetAndMetadata {
    OffsetAndMetadata {
        leader_epoch: record.leader_epoch,
        ..OffsetAndMetadata::new(record.offset + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use dohle_protocol::batch::TimestampType;
    use dohle_protocol::record::Header;

    #[test]
    fn headers_count_as_keys_and_values_do() {
        let record = ConsumerRecord {
            topic: "t".into(),
            partition: 0,
            offset: 0,
            leader_epoch: 0,
            timestamp_ms: 0,
            timestamp_type: TimestampType::CreateTime,
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(b"va")),
            headers: vec![Header::new("abc", "defg")],
        };
        assert_eq!(size_of(&record), 10);
    }
}
