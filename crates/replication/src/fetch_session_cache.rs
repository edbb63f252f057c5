//! The fetch sessions of one broker: which partitions a request is about, and which answers have to be sent.

use std::collections::BTreeMap;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::fetch::PartitionData;

use crate::fetch_session::{FetchPartition, FetchSession, PartitionKey};
use crate::limits::{FETCH_SESSION_EVICTABLE_AFTER_MS, FETCH_SESSION_PARTITIONS_MAX};

/// The epoch of a request that opens a session with its partitions.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that neither uses nor wants a session.
const FINAL_EPOCH: i32 = -1;
/// In an answer: there is no session.
const NO_SESSION: i32 = 0;

/// The part of a Fetch request that concerns sessions.
#[derive(Debug)]
pub struct SessionRequest {
    pub session_id: i32,
    pub session_epoch: i32,
    pub uses_topic_ids: bool,
    pub is_follower: bool,
    pub partitions: Vec<FetchPartition>,
    pub forgotten: Vec<PartitionKey>,
}

/// Which partitions to read, in order. The answers are shown to [`FetchSessionCache::finish`] in the same order.
#[derive(Debug)]
pub struct FetchPlan {
    pub partitions: Vec<FetchPartition>,
    session: PlannedSession,
}

impl FetchPlan {
    /// Whether a session is to be created, which needs an id.
    pub fn opens_session(&self) -> bool {
        matches!(self.session, PlannedSession::New { .. })
    }
}

#[derive(Debug)]
enum PlannedSession {
    None,
    /// To be created, if there is room.
    New {
        uses_topic_ids: bool,
        is_follower: bool,
    },
    Existing(i32),
}

/// What is sent.
#[derive(Debug, PartialEq, Eq)]
pub struct FinishedFetch {
    pub session_id: i32,
    /// For each planned partition whether its answer is sent; `None` = all of them.
    pub is_sent: Option<Vec<bool>>,
}

#[derive(Debug)]
pub struct FetchSessionCache {
    slots_max: usize,
    partitions: usize,
    sessions: BTreeMap<i32, FetchSession>,
}

impl FetchSessionCache {
    pub fn new(slots_max: usize) -> FetchSessionCache {
        FetchSessionCache {
            slots_max,
            partitions: 0,
            sessions: BTreeMap::new(),
        }
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Sorts out what a request means. An error answers the whole request.
    pub fn begin(&mut self, request: SessionRequest, now_ms: i64) -> Result<FetchPlan, ErrorCode> {
        if request.session_epoch == INITIAL_EPOCH || request.session_epoch == FINAL_EPOCH {
            self.remove(request.session_id);
            let session = match request.session_epoch {
                FINAL_EPOCH => PlannedSession::None,
                _ => PlannedSession::New {
                    uses_topic_ids: request.uses_topic_ids,
                    is_follower: request.is_follower,
                },
            };
            return Ok(FetchPlan {
                partitions: request.partitions,
                session,
            });
        }
        let id = request.session_id;
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.uses_topic_ids != request.uses_topic_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        self.partitions -= session.len();
        for key in &request.forgotten {
            session.forget(key);
        }
        for wanted in request.partitions {
            session.want(wanted);
        }
        session.advance_epoch();
        session.last_used_ms = now_ms;
        let wanted = session.wanted();
        self.partitions += wanted.len();
        if wanted.is_empty() {
            self.remove(id);
            return Ok(FetchPlan {
                partitions: wanted,
                session: PlannedSession::None,
            });
        }
        if self.partitions > FETCH_SESSION_PARTITIONS_MAX {
            self.remove(id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(FetchPlan {
            partitions: wanted,
            session: PlannedSession::Existing(id),
        })
    }

    /// Decides what is sent. `new_id` is a random number for a session that may be created now.
    pub fn finish(&mut self, plan: &FetchPlan, answers: &[PartitionData], new_id: i32, now_ms: i64) -> FinishedFetch {
        assert_eq!(plan.partitions.len(), answers.len(), "one answer for each planned partition");
        let all = |session_id| FinishedFetch { session_id, is_sent: None };
        match plan.session {
            PlannedSession::None => all(NO_SESSION),
            PlannedSession::New {
                uses_topic_ids,
                is_follower,
            } => {
                let mut session = FetchSession::new(uses_topic_ids, is_follower, now_ms);
                for (wanted, answer) in plan.partitions.iter().zip(answers) {
                    session.want(wanted.clone());
                    session.learn(&wanted.key, answer);
                }
                all(if self.insert(new_id, session, now_ms) { new_id } else { NO_SESSION })
            }
            PlannedSession::Existing(id) => match self.sessions.get_mut(&id) {
                Some(session) => {
                    let answered = plan.partitions.iter().zip(answers);
                    let is_sent = answered.map(|(wanted, answer)| session.learn(&wanted.key, answer)).collect();
                    FinishedFetch {
                        session_id: id,
                        is_sent: Some(is_sent),
                    }
                }
                // Evicted in the meantime: the client learns it from its next request.
                None => all(id),
            },
        }
    }

    fn insert(&mut self, id: i32, session: FetchSession, now_ms: i64) -> bool {
        let is_possible = id > NO_SESSION
            && !self.sessions.contains_key(&id)
            && self.partitions + session.len() <= FETCH_SESSION_PARTITIONS_MAX
            && self.make_room(session.is_follower, now_ms);
        if is_possible {
            self.partitions += session.len();
            self.sessions.insert(id, session);
        }
        is_possible
    }

    /// Evicts the session that was not used for the longest time, if it is old, or if a follower needs the place of a consumer.
    fn make_room(&mut self, for_follower: bool, now_ms: i64) -> bool {
        if self.sessions.len() < self.slots_max {
            return true;
        }
        let is_evictable = |session: &FetchSession| {
            now_ms - session.last_used_ms > FETCH_SESSION_EVICTABLE_AFTER_MS || (for_follower && !session.is_follower)
        };
        let evictable = self.sessions.iter().filter(|(_, session)| is_evictable(session));
        match evictable.min_by_key(|(_, session)| session.last_used_ms).map(|(id, _)| *id) {
            Some(id) => {
                self.remove(id);
                true
            }
            None => false,
        }
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.len();
        }
    }
}

#[cfg(test)]
mod tests;
