//! How far an instance's client has got: what it was sent, what it has acknowledged by asking again, and what of it is committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_client::consumer::{OffsetAndMetadata, Offsets, RebalanceListener, StartAt};
use dohle_client::{ConsumerRecord, TopicPartition};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::reader::after;

/// Shared by a reader and the listener that its consumer calls in a rebalance.
pub(crate) struct Delivered {
    auto_commit: bool,
    state: Mutex<State>,
    /// Counts assignments.
    assignments: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Answers that were made.
    count: u64,
    /// What the answer with this number holds: sent, and perhaps lost on the way.
    sent: BTreeMap<u64, Offsets>,
    acknowledged: Offsets,
    committed: Offsets,
    revoked: Vec<TopicPartition>,
    /// When the first partitions came; `None` while there have been none.
    assigned_at: Option<Instant>,
}

impl Delivered {
    pub(crate) fn new(auto_commit: bool) -> Delivered {
        Delivered {
            auto_commit,
            state: Mutex::default(),
            assignments: watch::Sender::new(0),
        }
    }

    /// Another answer is made.
    pub(crate) fn begin(&self) {
        self.state.lock().count += 1;
    }

    /// The record is part of the answer.
    pub(crate) fn note(&self, record: &ConsumerRecord) {
        let tp = TopicPartition::new(record.topic.clone(), record.partition);
        let mut state = self.state.lock();
        let number = state.count;
        state.sent.entry(number).or_default().insert(tp, after(record));
    }

    pub(crate) fn count(&self) -> u64 {
        self.state.lock().count
    }

    /// The client has asked for something else when there were so many answers: it has them.
    pub(crate) fn acknowledge(&self, seen: u64) {
        let mut state = self.state.lock();
        let later = state.sent.split_off(&(seen + 1));
        for mut sent in std::mem::replace(&mut state.sent, later).into_values() {
            state.acknowledged.append(&mut sent);
        }
    }

    pub(crate) fn acknowledged(&self) -> Offsets {
        self.state.lock().acknowledged.clone()
    }

    pub(crate) fn seek(&self, tp: &TopicPartition, to: OffsetAndMetadata) {
        let mut state = self.state.lock();
        state.unsend(tp);
        state.acknowledged.insert(tp.clone(), to);
    }

    pub(crate) fn committed(&self, offsets: Offsets) {
        self.state.lock().committed.extend(offsets);
    }

    pub(crate) fn uncommitted(&self) -> Offsets {
        let state = self.state.lock();
        let open = state
            .acknowledged
            .iter()
            .filter(|(tp, offset)| state.committed.get(*tp) != Some(offset));
        open.map(|(tp, offset)| (tp.clone(), offset.clone())).collect()
    }

    pub(crate) fn has_uncommitted(&self) -> bool {
        let state = self.state.lock();
        state
            .acknowledged
            .iter()
            .any(|(tp, offset)| state.committed.get(tp) != Some(offset))
    }

    pub(crate) fn take_revoked(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.state.lock().revoked)
    }

    pub(crate) fn assigned_by_hand(&self) {
        self.state.lock().assigned_at = Some(Instant::now());
    }

    pub(crate) fn assigned_at(&self) -> Option<Instant> {
        self.state.lock().assigned_at
    }

    /// Ends with the next assignment.
    pub(crate) fn assignment_changes(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut assignments = self.assignments.subscribe();
        async move {
            if assignments.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    pub(crate) fn forget(&self) {
        let mut state = self.state.lock();
        *state = State {
            count: state.count,
            ..State::default()
        };
    }
}

impl State {
    fn unsend(&mut self, tp: &TopicPartition) {
        self.sent.values_mut().for_each(|sent| drop(sent.remove(tp)));
    }
}

/// Commits what was acknowledged before partitions go, and forgets the rest of them.
pub(crate) struct Watcher(Arc<Delivered>);

impl Watcher {
    pub(crate) fn new(delivered: Arc<Delivered>) -> Watcher {
        Watcher(delivered)
    }

    fn drop_partitions(&self, partitions: &[TopicPartition]) {
        let mut state = self.0.state.lock();
        for tp in partitions {
            state.unsend(tp);
            state.acknowledged.remove(tp);
            state.committed.remove(tp);
            state.revoked.push(tp.clone());
        }
    }
}

impl RebalanceListener for Watcher {
    fn revoked(&mut self, partitions: &[TopicPartition], offsets: &mut Offsets) {
        if self.0.auto_commit {
            let mut open = self.0.uncommitted();
            open.retain(|tp, _| partitions.contains(tp));
            offsets.append(&mut open);
        }
        self.drop_partitions(partitions);
    }

    fn assigned(&mut self, _: &[TopicPartition], _: &mut BTreeMap<TopicPartition, StartAt>) {
        self.0.state.lock().assigned_at.get_or_insert_with(Instant::now);
        self.0.assignments.send_modify(|count| *count += 1);
    }

    fn lost(&mut self, partitions: &[TopicPartition]) {
        self.drop_partitions(partitions);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dohle_protocol::batch::TimestampType;

    fn record(offset: i64) -> ConsumerRecord {
        ConsumerRecord {
            topic: "t".into(),
            partition: 0,
            offset,
            leader_epoch: 3,
            timestamp_ms: 0,
            timestamp_type: TimestampType::CreateTime,
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    fn deliver(delivered: &Delivered, offset: i64) {
        delivered.begin();
        delivered.note(&record(offset));
    }

    fn revoke(delivered: &Arc<Delivered>) -> Vec<i64> {
        let mut offsets = Offsets::new();
        Watcher::new(delivered.clone()).revoked(&[TopicPartition::new("t", 0)], &mut offsets);
        offsets.values().map(|offset| offset.offset).collect()
    }

    #[test]
    fn only_what_was_acknowledged_is_committed_when_partitions_go() {
        let delivered = Arc::new(Delivered::new(true));
        deliver(&delivered, 7);
        assert!(revoke(&delivered).is_empty(), "the answer may be lost");
        deliver(&delivered, 7);
        delivered.acknowledge(delivered.count());
        deliver(&delivered, 8);
        assert_eq!(revoke(&delivered), [8]);
        delivered.acknowledge(delivered.count());
        assert!(delivered.acknowledged().is_empty(), "others own the partition now");
        assert_eq!(delivered.take_revoked().len(), 2);
    }

    #[test]
    fn a_request_acknowledges_only_what_was_sent_before_it_came() {
        let delivered = Arc::new(Delivered::new(true));
        deliver(&delivered, 7);
        let seen = delivered.count();
        deliver(&delivered, 8);
        delivered.acknowledge(seen);
        assert_eq!(delivered.acknowledged().values().next().unwrap().offset, 8);
        delivered.acknowledge(delivered.count());
        assert_eq!(revoke(&delivered), [9]);
        deliver(&delivered, 9);
        let seen = delivered.count();
        delivered.forget();
        deliver(&delivered, 10);
        delivered.acknowledge(seen);
        assert!(delivered.acknowledged().is_empty(), "numbers are not given twice");
    }

    #[test]
    fn without_automatic_commits_nothing_is_committed_unasked() {
        let delivered = Arc::new(Delivered::new(false));
        deliver(&delivered, 7);
        delivered.acknowledge(1);
        assert_eq!(delivered.acknowledged().values().next().unwrap().offset, 8);
        assert!(revoke(&delivered).is_empty());
    }
}
