//! What a controller knows without its being written: when it last heard of each broker, and how far each has read.

use std::collections::BTreeMap;

use dohle_protocol::id::{BrokerId, Offset};

/// Starts empty with each leadership: then every broker has a session's time to be heard of. Silence is measured by a clock of its own, which goes
/// on with the time of day while that does not jump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Soft {
    heard: BTreeMap<BrokerId, Heard>,
    /// Since when this controller listens; `None`: it has not decided anything yet.
    listening: Option<Listening>,
    /// The time of day of the last decision.
    decided_ms: i64,
    /// Never goes back.
    clock_ms: i64,
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
    /// By a heartbeat, and the connection by which that came has not broken since.
    is_connected: bool,
    metadata_offset: i64,
    /// Where its registration is at the earliest, if this controller has made it.
    registered_from: Option<i64>,
    handover: Handover,
}

/// The way of a broker that stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handover {
    No,
    /// The records are not committed yet; this is where the log ended then.
    Decided(i64),
    /// They are, before this offset.
    Committed(i64),
}

impl Soft {
    /// The last offset of the metadata log that the next decision is based on.
    pub fn reached(&mut self, metadata_offset: Offset) {
        self.metadata_end = metadata_offset.0 + 1;
    }

    /// Every decision tells the time. If the controller itself decided nothing for long (a stopped process, a suspended machine, a disk that does
    /// not answer), the silence was its own fault: what was said meanwhile may be decided next, and everybody gets a new chance. If the clock was
    /// set back, no time has passed.
    pub(super) fn observe(&mut self, now_ms: i64, session_timeout_ms: i64) {
        let passed_ms = now_ms.saturating_sub(self.decided_ms);
        let slept = passed_ms > session_timeout_ms / 2;
        if !slept {
            self.clock_ms += passed_ms.max(0);
        }
        match &mut self.listening {
            Some(listening) if slept => listening.since_ms = self.clock_ms,
            Some(_) => {}
            None => {
                self.listening = Some(Listening {
                    since_ms: self.clock_ms,
                    since_end: self.metadata_end,
                });
            }
        }
        self.decided_ms = now_ms;
    }

    pub(super) fn registered(&mut self, broker: BrokerId) {
        let heard = Heard {
            at_ms: self.clock_ms,
            is_connected: false,
            metadata_offset: -1,
            registered_from: Some(self.metadata_end),
            handover: Handover::No,
        };
        self.heard.insert(broker, heard);
    }

    pub(super) fn heard_of(&mut self, broker: BrokerId, metadata_offset: i64) {
        let at_ms = self.clock_ms;
        let heard = self.heard.entry(broker).or_insert(Heard {
            at_ms,
            is_connected: true,
            metadata_offset,
            registered_from: None,
            handover: Handover::No,
        });
        heard.at_ms = at_ms;
        heard.is_connected = true;
        heard.metadata_offset = metadata_offset;
    }

    /// The connection by which the broker was heard of has broken. It may open another.
    pub(super) fn hung_up(&mut self, broker: BrokerId) {
        if let Some(heard) = self.heard.get_mut(&broker) {
            heard.is_connected = false;
        }
    }

    pub(super) fn forget(&mut self, broker: BrokerId) {
        self.heard.remove(&broker);
    }

    pub(super) fn knows(&self, broker: BrokerId) -> bool {
        self.heard.contains_key(&broker)
    }

    pub(super) fn is_connected(&self, broker: BrokerId) -> bool {
        self.heard.get(&broker).is_some_and(|heard| heard.is_connected)
    }

    /// Whether the broker has been silent for longer than this.
    pub(super) fn is_silent(&self, broker: BrokerId, session_timeout_ms: i64) -> bool {
        let heard_ms = self.heard.get(&broker).map(|heard| heard.at_ms);
        let heard_ms = heard_ms.max(self.listening.map(|listening| listening.since_ms));
        heard_ms.is_none_or(|heard_ms| self.clock_ms - heard_ms > session_timeout_ms)
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
            heard.handover = Handover::Decided(self.metadata_end);
        }
    }

    /// Whether all of the others know what has become of the partitions of the broker that stops.
    pub(super) fn has_handed_over(&mut self, broker: BrokerId, mut others: impl Iterator<Item = BrokerId>) -> bool {
        let metadata_end = self.metadata_end;
        let Some(heard) = self.heard.get_mut(&broker) else { return true };
        let end = match heard.handover {
            Handover::No => return true,
            // It asks again before it was answered.
            Handover::Decided(since) if since == metadata_end => return false,
            Handover::Decided(_) => metadata_end,
            Handover::Committed(end) => end,
        };
        heard.handover = Handover::Committed(end);
        others.all(|other| self.heard.get(&other).is_none_or(|other| other.metadata_offset + 1 >= end))
    }
}
