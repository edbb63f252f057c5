//! What must never happen to the metadata, whatever happens to the nodes (I13): two controllers in a term, two histories, a change that was
//! acknowledged and is lost, a change that was refused and happened all the same, a producer id that is given out twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::{BrokerId, LeaderEpoch};
use dohle_quorum::{MetadataVersion, NodeId, QuorumStatus};
use parking_lot::Mutex;

use super::surroundings::elapsed_ms;
use crate::outcome::Outcome;
use crate::trace::Trace;
use crate::violation::Violation;

#[derive(Clone)]
pub(super) struct Checker(Arc<Mutex<Seen>>);

struct Seen {
    trace: Trace,
    events: u64,
    answers: BTreeMap<(&'static str, i16), u64>,
    violation: Option<String>,
    /// What the metadata were after each entry, according to whoever was first to say so.
    history: BTreeMap<i64, Arc<ClusterImage>>,
    leaders: BTreeMap<LeaderEpoch, NodeId>,
    acknowledged: BTreeSet<BrokerId>,
    refused: BTreeSet<BrokerId>,
    producer_id_max: i64,
}

impl Checker {
    pub(super) fn new(print: bool) -> Checker {
        Checker(Arc::new(Mutex::new(Seen {
            trace: Trace::new(print),
            events: 0,
            answers: BTreeMap::new(),
            violation: None,
            history: BTreeMap::new(),
            leaders: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            refused: BTreeSet::new(),
            producer_id_max: -1,
        })))
    }

    pub(super) fn line(&self, what: &str, code: i16, details: std::fmt::Arguments<'_>, name: &'static str) {
        let mut seen = self.0.lock();
        seen.events += 1;
        *seen.answers.entry((name, code)).or_default() += 1;
        seen.trace.line(elapsed_ms(), format_args!("{what} {details}"));
    }

    fn violated(&self, what: String) {
        let mut seen = self.0.lock();
        seen.trace.line(elapsed_ms(), format_args!("VIOLATION {what}"));
        seen.violation.get_or_insert(what);
    }

    /// The first one, if any.
    pub(super) fn verdict(&self) -> Result<(), Violation> {
        self.0
            .lock()
            .violation
            .clone()
            .map_or(Ok(()), |violation| Err(Violation(violation)))
    }

    pub(super) fn on_version(&self, node_id: NodeId, version: &MetadataVersion) {
        let offset = version.offset.0;
        let first = Arc::clone(self.0.lock().history.entry(offset).or_insert_with(|| Arc::clone(&version.image)));
        if first != version.image {
            self.violated(format!(
                "I13: node {node_id} has other metadata at offset {offset} than another node had"
            ));
        }
    }

    pub(super) fn on_status(&self, node_id: NodeId, status: &QuorumStatus) {
        if let Some(failure) = &status.failure {
            self.violated(format!("node {node_id} has failed on a healthy disk: {failure}"));
        }
        if status.leader == Some(node_id) {
            let first = *self.0.lock().leaders.entry(status.leader_epoch).or_insert(node_id);
            if first != node_id {
                self.violated(format!(
                    "I13: nodes {first} and {node_id} both lead in term {}",
                    status.leader_epoch.0
                ));
            }
        }
    }

    pub(super) fn acknowledged(&self, broker: BrokerId) {
        self.0.lock().acknowledged.insert(broker);
    }

    pub(super) fn refused(&self, broker: BrokerId) {
        self.0.lock().refused.insert(broker);
    }

    pub(super) fn producer_id_max(&self) -> i64 {
        self.0.lock().producer_id_max
    }

    pub(super) fn on_producer_id(&self, floor: i64, got: i64) {
        if got <= floor {
            self.violated(format!("I13: producer id {got} was given out after {floor} had been"));
        }
        let mut seen = self.0.lock();
        seen.producer_id_max = seen.producer_id_max.max(got);
    }

    /// When everything has come to rest.
    pub(super) fn on_end(&self, image: &ClusterImage) {
        let (acknowledged, refused) = {
            let seen = self.0.lock();
            (seen.acknowledged.clone(), seen.refused.clone())
        };
        if let Some(lost) = acknowledged.into_iter().find(|id| image.broker(*id).is_none()) {
            self.violated(format!("I13: broker {} was registered, and is lost", lost.0));
        }
        if let Some(phantom) = refused.into_iter().find(|id| image.broker(*id).is_some()) {
            self.violated(format!("I13: broker {} is registered, although nothing had happened", phantom.0));
        }
    }

    pub(super) fn outcome(&self) -> (Outcome, Option<String>) {
        let seen = self.0.lock();
        let outcome = Outcome {
            hash: seen.trace.hash(),
            events: seen.events,
            seen: seen.answers.clone(),
            violation: None,
        };
        (outcome, seen.violation.clone())
    }
}
