//! One decision being made: what it may read, what it may change, and what it has come to so far.

use std::collections::BTreeMap;

use dohle_protocol::ErrorCode;
use dohle_protocol::coordinator_records::GroupRecord;
use dohle_protocol::messages::join_group::JoinGroupResponse;
use dohle_protocol::messages::sync_group::SyncGroupResponse;

use crate::config::GroupConfig;
use crate::decision::{Decision, Effect, ReplyToken};
use crate::group::{Group, Member, Waiter};
use crate::hard::Hard;
use crate::request::GroupResponse;
use crate::shard::Counters;
use crate::timers::{Timer, Timers};

/// Soft state: who is waiting, and which session is late. It is lost with the shard.
#[derive(Debug, Default)]
pub(crate) struct Soft {
    /// Groups with members, or with somebody about to join; all others are as the log has them.
    pub(crate) groups: BTreeMap<String, Group>,
    /// What their members cost in memory.
    pub(crate) member_bytes: usize,
    pub(crate) timers: Timers,
    pub(crate) counters: Counters,
}

pub(crate) struct Turn<'a> {
    pub(crate) config: &'a GroupConfig,
    pub(crate) hard: &'a Hard,
    pub(crate) soft: &'a mut Soft,
    pub(crate) now_ms: i64,
    pub(crate) decision: Decision,
}

impl Turn<'_> {
    /// Takes a group out of the shard, to be worked on; to be put back by [`Turn::put`], or [`Turn::put_unchanged`].
    pub(crate) fn take(&mut self, id: &str) -> Option<Group> {
        let from_log = || self.hard.groups.get(id).map(|hard| Group::from_log(id, hard));
        self.soft.groups.remove(id).or_else(from_log)
    }

    pub(crate) fn put(&mut self, mut group: Group) {
        let bytes = group.bytes();
        self.soft.member_bytes = self.soft.member_bytes - group.counted_bytes + bytes;
        group.counted_bytes = bytes;
        self.put_unchanged(group);
    }

    /// For a group whose members are as they were.
    pub(crate) fn put_unchanged(&mut self, group: Group) {
        if !group.is_idle() {
            self.soft.groups.insert(group.id.clone(), group);
        }
    }

    pub(crate) fn record(&mut self, record: GroupRecord) {
        self.decision.records.push(record);
    }

    pub(crate) fn fits(&self, record: &GroupRecord) -> bool {
        let (key, value) = record.encode();
        key.len() + value.map_or(0, |value| value.len()) <= self.config.record_bytes_max
    }

    /// Whether the shard has the memory for so many bytes of members of this group. What is there already has its place.
    pub(crate) fn has_room_for(&self, group: &Group, bytes: usize) -> bool {
        bytes <= group.counted_bytes || self.soft.member_bytes - group.counted_bytes + bytes <= self.config.member_bytes_max
    }

    pub(crate) fn reply(&mut self, token: ReplyToken, response: GroupResponse) {
        self.decision.effects.push(Effect::Reply { token, response });
    }

    pub(crate) fn reply_join(&mut self, waiter: Waiter, mut response: JoinGroupResponse) {
        // From version 7 on no protocol is null, and never an empty name.
        if waiter.api_version < 7 {
            response.protocol_name.get_or_insert_default();
        } else {
            response.protocol_name = response.protocol_name.filter(|name| !name.is_empty());
        }
        self.reply(waiter.token, GroupResponse::Join(response));
    }

    pub(crate) fn refuse_sync(&mut self, waiter: Waiter, error: ErrorCode) {
        let response = SyncGroupResponse {
            error_code: error.code(),
            ..Default::default()
        };
        self.reply(waiter.token, GroupResponse::Sync(response));
    }

    /// Answers whatever the member waits for with an error.
    pub(crate) fn dismiss(&mut self, member: &mut Member, error: ErrorCode) {
        if let Some(waiter) = member.joining.take() {
            let member_id = match error {
                ErrorCode::UnknownMemberId => "",
                _ => member.id.as_str(),
            };
            self.refuse_join(waiter, member_id, error);
        }
        if let Some(waiter) = member.syncing.take() {
            self.refuse_sync(waiter, error);
        }
    }

    /// A timer never goes off in the turn that sets it.
    pub(crate) fn arm(&mut self, timer: Timer, timeout_ms: i64) {
        self.soft.timers.schedule(timer, self.now_ms.saturating_add(timeout_ms.max(1)));
    }

    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.soft.timers.cancel(timer);
    }

    /// The member was heard of.
    pub(crate) fn extend_session(&mut self, group_id: &str, member: &Member) {
        self.arm(session(group_id, &member.id), i64::from(member.session_timeout_ms));
    }

    /// Removes a member, or an id that was handed out, with its timer; what it waits for is answered with UNKNOWN_MEMBER_ID.
    pub(crate) fn remove_member(&mut self, group: &mut Group, member_id: &str) {
        self.cancel(session(&group.id, member_id));
        if let Some(mut member) = group.remove(member_id) {
            self.dismiss(&mut member, ErrorCode::UnknownMemberId);
        }
    }
}

pub(crate) fn session(group_id: &str, member_id: &str) -> Timer {
    Timer::Session {
        group: group_id.to_owned(),
        member: member_id.to_owned(),
    }
}

pub(crate) fn join_timer(group_id: &str) -> Timer {
    Timer::Join {
        group: group_id.to_owned(),
    }
}

pub(crate) fn sync_timer(group_id: &str) -> Timer {
    Timer::Sync {
        group: group_id.to_owned(),
    }
}
