//! Members that join, share, idle, hang up and wait.

use std::time::{Duration, Instant};

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::join_group::JoinGroupRequest;

use crate::groups_client::{Member, describe, join_request, ready, start};
use crate::harness::{TestBroker, error_of};

/// Lets `members` form the next generation together; the leader hands out the assignments.
async fn rebalance(members: &mut [Member], assignment_of: impl Fn(usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    for member in members.iter_mut() {
        sent.push(member.send_join().await);
    }
    for (member, id) in members.iter_mut().zip(sent) {
        member.receive_join(id).await;
    }
    let plan: Vec<(String, Vec<u8>)> = (members.iter().enumerate())
        .map(|(index, member)| (member.id.clone(), assignment_of(index)))
        .collect();
    let plan: Vec<(&str, &[u8])> = plan.iter().map(|(id, bytes)| (&**id, &**bytes)).collect();
    let mut sent = Vec::new();
    for member in members.iter_mut() {
        let plan = if member.is_leader { &*plan } else { &[] };
        sent.push(member.send_sync(plan).await);
    }
    let mut assigned = Vec::new();
    for (member, id) in members.iter_mut().zip(sent) {
        assigned.push(member.receive_sync(id).await.assignment.to_vec());
    }
    assigned
}

#[tokio::test(flavor = "multi_thread")]
async fn c6_the_fourth_of_four_members_on_three_partitions_is_idle_without_error() {
    let broker = start().await;
    let first = Member::alone(&broker, "g").await;
    let mut members = vec![first];
    for _ in 1..4 {
        members.push(Member::introduce(&broker, "g").await);
    }
    let share = |index| if index < 3 { vec![index as u8] } else { Vec::new() };
    let assigned = rebalance(&mut members, share).await;
    assert_eq!(assigned, [vec![0], vec![1], vec![2], vec![]]);
    assert_eq!(members.iter().filter(|member| member.is_leader).count(), 1);
    for member in &mut members {
        assert_eq!(member.generation, 2);
        assert_eq!(member.heartbeat().await, ErrorCode::None);
    }
    let described = describe(&mut members[3].client, "g").await;
    assert_eq!((&*described.group_state, &*described.protocol_data), ("Stable", "range"));
    assert_eq!(described.members.len(), 4);
    assert!(
        described
            .members
            .iter()
            .all(|member| member.client_id == "test" && ["/127.0.0.1", "/0:0:0:0:0:0:0:1"].contains(&&*member.client_host))
    );
    // When one leaves, the others learn that they are to join again.
    members.remove(0).leave().await;
    assert_eq!(members[0].heartbeat().await, ErrorCode::RebalanceInProgress);
    let assigned = rebalance(&mut members, |index| vec![index as u8]).await;
    assert_eq!(assigned, [[0], [1], [2]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_silent_for_its_session_is_replaced() {
    let broker = TestBroker::start_with(&[
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "100"),
        ("offsets.topic.num.partitions", "1"),
    ])
    .await;
    ready(&broker).await;
    let mut silent = Member::introduce(&broker, "g").await;
    let short = JoinGroupRequest {
        session_timeout_ms: 300,
        rebalance_timeout_ms: 300,
        ..join_request("g", &silent.id, b"s")
    };
    assert_eq!(silent.client.call(9, &short).await.error_code, 0);
    silent.generation = 1;
    let own = silent.id.clone();
    silent.sync(&[(&own, b"all")]).await;
    // The second waits for the first to join again, until that one's time is over.
    let mut second = Member::introduce(&broker, "g").await;
    let joined = second.join().await;
    assert_eq!(joined.members.len(), 1);
    assert_eq!(silent.heartbeat().await, ErrorCode::UnknownMemberId);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_while_it_waits_holds_nobody_up_for_longer_than_its_session() {
    let broker = start().await;
    let mut stays = Member::alone(&broker, "g").await;
    let mut goes = Member::introduce(&broker, "g").await;
    goes.send_join().await;
    while stays.heartbeat().await != ErrorCode::RebalanceInProgress {}
    drop(goes);
    // Its reply is dropped; as in Kafka it is a member all the same.
    let joined = stays.join().await;
    assert_eq!(joined.members.len(), 2);
    broker.canary().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_to_join_when_the_broker_ends_is_told_and_holds_nothing_up() {
    let broker = TestBroker::start_with(&[("group.initial.rebalance.delay.ms", "60000")]).await;
    ready(&broker).await;
    let mut member = Member::introduce(&broker, "g").await;
    let id = member.send_join().await;
    // Behind it on the broker: when this is answered, the join is parked.
    assert_eq!(describe(&mut broker.connect().await, "g").await.error_code, 0);
    let begun = Instant::now();
    broker.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let answer = member.client.receive::<JoinGroupRequest>(9, id).await;
    // Parked, or still on its way to the shard: either way it looks for the coordinator again.
    let told = error_of(answer.error_code);
    assert!(
        matches!(told, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable),
        "{told}"
    );
}
