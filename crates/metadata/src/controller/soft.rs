//! What a controller knows without its being written: when it last heard of each broker, and how far each has read.

use std::collections::BTreeMap;

use dohle_protocol::id::{BrokerId, Offset};

/// Starts empty with each leadership: then every broker has a session's time to be heard of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Soft {
    heard: BTreeMap<BrokerId, Heard>,
    /// Since when this controller listens; `None`: it has not decided anything yet.
    listening: Option<Listening>,
    decided_ms: i64,
    /// Where the metadata log ends that the decision is based on; 0 if nobody says.
    metadata_end: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listening {
    since_ms: i64,
    /// Whoever was registered earlier is registered before this offset.
    since_end: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    at_ms: i64,
    metadata_offset: i64,
    /// Where its registration is at the earliest, if this controller has made it.
    registered_from: Option<i64>,
    handover: Handover,
}

/// The way of a broker that stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handover {
    No,
    /// The records are not committed yet.
    Decided,
    /// They are, before this offset.
    Committed(i64),
}

impl Soft {
    /// The last offset of the metadata log that the next decision is based on.
    pub fn reached(&mut self, metadata_offset: Offset) {
        self.metadata_end = metadata_offset.0 + 1;
    }

    /// Every decision tells the time. If the controller itself was asleep (a stopped process, a suspended machine), the silence was its
    /// own fault, and everybody gets a new chance.
    pub(super) fn observe(&mut self, now_ms: i64, session_timeout_ms: i64) {
        let slept = now_ms.saturating_sub(self.decided_ms) > session_timeout_ms;
        match &mut self.listening {
            Some(listening) if slept => listening.since_ms = now_ms,
            Some(_) => {}
            None => {
                self.listening = Some(Listening {
                    since_ms: now_ms,
                    since_end: self.metadata_end,
                });
            }
        }
        self.decided_ms = now_ms;
    }

    pub(super) fn registered(&mut self, broker: BrokerId, now_ms: i64) {
        let heard = Heard {
            at_ms: now_ms,
            metadata_offset: -1,
            registered_from: Some(self.metadata_end),
            handover: Handover::No,
        };
        self.heard.insert(broker, heard);
    }

    pub(super) fn heard_of(&mut self, broker: BrokerId, now_ms: i64, metadata_offset: i64) {
        let heard = self.heard.entry(broker).or_insert(Heard {
            at_ms: now_ms,
            metadata_offset,
            registered_from: None,
            handover: Handover::No,
        });
        heard.at_ms = now_ms;
        heard.metadata_offset = metadata_offset;
    }

    pub(super) fn forget(&mut self, broker: BrokerId) {
        self.heard.remove(&broker);
    }

    pub(super) fn knows(&self, broker: BrokerId) -> bool {
        self.heard.contains_key(&broker)
    }

    /// Whether the broker has been silent for longer than this.
    pub(super) fn is_silent(&self, broker: BrokerId, now_ms: i64, session_timeout_ms: i64) -> bool {
        let heard_ms = self.heard.get(&broker).map(|heard| heard.at_ms);
        let heard_ms = heard_ms.max(self.listening.map(|listening| listening.since_ms));
        heard_ms.is_none_or(|heard_ms| now_ms.saturating_sub(heard_ms) > session_timeout_ms)
    }

    /// Whether a broker that acts on the metadata up to this offset knows of its own registration.
    pub(super) fn is_caught_up(&self, broker: BrokerId, metadata_offset: i64) -> bool {
        match self.heard.get(&broker).and_then(|heard| heard.registered_from) {
            Some(from) => metadata_offset >= from,
            None => self.listening.is_none_or(|listening| metadata_offset + 1 >= listening.since_end),
        }
    }

    /// The broker stops, and others are going to lead what it led.
    pub(super) fn hands_over(&mut self, broker: BrokerId) {
        if let Some(heard) = self.heard.get_mut(&broker) {
            heard.handover = Handover::Decided;
        }
    }

    /// Whether all of the others know what has become of the partitions of the broker that stops.
    pub(super) fn has_handed_over(&mut self, broker: BrokerId, mut others: impl Iterator<Item = BrokerId>) -> bool {
        let metadata_end = self.metadata_end;
        let Some(heard) = self.heard.get_mut(&broker) else { return true };
        let end = match heard.handover {
            Handover::No => return true,
            // The broker asks again, so it was answered, and that was after the records were committed.
            Handover::Decided => metadata_end,
            Handover::Committed(end) => end,
        };
        heard.handover = Handover::Committed(end);
        others.all(|other| self.heard.get(&other).is_none_or(|other| other.metadata_offset + 1 >= end))
    }
}
