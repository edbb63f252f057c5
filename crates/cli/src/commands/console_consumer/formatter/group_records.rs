//! Records of `__consumer_offsets` as Kafka's OffsetsMessageFormatter and GroupMetadataMessageFormatter print them: JSON, one object right
//! behind the other.

use bytes::Bytes;
use dohle_protocol::coordinator_records::{GroupMetadataValue, GroupRecord, MemberMetadata, OffsetCommitValue};
use dohle_protocol::id::uuid_to_base64;
use dohle_protocol::wire::DecodeError;
use serde_json::json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Offsets,
    Groups,
}

impl Kind {
    /// Empty for a record of another kind.
    pub(super) fn format(self, key: Option<&Bytes>, value: Option<&Bytes>) -> Result<String, DecodeError> {
        let Some(key) = key else { return Ok(String::new()) };
        let version = value.map_or(-1, leading_i16);
        Ok(match (self, GroupRecord::decode(key.clone(), value.cloned())?) {
            (
                Kind::Offsets,
                Some(GroupRecord::OffsetCommit {
                    group,
                    topic,
                    partition,
                    value,
                }),
            ) => {
                let data = format!(r#"{{"group":{},"topic":{},"partition":{partition}}}"#, json!(group), json!(topic));
                object(key, &data, version, value.map(|value| offset(version, &value)))
            }
            (Kind::Groups, Some(GroupRecord::GroupMetadata { group, value })) => {
                let data = format!(r#"{{"group":{}}}"#, json!(group));
                object(key, &data, version, value.map(|value| metadata(version, &value)))
            }
            _ => String::new(),
        })
    }
}

fn leading_i16(bytes: &Bytes) -> i16 {
    bytes.first_chunk().map_or(-1, |chunk| i16::from_be_bytes(*chunk))
}

fn object(key: &Bytes, data: &str, version: i16, value: Option<String>) -> String {
    let value = value.map_or("null".to_owned(), |value| format!(r#"{{"version":{version},"data":{value}}}"#));
    format!(r#"{{"key":{{"type":{},"data":{data}}},"value":{value}}}"#, leading_i16(key))
}

/// Fields that the version does not have are left out.
fn offset(version: i16, value: &OffsetCommitValue) -> String {
    let mut fields = vec![format!(r#""offset":{}"#, value.offset)];
    if version >= 3 {
        fields.push(format!(r#""leaderEpoch":{}"#, value.leader_epoch));
    }
    fields.push(format!(r#""metadata":{}"#, json!(value.metadata)));
    fields.push(format!(r#""commitTimestamp":{}"#, value.commit_timestamp));
    if version == 1 {
        fields.push(format!(r#""expireTimestamp":{}"#, value.expire_timestamp));
    }
    if version >= 4 && !value.topic_id.is_nil() {
        fields.push(format!(r#""topicId":"{}""#, uuid_to_base64(&value.topic_id)));
    }
    format!("{{{}}}", fields.join(","))
}

fn metadata(version: i16, value: &GroupMetadataValue) -> String {
    let mut fields = vec![
        format!(r#""protocolType":{}"#, json!(value.protocol_type)),
        format!(r#""generation":{}"#, value.generation),
        format!(r#""protocol":{}"#, json!(value.protocol)),
        format!(r#""leader":{}"#, json!(value.leader)),
    ];
    if version >= 2 {
        fields.push(format!(r#""currentStateTimestamp":{}"#, value.current_state_timestamp));
    }
    let members: Vec<String> = value.members.iter().map(|of_group| member(version, of_group)).collect();
    fields.push(format!(r#""members":[{}]"#, members.join(",")));
    format!("{{{}}}", fields.join(","))
}

fn member(version: i16, member: &MemberMetadata) -> String {
    let mut fields = vec![format!(r#""memberId":{}"#, json!(member.member_id))];
    if version >= 3 {
        fields.push(format!(r#""groupInstanceId":{}"#, json!(member.group_instance_id)));
    }
    fields.push(format!(r#""clientId":{}"#, json!(member.client_id)));
    fields.push(format!(r#""clientHost":{}"#, json!(member.client_host)));
    if version >= 1 {
        fields.push(format!(r#""rebalanceTimeout":{}"#, member.rebalance_timeout));
    }
    fields.push(format!(r#""sessionTimeout":{}"#, member.session_timeout));
    fields.push(format!(r#""subscription":"{}""#, base64(&member.subscription)));
    fields.push(format!(r#""assignment":"{}""#, base64(&member.assignment)));
    format!("{{{}}}", fields.join(","))
}

/// The common alphabet, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * position)) as usize & 63];
            text.push(if position <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: Option<OffsetCommitValue>) -> (Bytes, Option<Bytes>) {
        let (group, topic) = ("g\"ü".to_owned(), "t".to_owned());
        let record = GroupRecord::OffsetCommit {
            group,
            topic,
            partition: 3,
            value,
        };
        record.encode()
    }

    fn group() -> (Bytes, Option<Bytes>) {
        let member = MemberMetadata {
            member_id: "m1".into(),
            client_id: "c".into(),
            client_host: "/h".into(),
            rebalance_timeout: 6,
            session_timeout: 7,
            subscription: Bytes::from_static(&[0, 1, 2]),
            assignment: Bytes::from_static(&[3, 4]),
            ..Default::default()
        };
        let value = GroupMetadataValue {
            protocol_type: "consumer".into(),
            generation: 2,
            protocol: Some("range".into()),
            current_state_timestamp: 5,
            members: vec![member],
            ..Default::default()
        };
        let (group, value) = ("g".to_owned(), Some(value));
        GroupRecord::GroupMetadata { group, value }.encode()
    }

    fn printed(kind: Kind, (key, value): &(Bytes, Option<Bytes>)) -> String {
        kind.format(Some(key), value.as_ref()).unwrap()
    }

    /// As Apache Kafka 4.3.1 prints these records.
    #[test]
    fn offsets_and_groups_are_printed_as_kafka_prints_them() {
        let value = OffsetCommitValue {
            offset: 7,
            leader_epoch: 2,
            metadata: "m".into(),
            commit_timestamp: 12,
            ..Default::default()
        };
        let key = r#"{"key":{"type":1,"data":{"group":"g\"ü","topic":"t","partition":3}},"value":"#;
        let expected = key.to_owned() + r#"{"version":3,"data":{"offset":7,"leaderEpoch":2,"metadata":"m","commitTimestamp":12}}}"#;
        assert_eq!(printed(Kind::Offsets, &record(Some(value.clone()))), expected);
        let expiring = OffsetCommitValue {
            leader_epoch: -1,
            expire_timestamp: 99,
            ..value
        };
        let expected = key.to_owned() + r#"{"version":1,"data":{"offset":7,"metadata":"m","commitTimestamp":12,"expireTimestamp":99}}}"#;
        assert_eq!(printed(Kind::Offsets, &record(Some(expiring))), expected);
        assert_eq!(printed(Kind::Offsets, &record(None)), key.to_owned() + "null}");
        assert_eq!(
            printed(Kind::Groups, &group()),
            concat!(
                r#"{"key":{"type":2,"data":{"group":"g"}},"value":{"version":3,"data":{"protocolType":"consumer","generation":2,"#,
                r#""protocol":"range","leader":null,"currentStateTimestamp":5,"members":[{"memberId":"m1","groupInstanceId":null,"#,
                r#""clientId":"c","clientHost":"/h","rebalanceTimeout":6,"sessionTimeout":7,"subscription":"AAEC","assignment":"AwQ="}]}}}"#,
            )
        );
    }

    #[test]
    fn records_of_other_kinds_are_left_out_and_damaged_ones_are_errors() {
        assert_eq!(printed(Kind::Groups, &record(None)), "");
        assert_eq!(printed(Kind::Offsets, &group()), "");
        assert_eq!(Kind::Offsets.format(None, None).unwrap(), "");
        let (key, _) = record(None);
        assert!(Kind::Offsets.format(Some(&key), Some(&Bytes::from_static(&[0, 9]))).is_err());
    }
}
