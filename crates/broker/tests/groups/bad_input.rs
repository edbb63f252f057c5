//! Requests that no sane client sends.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::find_coordinator::FindCoordinatorRequest;
use dohle_protocol::messages::join_group::JoinGroupRequest;
use dohle_protocol::messages::offset_commit::OffsetCommitRequest;

use crate::groups_client::{Member, commit, commit_error, commit_request, committed, describe, join_request, position, start};
use crate::harness::{error_of, resident_bytes};

#[tokio::test(flavor = "multi_thread")]
async fn w24_what_a_member_may_not_say() {
    let broker = start().await;
    let mut member = Member::alone(&broker, "g").await;
    let mut client = broker.connect().await;
    let nameless = client.call(9, &join_request("", "", b"")).await;
    assert_eq!(error_of(nameless.error_code), ErrorCode::InvalidGroupId);
    let hasty = JoinGroupRequest {
        session_timeout_ms: 1,
        ..join_request("g", "", b"")
    };
    assert_eq!(error_of(client.call(9, &hasty).await.error_code), ErrorCode::InvalidSessionTimeout);
    let request = |generation, member_id: &str| OffsetCommitRequest {
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_string(),
        ..commit_request("g", &[("t", 0, 1, "")])
    };
    assert_eq!(
        commit_error(&mut client, &request(7, &member.id)).await,
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        commit_error(&mut client, &request(1, "a stranger")).await,
        ErrorCode::UnknownMemberId
    );
    member.generation = 7;
    assert_eq!(member.heartbeat().await, ErrorCode::IllegalGeneration);
    member.generation = 1;
    member.id = "a stranger".to_string();
    assert_eq!(member.heartbeat().await, ErrorCode::UnknownMemberId);
}

#[tokio::test(flavor = "multi_thread")]
async fn w24_text_with_an_offset_may_be_4096_bytes_long_and_no_more() {
    let broker = start().await;
    let mut client = broker.connect().await;
    let longest = "x".repeat(4096);
    let mut commit_text = async |text: &str, offset| commit_error(&mut client, &commit_request("g", &[("t", 0, offset, text)])).await;
    assert_eq!(commit_text(&longest, 1).await, ErrorCode::None);
    assert_eq!(commit_text(&"x".repeat(4097), 2).await, ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(commit_text(&"x".repeat(5000), 3).await, ErrorCode::OffsetMetadataTooLarge);
    assert_eq!(committed(&mut client, "g").await.unwrap(), [("t".to_string(), 0, 1, longest)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_and_assignments_are_bytes_whatever_they_are() {
    let broker = start().await;
    for garbage in [&b""[..], b"\0", b"\xff\xff\xff\xff\xff\xff\xff\xff", &[0x7f; 5000]] {
        let mut member = Member::introduce(&broker, "g").await;
        let answer = member.client.call(9, &join_request("g", &member.id, garbage)).await;
        assert_eq!(error_of(answer.error_code), ErrorCode::None);
        assert_eq!(answer.members[0].metadata, garbage);
        member.generation = answer.generation_id;
        let own = member.id.clone();
        assert_eq!(member.sync(&[(&own, garbage), ("nobody", garbage)]).await.assignment, garbage);
        let described = describe(&mut member.client, "g").await;
        assert_eq!(described.members[0].member_metadata, garbage);
        assert_eq!(described.members[0].member_assignment, garbage);
        assert_eq!(member.commit(0, 3).await, ErrorCode::None);
        member.leave().await;
    }
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_groups_of_one_client_are_kept_and_the_next_is_refused() {
    const GROUPS: usize = 10_000;
    let broker = start().await;
    let mut client = broker.connect().await;
    let before = resident_bytes();
    let name = |number: usize| format!("a group of one client, number {number}");
    let mut number = 0;
    while number < GROUPS {
        // As many together as a connection may have in flight.
        let mut sent = Vec::new();
        for _ in 0..50 {
            sent.push(client.send(9, &commit_request(&name(number), &[("t", 0, number as i64, "")])).await);
            number += 1;
        }
        for id in sent {
            let answer = client.receive::<OffsetCommitRequest>(9, id).await;
            assert_eq!(answer.topics[0].partitions[0].error_code, 0);
        }
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes for {GROUPS} groups");
    assert_eq!(commit(&mut client, "one more", 0, 1).await, ErrorCode::PolicyViolation);
    let refused = client.call(9, &join_request("one more", "", b"s")).await;
    assert_eq!(error_of(refused.error_code), ErrorCode::PolicyViolation);
    // Whoever is there already is not concerned.
    assert_eq!(commit(&mut client, &name(17), 0, 1000).await, ErrorCode::None);
    assert_eq!(position(&mut client, &name(GROUPS - 1)).await, GROUPS as i64 - 1);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_topics_that_do_not_exist_are_refused_in_linear_time() {
    let broker = start().await;
    let mut client = broker.connect().await;
    let names: Vec<String> = (0..100_000).map(|number| format!("no {number}")).collect();
    let offsets: Vec<_> = names.iter().map(|name| (&**name, 0, 1, "")).collect();
    let answer = client.call(9, &commit_request("g", &offsets)).await;
    assert_eq!(answer.topics.len(), names.len());
    assert!(
        answer
            .topics
            .iter()
            .all(|topic| topic.partitions[0].error_code == ErrorCode::UnknownTopicOrPartition.code())
    );
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_coordinators_of_groups_only() {
    let broker = start().await;
    let mut client = broker.connect().await;
    for (key_type, version, error) in [
        (1, 1, ErrorCode::UnsupportedVersion),
        (1, 6, ErrorCode::UnsupportedVersion),
        (2, 5, ErrorCode::InvalidRequest),
        (2, 6, ErrorCode::InvalidRequest),
        (-7, 6, ErrorCode::InvalidRequest),
    ] {
        let batched = version >= 4;
        let request = FindCoordinatorRequest {
            key: if batched { String::new() } else { "k".to_string() },
            key_type,
            coordinator_keys: if batched { vec!["k".to_string()] } else { Vec::new() },
            ..FindCoordinatorRequest::default()
        };
        let answer = client.call(version, &request).await;
        let found = if batched {
            (answer.coordinators[0].error_code, answer.coordinators[0].node_id)
        } else {
            (answer.error_code, answer.node_id)
        };
        assert_eq!(found, (error.code(), -1), "type {key_type}, version {version}");
    }
}
