//! The bytes of each message, and what is not a message.

use bytes::Bytes;

use super::append::Append;
use super::pull::Pull;
use super::snapshot_chunk::{ChunkValue, SnapshotChunk};
use super::transfer::Transfer;
use super::values::{EntryValue, LogIdValue, VoteValue};
use super::vote::AskVote;
use super::*;

fn header() -> Header {
    Header {
        cluster_id: "blue".to_owned(),
        from: 1,
        to: 2,
        ..Header::default()
    }
}

fn vote() -> VoteValue {
    VoteValue {
        term: 7,
        voted_for: 1,
        committed: true,
        ..VoteValue::default()
    }
}

fn at(term: i64, index: i64) -> LogIdValue {
    LogIdValue {
        term,
        index,
        ..LogIdValue::default()
    }
}

fn chunk() -> ChunkValue {
    ChunkValue {
        last: at(3, 9),
        file_bytes: 4,
        position: 2,
        content: Bytes::from_static(b"yz"),
        ..ChunkValue::default()
    }
}

fn append() -> Append {
    let entry = EntryValue {
        term: 7,
        index: 5,
        payload: Bytes::from_static(&[0, 0]),
        ..EntryValue::default()
    };
    Append {
        vote: vote(),
        previous: Some(at(6, 4)),
        entries: vec![entry],
        committed: None,
        ..Append::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A node of one release talks to a node of the next: these bytes do not change within a version.
fn is_golden<C: Call + PartialEq + std::fmt::Debug>(call: &C, golden: &str) {
    let bytes = encode_request(&header(), call).unwrap();
    assert_eq!(hex(&bytes), golden);
    let received = Received::decode(bytes.clone()).unwrap();
    assert_eq!((received.kind, &received.header), (C::KIND, &header()));
    assert_eq!(&received.call::<C>().unwrap(), call);
    for length in 0..bytes.len() {
        let cut = Received::decode(bytes.slice(..length)).and_then(Received::call::<C>);
        assert!(cut.is_err(), "cut to {length} bytes");
    }
    let longer = Bytes::from([bytes.as_ref(), &[0]].concat());
    assert!(Received::decode(longer).unwrap().call::<C>().is_err());
}

#[test]
fn the_bytes_of_the_requests_do_not_change() {
    is_golden(
        &append(),
        concat!(
            "010005626c7565000000000000000100000000000000020000000000000000070000000000000001",
            "01000100000000000000060000000000000004000200000000000000070000000000000005030000",
            "00ff00",
        ),
    );
    let ask = AskVote {
        vote: vote(),
        last: Some(at(6, 4)),
        transfer: false,
        trial: true,
        ..AskVote::default()
    };
    is_golden(
        &ask,
        concat!(
            "020005626c7565000000000000000100000000000000020000000000000000070000000000000001",
            "0100010000000000000006000000000000000400000100",
        ),
    );
    let part = SnapshotChunk {
        vote: vote(),
        chunk: chunk(),
        ..SnapshotChunk::default()
    };
    is_golden(
        &part,
        concat!(
            "030005626c7565000000000000000100000000000000020000000000000000070000000000000001",
            "010000000000000000030000000000000009000000000000000004000000000000000203797a0000",
        ),
    );
    let transfer = Transfer {
        vote: vote(),
        last: Some(at(7, 5)),
        to: 2,
        ..Transfer::default()
    };
    is_golden(
        &transfer,
        concat!(
            "040005626c7565000000000000000100000000000000020000000000000000070000000000000001",
            "0100010000000000000007000000000000000500000000000000000200",
        ),
    );
    let pull = Pull {
        next: 6,
        leader: -1,
        wait_ms_max: 2000,
        snapshot: None,
        position: 0,
        ..Pull::default()
    };
    is_golden(
        &pull,
        concat!(
            "050005626c756500000000000000010000000000000002000000000000000006ffffffffffffffff",
            "000007d0ff000000000000000000",
        ),
    );
}

#[test]
fn a_refusal_is_told_from_a_reply() {
    let refusal = Refusal::new(Refusal::OTHER_NODE, "no");
    let bytes = encode_reply::<Append>(Err(refusal.clone()));
    assert_eq!(hex(&bytes), "000002036e6f00");
    assert_eq!(decode_reply::<Append>(bytes).unwrap(), Err(refusal));
    let reply = encode_reply::<Append>(Ok(Default::default()));
    assert!(decode_reply::<Append>(reply.clone()).unwrap().is_ok());
    assert!(decode_reply::<AskVote>(reply).is_err());
    assert!(decode_reply::<AskVote>(Bytes::new()).is_err());
}

/// A length that was made up costs no memory: the decoder has not more elements than bytes.
#[test]
fn a_request_that_claims_too_much_is_refused() {
    let mut bytes = encode_request(&header(), &Append::default()).unwrap().to_vec();
    let entries_at = bytes.len() - 3;
    bytes.splice(entries_at..=entries_at, [0xff, 0xff, 0xff, 0xff, 0x0f]);
    assert!(Received::decode(bytes.into()).unwrap().call::<Append>().is_err());
}

#[test]
fn entries_with_holes_and_numbers_that_are_none_are_refused() {
    use openraft::raft::AppendEntriesRequest;

    use crate::runtime::Tokio;
    use crate::type_config::TypeConfig;
    let decode = |append: Append| AppendEntriesRequest::<TypeConfig<Tokio>>::try_from(append);
    assert!(decode(append()).is_ok());
    let hole = Append {
        previous: Some(at(6, 3)),
        ..append()
    };
    let negative = Append {
        committed: Some(at(-1, 3)),
        ..append()
    };
    let huge = Append {
        committed: Some(at(1, i64::MAX)),
        ..append()
    };
    let falling = Append {
        previous: Some(at(8, 4)),
        ..append()
    };
    let beyond = Append {
        vote: VoteValue {
            term: i64::from(i32::MAX) + 1,
            ..vote()
        },
        ..append()
    };
    for bad in [hole, negative, huge, falling, beyond] {
        assert!(decode(bad.clone()).is_err(), "{bad:?}");
    }
}
