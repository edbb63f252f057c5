//! Bytes written by hand from Kafka's schemas.

use super::*;

/// Bytes in front of which stands their length, in two or four bytes.
fn short(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as i16).to_be_bytes(), bytes].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as i32).to_be_bytes(), bytes].concat()
}

fn bytes(parts: &[&[u8]]) -> Bytes {
    Bytes::from(parts.concat())
}

fn offset_key(version: u8) -> Bytes {
    bytes(&[&[0, version], &short(b"group"), &short(b"topic"), &[0, 0, 0, 7]])
}

fn commit(value: Option<OffsetCommitValue>) -> GroupRecord {
    GroupRecord::OffsetCommit {
        group: "group".into(),
        topic: "topic".into(),
        partition: 7,
        value,
    }
}

fn offset_value() -> OffsetCommitValue {
    OffsetCommitValue {
        offset: 0x0102_0304_0506_0708,
        leader_epoch: 5,
        metadata: "m".into(),
        commit_timestamp: 0x11,
        ..Default::default()
    }
}

const OFFSET: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const EPOCH: [u8; 4] = [0, 0, 0, 5];
const COMMITTED: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 0x11];
const EXPIRES: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 0x22];

#[test]
fn an_offset_is_written_in_version_3_under_a_key_of_version_1() {
    let (key, value) = commit(Some(offset_value())).encode();
    assert_eq!(key, offset_key(1));
    assert_eq!(value.clone().unwrap(), bytes(&[&[0, 3], &OFFSET, &EPOCH, &short(b"m"), &COMMITTED]));
    assert_eq!(GroupRecord::decode(key, value), Ok(Some(commit(Some(offset_value())))));
}

#[test]
fn an_offset_that_says_when_it_expires_is_written_in_version_1() {
    let expiring = OffsetCommitValue {
        expire_timestamp: 0x22,
        ..offset_value()
    };
    let (key, value) = commit(Some(expiring.clone())).encode();
    assert_eq!(
        value.clone().unwrap(),
        bytes(&[&[0, 1], &OFFSET, &short(b"m"), &COMMITTED, &EXPIRES])
    );
    let without_epoch = OffsetCommitValue {
        leader_epoch: -1,
        ..expiring
    };
    assert_eq!(GroupRecord::decode(key, value), Ok(Some(commit(Some(without_epoch)))));
}

#[test]
fn offsets_of_every_version_are_read() {
    let without_epoch = OffsetCommitValue {
        leader_epoch: -1,
        ..offset_value()
    };
    let old = bytes(&[&[0, 0], &OFFSET, &short(b"m"), &COMMITTED]);
    assert_eq!(
        GroupRecord::decode(offset_key(0), Some(old)),
        Ok(Some(commit(Some(without_epoch.clone()))))
    );
    let second = bytes(&[&[0, 2], &OFFSET, &short(b"m"), &COMMITTED]);
    assert_eq!(
        GroupRecord::decode(offset_key(1), Some(second)),
        Ok(Some(commit(Some(without_epoch))))
    );
    // Compact string, then one tagged field: number 0, 16 bytes.
    let newest = bytes(&[&[0, 4], &OFFSET, &EPOCH, &[2, b'm'], &COMMITTED, &[1, 0, 16], &[9; 16]]);
    let identified = OffsetCommitValue {
        topic_id: Uuid::from_bytes([9; 16]),
        ..offset_value()
    };
    assert_eq!(GroupRecord::decode(offset_key(1), Some(newest)), Ok(Some(commit(Some(identified)))));
}

#[test]
fn a_tombstone_is_a_key_without_a_value() {
    for record in [
        commit(None),
        GroupRecord::GroupMetadata {
            group: "group".into(),
            value: None,
        },
    ] {
        let (key, value) = record.encode();
        assert_eq!(value, None);
        assert_eq!(GroupRecord::decode(key, None), Ok(Some(record)));
    }
}

fn group(value: GroupMetadataValue) -> GroupRecord {
    GroupRecord::GroupMetadata {
        group: "group".into(),
        value: Some(value),
    }
}

fn group_key() -> Bytes {
    bytes(&[&[0, 2], &short(b"group")])
}

fn generation() -> GroupMetadataValue {
    let member = MemberMetadata {
        member_id: "c-1".into(),
        group_instance_id: Some("i".into()),
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        rebalance_timeout: 3,
        session_timeout: 4,
        subscription: Bytes::from_static(b"sub"),
        assignment: Bytes::from_static(b"assigned"),
        ..Default::default()
    };
    GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 2,
        protocol: Some("range".into()),
        leader: Some("c-1".into()),
        current_state_timestamp: 0x11,
        members: vec![member],
        ..Default::default()
    }
}

#[test]
fn a_generation_is_written_in_version_3() {
    let (key, value) = group(generation()).encode();
    assert_eq!(key, group_key());
    let expected = bytes(&[
        &[0, 3],
        &short(b"consumer"),
        &[0, 0, 0, 2],
        &short(b"range"),
        &short(b"c-1"),
        &COMMITTED,
        &[0, 0, 0, 1],
        &short(b"c-1"),
        &short(b"i"),
        &short(b"c"),
        &short(b"/127.0.0.1"),
        &[0, 0, 0, 3],
        &[0, 0, 0, 4],
        &long(b"sub"),
        &long(b"assigned"),
    ]);
    assert_eq!(value.clone().unwrap(), expected);
    assert_eq!(GroupRecord::decode(key, value), Ok(Some(group(generation()))));
}

#[test]
fn an_empty_generation_has_neither_protocol_nor_leader() {
    let empty = GroupMetadataValue {
        protocol_type: "consumer".into(),
        generation: 3,
        current_state_timestamp: -1,
        ..Default::default()
    };
    let (key, value) = group(empty.clone()).encode();
    let expected = bytes(&[
        &[0, 3],
        &short(b"consumer"),
        &[0, 0, 0, 3],
        &[0xff, 0xff],
        &[0xff, 0xff],
        &[0xff; 8],
        &[0; 4],
    ]);
    assert_eq!(value.clone().unwrap(), expected);
    assert_eq!(GroupRecord::decode(key, value), Ok(Some(group(empty))));
}

#[test]
fn generations_of_the_oldest_and_of_the_newest_version_are_read() {
    let oldest = bytes(&[
        &[0, 0],
        &short(b"consumer"),
        &[0, 0, 0, 2],
        &short(b"range"),
        &short(b"c-1"),
        &[0, 0, 0, 1],
        &short(b"c-1"),
        &short(b"c"),
        &short(b"/127.0.0.1"),
        &[0, 0, 0, 4],
        &long(b"sub"),
        &long(b"assigned"),
    ]);
    let mut expected = generation();
    expected.current_state_timestamp = -1;
    expected.members[0].group_instance_id = None;
    expected.members[0].rebalance_timeout = -1;
    assert_eq!(GroupRecord::decode(group_key(), Some(oldest)), Ok(Some(group(expected))));

    // Compact lengths are one more than the length; no tagged fields, neither of the member nor of the generation.
    let newest = bytes(&[
        &[0, 4, 9],
        b"consumer",
        &[0, 0, 0, 2, 6],
        b"range",
        &[4],
        b"c-1",
        &COMMITTED,
        &[2, 4],
        b"c-1",
        &[2, b'i', 2, b'c', 11],
        b"/127.0.0.1",
        &[0, 0, 0, 3, 0, 0, 0, 4, 4],
        b"sub",
        &[9],
        b"assigned",
        &[0, 0],
    ]);
    assert_eq!(GroupRecord::decode(group_key(), Some(newest)), Ok(Some(group(generation()))));
}

#[test]
fn other_kinds_of_groups_are_skipped() {
    for kind in [3, 4, 5, 8, 16, 300_i16] {
        let key = bytes(&[&kind.to_be_bytes(), b"whatever"]);
        assert_eq!(GroupRecord::decode(key, Some(Bytes::from_static(b"?"))), Ok(None));
    }
}

#[test]
fn damaged_records_are_errors() {
    let value = commit(Some(offset_value())).encode().1;
    for key in [
        &[][..],
        &[0],
        &[0xff, 0xff],
        &[0, 1],
        &[0, 1, 0x7f, 0xff, b'g'],
        &[0, 2, 0, 5, b'g'],
    ] {
        assert!(GroupRecord::decode(Bytes::copy_from_slice(key), value.clone()).is_err(), "{key:?}");
    }
    let too_many_members = bytes(&[&[0, 3], &short(b""), &[0, 0, 0, 2], &[0xff; 4], &[0; 8], &[0x7f, 0xff, 0xff, 0xff]]);
    assert!(GroupRecord::decode(group_key(), Some(too_many_members)).is_err());
    for value in [&[][..], &[0, 3], &[0, 5, 0, 0], &[0xff, 0xff], &[0, 3, 1, 2]] {
        let value = Some(Bytes::copy_from_slice(value));
        assert!(GroupRecord::decode(offset_key(1), value.clone()).is_err(), "{value:?}");
        assert!(GroupRecord::decode(group_key(), value.clone()).is_err(), "{value:?}");
    }
}
