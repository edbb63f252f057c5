//! What all members of a group have seen, in one order.

use dohle_client::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(90);

#[derive(Clone)]
pub(crate) struct Journal(Arc<watch::Sender<Entries>>);

#[derive(Debug, Default, Clone)]
pub(crate) struct Entries {
    /// Who owns which partition now.
    pub(crate) owners: BTreeMap<i32, &'static str>,
    /// Who read each record, in order, by its value.
    pub(crate) read: BTreeMap<usize, Vec<&'static str>>,
    /// What each member has read, by partition.
    pub(crate) by_member: BTreeMap<&'static str, usize>,
    next_offsets: BTreeMap<i32, i64>,
    /// What must not happen.
    violations: Vec<String>,
}

impl Journal {
    pub(crate) fn new() -> Journal {
        Journal(Arc::new(watch::Sender::new(Entries::default())))
    }

    pub(crate) fn assigned(&self, member: &'static str, partitions: &[TopicPartition]) {
        self.0.send_modify(|entries| {
            for tp in partitions {
                if let Some(other) = entries.owners.insert(tp.partition, member) {
                    entries.violations.push(format!("{tp} was given to {member} while {other} had it"));
                }
            }
        });
    }

    /// Given up, lost, or its owner is dead.
    pub(crate) fn released(&self, member: &'static str, partitions: &[TopicPartition]) {
        self.0.send_modify(|entries| {
            for tp in partitions {
                if entries.owners.remove(&tp.partition) != Some(member) {
                    entries
                        .violations
                        .push(format!("{tp} was given up by {member}, who did not have it"));
                }
            }
        });
    }

    /// Partition, offset and value of each record.
    pub(crate) fn read<'a>(&self, member: &'static str, records: impl IntoIterator<Item = (i32, i64, &'a [u8])>) {
        self.0.send_modify(|entries| {
            for (partition, offset, value) in records {
                let number = std::str::from_utf8(value).unwrap().parse().unwrap();
                entries.read.entry(number).or_default().push(member);
                *entries.by_member.entry(member).or_default() += 1;
                let next = entries.next_offsets.entry(partition).or_default();
                // Going back is reading again; a gap is a loss.
                if offset > *next {
                    let skipped = format!("{member} skipped {next} to {offset} of partition {partition}");
                    entries.violations.push(skipped);
                }
                *next = offset + 1;
                let owner = entries.owners.get(&partition);
                if owner != Some(&member) {
                    let stolen = format!("{member} read of partition {partition}, which {owner:?} has");
                    entries.violations.push(stolen);
                }
            }
        });
    }

    /// Waits until this holds, and nothing else has happened.
    pub(crate) async fn wait_until(&self, what: &str, mut holds: impl FnMut(&Entries) -> bool) {
        let mut changes = self.0.subscribe();
        let waited = changes.wait_for(|entries| !entries.violations.is_empty() || holds(entries));
        // What is found is borrowed, and keeps out those who write: not for longer than this line.
        let held = tokio::time::timeout(PATIENCE, waited).await.is_ok();
        let entries = self.0.borrow().clone();
        assert_eq!(entries.violations, Vec::<String>::new());
        assert!(
            held,
            "{what}: not yet, but {:?} {:?}, {} records",
            entries.owners,
            entries.by_member,
            entries.read.len()
        );
    }

    pub(crate) async fn wait_for_records(&self, count: usize) {
        self.wait_until(&format!("{count} records are read"), |entries| entries.read.len() >= count)
            .await;
    }

    /// All partitions have owners, and these are they.
    pub(crate) async fn wait_for_owners(&self, partitions: usize, members: &[&str]) {
        let wanted: BTreeSet<&str> = members.iter().copied().collect();
        self.wait_until(&format!("{members:?} own all"), |entries| {
            entries.owners.len() == partitions && entries.owners.values().copied().collect::<BTreeSet<_>>() == wanted
        })
        .await;
    }

    /// What a clean run must have led to, in which members only come and leave in order.
    pub(crate) fn assert_each_was_read_once(&self, count: usize) {
        let mut read = self.entries().read;
        assert_eq!(read.len(), count);
        read.retain(|_, readers| readers.len() > 1);
        assert!(read.is_empty(), "read more than once: {read:?}");
    }

    pub(crate) fn entries(&self) -> Entries {
        self.0.borrow().clone()
    }
}
