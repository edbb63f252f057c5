//! A member of a group, and the replies that it waits for.

use bytes::Bytes;
use dohle_protocol::coordinator_records::MemberMetadata;
use dohle_protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};

use crate::decision::ReplyToken;
use crate::limits;
use crate::request::Caller;

/// A reply that is owed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    pub(crate) token: ReplyToken,
    pub(crate) api_version: i16,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout_ms: i32,
    pub(crate) session_timeout_ms: i32,
    /// Names and subscriptions, the member's favourite first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// Its JoinGroup is parked.
    pub(crate) joining: Option<Waiter>,
    /// Its SyncGroup is parked.
    pub(crate) syncing: Option<Waiter>,
    /// Its first JoinGroup has not been answered: it may be gone, and come again as somebody else.
    pub(crate) is_new: bool,
}

impl Member {
    pub(crate) fn new(id: String, caller: &Caller, waiter: Waiter, request: &JoinGroupRequest) -> Member {
        let mut member = Member {
            id,
            instance_id: request.group_instance_id.clone(),
            client_id: caller.client_id.clone(),
            client_host: caller.client_host.clone(),
            rebalance_timeout_ms: 0,
            session_timeout_ms: 0,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            joining: Some(waiter),
            syncing: None,
            is_new: true,
        };
        member.adopt(caller.api_version, request);
        member
    }

    pub(crate) fn from_log(recorded: &MemberMetadata, protocol: &str) -> Member {
        let rebalance_timeout_ms = match recorded.rebalance_timeout {
            -1 => recorded.session_timeout,
            timeout_ms => timeout_ms,
        };
        Member {
            id: recorded.member_id.clone(),
            instance_id: recorded.group_instance_id.clone(),
            client_id: recorded.client_id.clone(),
            client_host: recorded.client_host.clone(),
            rebalance_timeout_ms,
            session_timeout_ms: recorded.session_timeout,
            protocols: vec![(protocol.to_owned(), recorded.subscription.clone())],
            assignment: recorded.assignment.clone(),
            joining: None,
            syncing: None,
            is_new: false,
        }
    }

    /// Takes over what a JoinGroup says. The bytes are copied: they are a small part of a request that would stay in memory with them.
    pub(crate) fn adopt(&mut self, api_version: i16, request: &JoinGroupRequest) {
        self.session_timeout_ms = request.session_timeout_ms;
        self.rebalance_timeout_ms = match api_version {
            0 => request.session_timeout_ms,
            _ => request.rebalance_timeout_ms,
        };
        let owned = |protocol: &JoinGroupRequestProtocol| (protocol.name.clone(), Bytes::copy_from_slice(&protocol.metadata));
        self.protocols = request.protocols.iter().map(owned).collect();
    }

    pub(crate) fn metadata(&self, protocol: &str) -> Option<&Bytes> {
        self.protocols
            .iter()
            .find_map(|(name, metadata)| (name == protocol).then_some(metadata))
    }

    pub(crate) fn protocol_names(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn offers(&self, protocols: &[JoinGroupRequestProtocol]) -> bool {
        let same = |(mine, theirs): (&(String, Bytes), &JoinGroupRequestProtocol)| mine.0 == theirs.name && mine.1 == theirs.metadata;
        self.protocols.len() == protocols.len() && self.protocols.iter().zip(protocols).all(same)
    }

    pub(crate) fn protocol_bytes(&self) -> usize {
        self.protocols
            .iter()
            .map(|(name, metadata)| name.len() + metadata.len() + limits::PROTOCOL_OVERHEAD_BYTES)
            .sum()
    }

    /// What its texts cost in memory.
    pub(crate) fn bytes(&self) -> usize {
        let names = self.client_id.len() + self.client_host.len() + self.instance_id.as_ref().map_or(0, String::len);
        names + self.protocol_bytes() + self.assignment.len()
    }

    /// It is the coordinator who keeps it waiting. A new member is not excused: it may never have learnt its id.
    pub(crate) fn cannot_expire(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}
