//! What the checkers conclude about a group from requests and answers: who is a member, and until when it may not be removed.

use std::collections::{BTreeMap, BTreeSet};

use dohle_protocol::coordinator_records::GroupMetadataValue;
use dohle_protocol::messages::join_group::JoinGroupRequest;

/// A member whose first JoinGroup was not answered for so long may be dropped.
pub(super) const NEW_MEMBER_MS: i64 = 5 * 60 * 1000;

#[derive(Debug, Clone)]
pub(super) struct LiveMember {
    pub(super) instance: Option<String>,
    pub(super) protocol_type: String,
    /// Name and subscription, the favourite first.
    pub(super) protocols: Vec<(String, bytes::Bytes)>,
    pub(super) session_ms: i64,
    /// The shortest that it ever asked for.
    pub(super) rebalance_ms: i64,
    /// Set while its first JoinGroup waits.
    pub(super) new_since_ms: Option<i64>,
    /// Heard of since: from then on its session counts, and no longer the time for new members.
    pub(super) has_spoken: bool,
    /// Its session was extended then, for sure.
    pub(super) alive_ms: i64,
    /// Its session was perhaps extended as late as then.
    pub(super) alive_ms_max: i64,
    /// No rebalance waited for it then.
    pub(super) settled_ms: i64,
    /// It was told of the generation then, and has not sent SyncGroup.
    pub(super) unsynced_since_ms: Option<i64>,
}

#[derive(Debug, Default)]
pub(super) struct LiveGroup {
    pub(super) generation: i32,
    pub(super) leader: Option<String>,
    pub(super) protocol: Option<String>,
    pub(super) members: BTreeMap<String, LiveMember>,
    /// Ids that were handed out, and when they become invalid.
    pub(super) pending: BTreeMap<String, i64>,
    /// A generation has begun, and nothing has happened since that could end it before its assignment is there.
    pub(super) is_completing: bool,
    /// The longest rebalance timeout that any member ever asked for.
    pub(super) rebalance_ms_max: i64,
}

impl LiveMember {
    pub(super) fn joining(now_ms: i64, api_version: i16, request: &JoinGroupRequest) -> LiveMember {
        let protocols = request.protocols.iter();
        LiveMember {
            instance: request.group_instance_id.clone(),
            protocol_type: request.protocol_type.clone(),
            protocols: protocols
                .map(|protocol| (protocol.name.clone(), protocol.metadata.clone()))
                .collect(),
            session_ms: i64::from(request.session_timeout_ms),
            rebalance_ms: rebalance_ms(api_version, request),
            new_since_ms: Some(now_ms),
            has_spoken: false,
            alive_ms: now_ms,
            alive_ms_max: now_ms,
            settled_ms: now_ms,
            unsynced_since_ms: None,
        }
    }

    /// Joins again, under the same id or a new one.
    pub(super) fn adopt(&mut self, now_ms: i64, api_version: i16, request: &JoinGroupRequest) {
        let newer = LiveMember::joining(now_ms, api_version, request);
        self.protocols = newer.protocols;
        self.session_ms = newer.session_ms;
        self.rebalance_ms = self.rebalance_ms.min(newer.rebalance_ms);
    }

    pub(super) fn heard_of(&mut self, now_ms: i64) {
        self.has_spoken = true;
        self.alive_ms = now_ms;
        self.alive_ms_max = now_ms;
    }

    pub(super) fn enters_generation(&mut self, now_ms: i64) {
        self.new_since_ms = None;
        self.heard_of(now_ms);
        self.settled_ms = now_ms;
        self.unsynced_since_ms = Some(now_ms);
    }

    /// Whether there is a reason to have removed it. A member whose request is parked is kept waiting by the coordinator itself.
    pub(super) fn may_be_gone(&self, now_ms: i64, is_parked: bool) -> bool {
        match self.new_since_ms {
            Some(_) if self.has_spoken => now_ms >= self.alive_ms + self.session_ms,
            Some(since_ms) => now_ms >= since_ms + NEW_MEMBER_MS,
            None if is_parked => false,
            None => {
                let is_silent = now_ms >= self.alive_ms + self.session_ms;
                let missed_join = now_ms >= self.settled_ms + self.rebalance_ms;
                let missed_sync = self
                    .unsynced_since_ms
                    .is_some_and(|since_ms| now_ms >= since_ms + self.rebalance_ms);
                is_silent || missed_join || missed_sync
            }
        }
    }

    /// Whether it should have been removed when the timers went off.
    pub(super) fn must_be_gone(&self, timers_ms: i64, is_parked: bool) -> bool {
        self.new_since_ms.is_none() && !is_parked && timers_ms > self.alive_ms_max + self.session_ms
    }

    pub(super) fn subscription(&self, protocol: &str) -> Option<&bytes::Bytes> {
        let mut protocols = self.protocols.iter();
        protocols.find_map(|(name, subscription)| (name == protocol).then_some(subscription))
    }
}

impl LiveGroup {
    /// As a coordinator finds it in the log.
    pub(super) fn from_log(now_ms: i64, recorded: &GroupMetadataValue) -> LiveGroup {
        let mut group = LiveGroup {
            generation: recorded.generation,
            leader: recorded.leader.clone(),
            protocol: recorded.protocol.clone(),
            ..Default::default()
        };
        for member in &recorded.members {
            // The oldest records have one timeout for both.
            let rebalance_ms = i64::from(match member.rebalance_timeout {
                -1 => member.session_timeout,
                timeout_ms => timeout_ms,
            });
            group.rebalance_ms_max = group.rebalance_ms_max.max(rebalance_ms);
            let live = LiveMember {
                instance: member.group_instance_id.clone(),
                protocol_type: recorded.protocol_type.clone(),
                protocols: vec![(recorded.protocol.clone().unwrap_or_default(), member.subscription.clone())],
                session_ms: i64::from(member.session_timeout),
                rebalance_ms,
                new_since_ms: None,
                has_spoken: false,
                alive_ms: now_ms,
                alive_ms_max: now_ms,
                settled_ms: now_ms,
                unsynced_since_ms: None,
            };
            group.members.insert(member.member_id.clone(), live);
        }
        group
    }

    pub(super) fn holder(&self, instance: &str) -> Option<(&String, &LiveMember)> {
        let mut members = self.members.iter();
        members.find(|(_, member)| member.instance.as_deref() == Some(instance))
    }

    /// The protocol with the most votes of those that everybody speaks; the winners of a tie.
    pub(super) fn favourites(&self) -> BTreeSet<&str> {
        let common = |name: &&str| self.members.values().all(|member| member.subscription(name).is_some());
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            let mut names = member.protocols.iter().map(|(name, _)| name.as_str());
            if let Some(vote) = names.find(common) {
                *votes.entry(vote).or_default() += 1;
            }
        }
        let most = votes.values().max().copied();
        votes
            .into_iter()
            .filter(|(_, count)| Some(*count) == most)
            .map(|(name, _)| name)
            .collect()
    }
}

/// Version 0 has one timeout for both.
pub(super) fn rebalance_ms(api_version: i16, request: &JoinGroupRequest) -> i64 {
    i64::from(if api_version == 0 {
        request.session_timeout_ms
    } else {
        request.rebalance_timeout_ms
    })
}
