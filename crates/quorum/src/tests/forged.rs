//! Requests that no node of ours sends: refused, and nobody is the worse for them.

use bytes::Bytes;

use super::cluster::{Cluster, allocate};
use super::*;
use crate::rpc::append::Append;
use crate::rpc::snapshot_chunk::{ChunkValue, SnapshotChunk};
use crate::rpc::transfer::Transfer;
use crate::rpc::values::{EntryValue, LogIdValue, VoteValue};
use crate::rpc::vote::AskVote;
use crate::rpc::{self, Call, Header, Refusal};
use crate::snapshot;
use crate::type_config::{NodeId, StoredMembership};

const TERM: i64 = 1_000;

fn vote(term: i64, voted_for: NodeId, committed: bool) -> VoteValue {
    VoteValue {
        term,
        voted_for: voted_for as i64,
        committed,
        ..VoteValue::default()
    }
}

fn blank(term: i64, index: i64) -> EntryValue {
    EntryValue {
        term,
        index,
        payload: Bytes::from_static(&[0, 0]),
        ..EntryValue::default()
    }
}

fn append(vote: VoteValue, entries: Vec<EntryValue>) -> Append {
    Append {
        vote,
        entries,
        ..Append::default()
    }
}

/// Of a term that its sender has not reached yet.
fn premature(quorum: &Quorum, vote: VoteValue) -> SnapshotChunk {
    let last = log_id(TERM as u64 + 1, 100_000);
    let content = snapshot::encode(last, &StoredMembership::default(), &quorum.image(), 0).unwrap();
    let chunk = ChunkValue {
        last: LogIdValue::from(last),
        file_bytes: content.len() as i64,
        position: 0,
        content,
        ..ChunkValue::default()
    };
    SnapshotChunk {
        vote,
        chunk,
        ..SnapshotChunk::default()
    }
}

async fn refuses<C: Call>(quorum: &Quorum, from: NodeId, to: NodeId, call: C) {
    let header = Header {
        from: from as i64,
        to: to as i64,
        ..Header::default()
    };
    let request = rpc::encode_request(&header, &call).unwrap();
    let reply = rpc::decode_reply::<C>(quorum.serve(request).await).unwrap();
    let refusal = reply.err().expect("it was taken for a request of ours");
    assert_eq!(refusal.reason, Refusal::INVALID, "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_no_node_of_ours_sends_are_refused() {
    let cluster = Cluster::start(3).await;
    let (leader, _) = cluster.leader().await;
    cluster.agree().await;
    for (id, node) in &cluster.nodes {
        let other = id % 3 + 1;
        // In the name of the node itself, which would take itself for a leader.
        refuses(node, other, *id, append(vote(TERM, *id, true), Vec::new())).await;
        refuses(node, *id, *id, append(vote(TERM, *id, true), Vec::new())).await;
        refuses(node, other, *id, premature(node, vote(TERM, *id, true))).await;
        // By somebody who was not elected.
        refuses(node, other, *id, append(vote(TERM, other, false), Vec::new())).await;
        let ask = |vote: VoteValue, trial: bool| AskVote {
            vote,
            trial,
            ..AskVote::default()
        };
        refuses(node, other, *id, ask(vote(TERM, other, true), false)).await;
        refuses(node, other, *id, ask(vote(TERM, *id, false), true)).await;
        let transfer = Transfer {
            vote: vote(TERM, *id, true),
            to: *id as i64,
            ..Transfer::default()
        };
        refuses(node, other, *id, transfer).await;
        // Of terms that cannot be.
        refuses(node, other, *id, premature(node, vote(TERM, other, true))).await;
        refuses(node, other, *id, append(vote(i64::from(i32::MAX) + 1, other, true), Vec::new())).await;
        refuses(node, other, *id, ask(vote(i64::from(i32::MAX) + 1, other, false), false)).await;
        let entries = vec![blank(TERM, 0), blank(TERM - 1, 1)];
        refuses(node, other, *id, append(vote(TERM, other, true), entries)).await;
        refuses(node, other, *id, append(vote(TERM, other, true), vec![blank(TERM + 1, 0)])).await;
    }
    allocate(&cluster.nodes[&leader]).await.unwrap();
    cluster.agree().await;
    for node in cluster.nodes.values() {
        let status = node.status();
        assert_eq!(status.failure, None);
        assert!(i64::from(status.leader_epoch.0) < TERM);
    }
}
