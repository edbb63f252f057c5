//! When this node last heard of the others, for whoever asks how the quorum is doing.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::id::Offset;
use parking_lot::Mutex;

use crate::limits;
use crate::publisher::Publisher;
use crate::status::ReplicaStatus;
use crate::type_config::NodeId;

#[derive(Debug)]
pub(crate) struct Contacts {
    publisher: Arc<Publisher>,
    voters: Mutex<BTreeMap<NodeId, Contact>>,
    observers: Mutex<BTreeMap<NodeId, Contact>>,
}

#[derive(Debug, Clone, Copy)]
struct Contact {
    end: Option<u64>,
    heard_ms: i64,
    caught_up_ms: i64,
}

impl Contacts {
    pub(crate) fn new(publisher: Arc<Publisher>) -> Contacts {
        Contacts {
            publisher,
            voters: Mutex::default(),
            observers: Mutex::default(),
        }
    }

    /// A voter has answered. `end` is where its log agrees with the one of this node, if that is known.
    pub(crate) fn heard(&self, node_id: NodeId, at_ms: i64, end: Option<u64>) {
        self.note(&self.voters, node_id, at_ms, end);
    }

    /// An observer has asked for the entry at `next`.
    pub(crate) fn observed(&self, node_id: NodeId, at_ms: i64, next: u64) {
        {
            let mut observers = self.observers.lock();
            observers.retain(|_, contact| contact.heard_ms + limits::OBSERVER_FORGOTTEN_MS > at_ms);
            if observers.len() >= limits::OBSERVERS_MAX {
                return;
            }
        }
        self.note(&self.observers, node_id, at_ms, Some(next));
    }

    fn note(&self, contacts: &Mutex<BTreeMap<NodeId, Contact>>, node_id: NodeId, at_ms: i64, end: Option<u64>) {
        let committed_end = *self.publisher.watch_end().borrow();
        let mut contacts = contacts.lock();
        let contact = contacts.entry(node_id).or_insert(Contact {
            end: None,
            heard_ms: at_ms,
            caught_up_ms: -1,
        });
        contact.heard_ms = at_ms;
        if let Some(end) = end {
            contact.end = Some(contact.end.map_or(end, |before| before.max(end)));
            if end >= committed_end {
                contact.caught_up_ms = at_ms;
            }
        }
    }

    pub(crate) fn voter(&self, node_id: NodeId) -> ReplicaStatus {
        let contact = self.voters.lock().get(&node_id).copied();
        contact.map_or_else(|| ReplicaStatus::unknown(node_id), |contact| contact.status(node_id))
    }

    pub(crate) fn observers(&self, now_ms: i64) -> Vec<ReplicaStatus> {
        let observers = self.observers.lock();
        let recent = observers
            .iter()
            .filter(|(_, contact)| contact.heard_ms + limits::OBSERVER_FORGOTTEN_MS > now_ms);
        recent.map(|(node_id, contact)| contact.status(*node_id)).collect()
    }
}

impl Contact {
    fn status(self, node_id: NodeId) -> ReplicaStatus {
        ReplicaStatus {
            node_id,
            address: String::new(),
            log_end_offset: Offset(self.end.map_or(-1, |end| end as i64)),
            last_fetch_ms: self.heard_ms,
            last_caught_up_ms: self.caught_up_ms,
        }
    }
}
