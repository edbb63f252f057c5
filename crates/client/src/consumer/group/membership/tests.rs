//! The membership by value: what is said, and what each answer leads to.

use std::time::Duration;

use super::*;
use crate::config::ConsumerConfig;
use crate::properties::Properties;

fn membership(settings: &[&str]) -> Membership {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", "localhost:9092");
    properties.set("group.id", "g");
    settings.iter().for_each(|pair| properties.add_pair(pair).unwrap());
    Membership::new(&ConsumerConfig::from_properties(&properties).unwrap().group.unwrap(), "")
}

fn topics() -> BTreeSet<Arc<str>> {
    BTreeSet::from([Arc::from("t")])
}

fn owned() -> Vec<TopicPartition> {
    vec![TopicPartition::new("t", 1)]
}

fn joined(leader: &str) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: 3,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        leader: leader.to_owned(),
        member_id: "me".to_owned(),
        ..Default::default()
    }
}

fn refused(code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.code(),
        ..Default::default()
    }
}

/// In generation 3.
fn member(settings: &[&str]) -> Membership {
    let mut membership = membership(settings);
    membership.on_join(joined("other")).unwrap();
    membership
}

#[test]
fn the_first_join_names_all_that_the_member_can_do() {
    let membership = membership(&["session.timeout.ms=7000", "max.poll.interval.ms=8000", "group.instance.id=i"]);
    let request = membership.join_request(&topics(), &[], "why");
    assert_eq!((request.session_timeout_ms, request.rebalance_timeout_ms), (7000, 8000));
    assert_eq!((request.member_id.as_str(), request.group_instance_id.as_deref()), ("", Some("i")));
    let names: Vec<&str> = request.protocols.iter().map(|protocol| protocol.name.as_str()).collect();
    assert_eq!(
        names,
        ["range", "cooperative-sticky"],
        "as Kafka's consumer in Java does by default"
    );
    let told = ConsumerProtocolSubscription::decode(request.protocols[1].metadata.clone()).unwrap();
    assert_eq!((told.topics, told.generation_id, told.rack_id), (vec!["t".to_owned()], -1, None));
    assert_eq!(told.user_data.as_deref(), Some(&(-1_i32).to_be_bytes()[..]));
}

#[test]
fn trap_42_a_new_member_is_given_an_id_and_joins_with_it() {
    let mut membership = membership(&[]);
    let answer = JoinGroupResponse {
        member_id: "given".to_owned(),
        ..refused(ErrorCode::MemberIdRequired)
    };
    assert!(matches!(membership.on_join(answer.clone()), Err(Setback::Again)));
    assert_eq!(membership.join_request(&topics(), &[], "").member_id, "given");
    assert!(
        matches!(membership.on_join(answer), Err(Setback::Later(_))),
        "a server that asks again is not asked in a loop"
    );
}

#[test]
fn only_the_leader_is_told_of_the_others_and_decides() {
    assert!(membership(&[]).on_join(joined("other")).unwrap().led.is_none());
    let mut leader = membership(&[]);
    let subscription = leader.join_request(&topics(), &[], "").protocols.remove(0).metadata;
    let member = |member_id: &str, metadata: Bytes| JoinGroupResponseMember {
        member_id: member_id.to_owned(),
        metadata,
        ..Default::default()
    };
    let members = vec![
        member("me", subscription.clone()),
        member("other", subscription),
        member("strange", Bytes::from_static(b"\x7f\xff\xff\xff\xff\xff\xff")),
    ];
    let response = JoinGroupResponse { members, ..joined("me") };
    let told = leader.on_join(response).unwrap();
    let decided = leader.assign(&read_members(told.led.unwrap()), &PartitionCounts::from([(Arc::from("t"), 3)]));
    let sizes: Vec<(String, usize)> = decided
        .into_iter()
        .map(|assignment| {
            let read = ConsumerProtocolAssignment::decode(assignment.assignment).unwrap();
            (assignment.member_id, flattened(read.assigned_partitions).len())
        })
        .collect();
    let expected = [("me", 2), ("other", 1), ("strange", 0)].map(|(id, size)| (id.to_owned(), size));
    assert_eq!(sizes, expected, "a subscription that cannot be read is nobody else's loss");
    let back = JoinGroupResponse {
        skip_assignment: true,
        ..joined("me")
    };
    assert!(leader.on_join(back).unwrap().skip_assignment);
}

#[test]
fn what_an_answer_to_join_leads_to() {
    let outcome = |code| membership(&[]).on_join(refused(code)).unwrap_err();
    for code in [
        ErrorCode::CoordinatorLoadInProgress,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotCoordinator,
        ErrorCode::RebalanceInProgress,
    ] {
        assert!(matches!(outcome(code), Setback::Later(_)), "{code}");
    }
    for code in [ErrorCode::UnknownMemberId, ErrorCode::IllegalGeneration] {
        assert!(matches!(outcome(code), Setback::Lost), "{code}");
    }
    for code in [
        ErrorCode::FencedInstanceId,
        ErrorCode::InconsistentGroupProtocol,
        ErrorCode::InvalidGroupId,
        ErrorCode::InvalidSessionTimeout,
        ErrorCode::GroupMaxSizeReached,
        ErrorCode::GroupAuthorizationFailed,
        ErrorCode::UnknownServerError,
    ] {
        assert!(matches!(outcome(code), Setback::Failed(_)), "{code}");
    }
    let unknown_protocol = JoinGroupResponse {
        protocol_name: Some("mine".to_owned()),
        ..joined("other")
    };
    assert!(matches!(membership(&[]).on_join(unknown_protocol), Err(Setback::Failed(_))));
}

#[test]
fn a_member_that_is_not_known_any_more_joins_as_a_new_one() {
    let mut lost = member(&[]);
    assert!(matches!(lost.on_heartbeat(ErrorCode::UnknownMemberId), Err(Setback::Lost)));
    assert_eq!((lost.identity().member_id.as_str(), lost.identity().generation), ("", -1));
    let mut late = member(&[]);
    assert!(matches!(late.on_heartbeat(ErrorCode::IllegalGeneration), Err(Setback::Lost)));
    assert_eq!((late.identity().member_id.as_str(), late.identity().generation), ("me", -1));
}

#[test]
fn trap_44_what_an_answer_to_a_heartbeat_leads_to() {
    let outcome = |code| member(&[]).on_heartbeat(code);
    assert!(outcome(ErrorCode::None).is_ok());
    assert!(matches!(outcome(ErrorCode::RebalanceInProgress), Err(Setback::Rejoin)));
    for code in [
        ErrorCode::NotCoordinator,
        ErrorCode::CoordinatorNotAvailable,
        ErrorCode::CoordinatorLoadInProgress,
    ] {
        assert!(matches!(outcome(code), Err(Setback::Later(_))), "{code}");
    }
    assert!(matches!(outcome(ErrorCode::FencedInstanceId), Err(Setback::Failed(_))));
    let request = member(&["group.instance.id=i"]).heartbeat_request();
    assert_eq!(
        (
            request.generation_id,
            request.member_id.as_str(),
            request.group_instance_id.as_deref()
        ),
        (3, "me", Some("i"))
    );
}

#[test]
fn trap_43_an_assignment_that_is_missing_is_an_empty_one() {
    let synced = |assignment: &[u8], code: ErrorCode| {
        member(&[]).on_sync(SyncGroupResponse {
            error_code: code.code(),
            assignment: Bytes::copy_from_slice(assignment),
            ..Default::default()
        })
    };
    assert!(synced(b"", ErrorCode::None).unwrap().is_empty());
    assert!(matches!(synced(b"\0", ErrorCode::None), Err(Setback::Failed(_))));
    assert!(matches!(synced(b"", ErrorCode::RebalanceInProgress), Err(Setback::Again)));
    assert!(matches!(synced(b"", ErrorCode::UnknownMemberId), Err(Setback::Lost)));
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: by_topic(&owned()),
        user_data: None,
    };
    assert_eq!(synced(&assignment.encode(0), ErrorCode::None).unwrap(), owned());
}

#[test]
fn a_sticky_member_tells_what_it_had_even_after_it_was_lost() {
    let mut sticky = membership(&["partition.assignment.strategy=org.apache.kafka.clients.consumer.StickyAssignor"]);
    let response = JoinGroupResponse {
        protocol_name: Some("sticky".to_owned()),
        ..joined("other")
    };
    sticky.on_join(response).unwrap();
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: by_topic(&owned()),
        user_data: None,
    };
    let response = SyncGroupResponse {
        assignment: assignment.encode(1),
        ..Default::default()
    };
    sticky.on_sync(response).unwrap();
    let _ = sticky.on_heartbeat(ErrorCode::UnknownMemberId);
    let metadata = sticky.join_request(&topics(), &[], "").protocols.remove(0).metadata;
    let told = ConsumerProtocolSubscription::decode(metadata).unwrap();
    assert_eq!(told.user_data, Assignor::Sticky.user_data(Some((3, &owned()))));
}

#[test]
fn static_members_and_strangers_do_not_leave() {
    assert!(membership(&[]).leave_request(5, "").is_none());
    assert!(member(&["group.instance.id=i"]).leave_request(5, "").is_none());
    let alone = member(&[]).leave_request(2, "").unwrap();
    assert_eq!((alone.member_id.as_str(), alone.members.len()), ("me", 0));
    let listed = member(&[]).leave_request(5, "why").unwrap();
    assert_eq!((listed.member_id.as_str(), listed.members[0].member_id.as_str()), ("", "me"));
    let mut left = member(&[]);
    left.on_left();
    assert_eq!((left.identity().member_id.as_str(), left.identity().generation), ("", -1));
}

#[test]
fn settings_of_a_group_that_contradict_each_other_are_refused() {
    let read = |pairs: &[&str]| {
        let mut properties = Properties::default();
        properties.set("bootstrap.servers", "localhost:9092");
        pairs.iter().for_each(|pair| properties.add_pair(pair).unwrap());
        ConsumerConfig::from_properties(&properties).map_err(|error| error.to_string())
    };
    assert!(read(&[]).unwrap().group.is_none());
    let group = read(&["group.id=g"]).unwrap().group.unwrap();
    assert_eq!(group.auto_commit_interval, Some(Duration::from_secs(5)));
    assert_eq!(
        read(&["group.id=g", "enable.auto.commit=false"])
            .unwrap()
            .group
            .unwrap()
            .auto_commit_interval,
        None
    );
    for (pairs, part) in [
        (&["enable.auto.commit=true"][..], "enable.auto.commit"),
        (&["group.id=g", "heartbeat.interval.ms=45000"], "heartbeat.interval.ms"),
        (&["group.id=g", "partition.assignment.strategy=mine"], "mine is not available"),
        (&["group.id=g", "partition.assignment.strategy="], "at least one"),
        (&["group.id=g", "group.protocol=consumer"], "group.protocol"),
    ] {
        let error = read(pairs).unwrap_err();
        assert!(error.contains(part), "{pairs:?}: {error}");
    }
}
