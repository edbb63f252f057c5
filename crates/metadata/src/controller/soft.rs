//! What a controller knows without its being written: when it last heard of each broker.

use std::collections::BTreeMap;

use dohle_protocol::id::BrokerId;

/// Starts empty with each leadership: then every broker has a session's time to be heard of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Soft {
    heard_ms: BTreeMap<BrokerId, i64>,
    /// Since when this controller listens; `None`: it has not decided anything yet.
    listening_since_ms: Option<i64>,
    decided_ms: i64,
}

impl Soft {
    /// Every decision tells the time. If the controller itself was asleep (a stopped process, a suspended machine), the silence was its
    /// own fault, and everybody gets a new chance.
    pub(super) fn observe(&mut self, now_ms: i64, session_timeout_ms: i64) {
        let slept = now_ms.saturating_sub(self.decided_ms) > session_timeout_ms;
        if self.listening_since_ms.is_none() || slept {
            self.listening_since_ms = Some(now_ms);
        }
        self.decided_ms = now_ms;
    }

    pub(super) fn heard_of(&mut self, broker: BrokerId, now_ms: i64) {
        self.heard_ms.insert(broker, now_ms);
    }

    pub(super) fn forget(&mut self, broker: BrokerId) {
        self.heard_ms.remove(&broker);
    }

    pub(super) fn knows(&self, broker: BrokerId) -> bool {
        self.heard_ms.contains_key(&broker)
    }

    /// Whether the broker has been silent for longer than this.
    pub(super) fn is_silent(&self, broker: BrokerId, now_ms: i64, session_timeout_ms: i64) -> bool {
        let heard_ms = self.heard_ms.get(&broker).copied().max(self.listening_since_ms);
        heard_ms.is_none_or(|heard_ms| now_ms.saturating_sub(heard_ms) > session_timeout_ms)
    }
}
