//! Members of a group against a scripted server: rebalances, lost generations, coordinators that move, commits at the right moments.

mod admin;
mod answers;
mod server;
mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dohle_client::consumer::{ConsumeError, OffsetAndMetadata, Offsets, RebalanceListener, StartAt};
use dohle_client::{Consumer, ConsumerConfig, ConsumerRecord, Properties, TopicPartition};
use dohle_protocol::ErrorCode;
use parking_lot::Mutex;
use server::{RECORDS, Server, TOPIC};

const CLOSE: Duration = Duration::from_secs(20);

/// Writes down what the application is told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn note(&self, what: &str, partitions: &[TopicPartition]) {
        let listed: Vec<String> = partitions.iter().map(|tp| tp.partition.to_string()).collect();
        self.0.lock().push(format!("{what} {}", listed.join(",")));
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

impl RebalanceListener for Told {
    fn revoked(&mut self, partitions: &[TopicPartition], _: &mut Offsets) {
        self.note("revoked", partitions);
    }

    fn assigned(&mut self, partitions: &[TopicPartition], _: &mut BTreeMap<TopicPartition, StartAt>) {
        self.note("assigned", partitions);
    }

    fn lost(&mut self, partitions: &[TopicPartition]) {
        self.note("lost", partitions);
    }
}

async fn unsubscribed(server: &Server, settings: &[&str]) -> Consumer {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", server.address());
    let defaults = [
        "group.id=g",
        "auto.offset.reset=earliest",
        "heartbeat.interval.ms=20",
        "retry.backoff.ms=5",
        "fetch.max.wait.ms=50",
    ];
    for setting in defaults.iter().chain(settings) {
        properties.add_pair(setting).unwrap();
    }
    Consumer::connect(ConsumerConfig::from_properties(&properties).unwrap())
        .await
        .unwrap()
}

async fn member(server: &Server, settings: &[&str]) -> (Consumer, Told) {
    let mut consumer = unsubscribed(server, settings).await;
    let told = Told::default();
    consumer.set_listener(told.clone());
    consumer.subscribe([TOPIC]).unwrap();
    (consumer, told)
}

async fn poll(consumer: &mut Consumer) -> Result<Vec<ConsumerRecord>, ConsumeError> {
    tokio::time::timeout(Duration::from_secs(20), consumer.poll(Duration::from_millis(50)))
        .await
        .expect("poll keeps its time")
}

/// Polls until as many records have come, and returns how many of each partition.
async fn read(consumer: &mut Consumer, count: i64) -> BTreeMap<i32, i64> {
    let mut seen: BTreeSet<(i32, i64)> = BTreeSet::new();
    while (seen.len() as i64) < count {
        for record in poll(consumer).await.unwrap() {
            assert!(seen.insert((record.partition, record.offset)), "{record:?} came twice");
        }
    }
    let mut counts = BTreeMap::new();
    seen.into_iter()
        .for_each(|(partition, _)| *counts.entry(partition).or_default() += 1);
    counts
}

/// Polls until the server has seen the event.
async fn poll_until(consumer: &mut Consumer, server: &Server, event: &str) {
    tokio::time::timeout(CLOSE, async {
        while !server.events().iter().any(|known| known.starts_with(event)) {
            poll(consumer).await.unwrap();
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{event} did not happen, but {:#?}", server.events()));
}

fn without_heartbeats(server: &Server) -> Vec<String> {
    server
        .events()
        .into_iter()
        .filter(|event| !event.starts_with("heartbeat"))
        .collect()
}

fn code_of(error: &ConsumeError) -> Option<ErrorCode> {
    match error {
        ConsumeError::Client(error) => error.code(),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_reads_its_share_and_commits_before_it_leaves() {
    let server = Server::start(3, &[0, 2]).await;
    let (mut consumer, told) = member(&server, &[]).await;
    assert_eq!(read(&mut consumer, 2 * RECORDS).await, BTreeMap::from([(0, RECORDS), (2, RECORDS)]));
    assert_eq!(consumer.membership(), Some(("member 1".to_owned(), 1)));
    consumer.close(CLOSE).await.unwrap();
    assert_eq!(
        without_heartbeats(&server),
        [
            "join member 1 owning ",
            "commit 0 at 10 in 1",
            "commit 2 at 10 in 1",
            "leave member 1"
        ]
    );
    assert_eq!(told.all(), ["assigned 0,2", "revoked 0,2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_rebalance_all_is_committed_and_given_up_before_the_next_join() {
    let server = Server::start(3, &[0, 1]).await;
    let (mut consumer, told) = member(&server, &[]).await;
    read(&mut consumer, 2 * RECORDS).await;
    server.rebalance(&[1, 2]);
    assert_eq!(
        read(&mut consumer, RECORDS).await,
        BTreeMap::from([(2, RECORDS)]),
        "1 goes on where it was"
    );
    let events = without_heartbeats(&server);
    assert_eq!(
        events,
        [
            "join member 1 owning ",
            "commit 0 at 10 in 1",
            "commit 1 at 10 in 1",
            "join member 1 owning "
        ]
    );
    assert_eq!(told.all(), ["assigned 0,1", "revoked 0,1", "assigned 1,2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooperative_member_gives_up_only_what_moves_and_then_joins_again() {
    let server = Server::start(3, &[0, 1]).await;
    let (mut consumer, told) = member(&server, &["partition.assignment.strategy=cooperative-sticky"]).await;
    read(&mut consumer, 2 * RECORDS).await;
    server.rebalance(&[1]);
    poll_until(&mut consumer, &server, "join member 1 owning 1").await;
    while consumer.assignment() != [TopicPartition::new(TOPIC, 1)] || consumer.membership().is_none_or(|(_, generation)| generation < 3) {
        poll(&mut consumer).await.unwrap();
    }
    assert_eq!(
        without_heartbeats(&server),
        [
            "join member 1 owning ",
            "join member 1 owning 0,1",
            "commit 0 at 10 in 2",
            "join member 1 owning 1"
        ]
    );
    assert_eq!(told.all()[..3], ["assigned 0,1", "revoked 0", "assigned "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_committed_every_interval() {
    let server = Server::start(1, &[0]).await;
    let (mut consumer, _) = member(&server, &["auto.commit.interval.ms=30"]).await;
    read(&mut consumer, RECORDS).await;
    assert_ne!(
        server.committed().get(&0),
        Some(&RECORDS),
        "what was handed out last is not processed before the next poll"
    );
    poll_until(&mut consumer, &server, "commit 0 at 10 in 1").await;
    for _ in 0..3 {
        poll(&mut consumer).await.unwrap();
    }
    let commits = server.events().iter().filter(|event| event.starts_with("commit 0 at 10")).count();
    assert_eq!(commits, 1, "what has not changed is not committed again");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_automatic_commits_only_the_application_commits() {
    let server = Server::start(1, &[0]).await;
    let (mut consumer, _) = member(&server, &["enable.auto.commit=false", "auto.commit.interval.ms=1"]).await;
    read(&mut consumer, RECORDS).await;
    poll(&mut consumer).await.unwrap();
    assert!(server.committed().is_empty());
    let tp = TopicPartition::new(TOPIC, 0);
    let offset = OffsetAndMetadata::new(4);
    consumer.commit_offsets(Offsets::from([(tp.clone(), offset)])).await.unwrap();
    assert_eq!(consumer.committed(std::slice::from_ref(&tp)).await.unwrap()[&tp].offset, 4);
    let pending = consumer.start_commit().unwrap();
    pending.wait().await.unwrap();
    assert_eq!(server.committed(), BTreeMap::from([(0, RECORDS)]));
    server.change(|state| state.committed.clear());
    consumer.close(CLOSE).await.unwrap();
    assert!(server.committed().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_moves_is_found_again_by_heartbeats_and_commits() {
    let server = Server::start(1, &[0]).await;
    let (mut consumer, told) = member(&server, &[]).await;
    read(&mut consumer, RECORDS).await;
    server.wait_for("heartbeat of member 1 at node 1").await;
    server.change(|state| state.coordinator = 2);
    server.wait_for("heartbeat of member 1 at node 2").await;
    server.change(|state| state.coordinator = 1);
    consumer.commit().await.unwrap();
    assert_eq!(server.committed(), BTreeMap::from([(0, RECORDS)]));
    assert_eq!(told.all(), ["assigned 0"], "nobody rebalances for that");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_break_cost_no_membership_and_no_record() {
    let server = Server::start(2, &[0, 1]).await;
    let (mut consumer, told) = member(&server, &["max.poll.records=3"]).await;
    let mut seen = BTreeSet::new();
    for round in 0.. {
        let records = poll(&mut consumer).await.unwrap();
        if round % 3 == 1 {
            server.change(|state| state.era += 1);
        }
        seen.extend(records.iter().map(|record| (record.partition, record.offset)));
        if seen.len() as i64 == 2 * RECORDS {
            break;
        }
    }
    server.change(|state| state.events.clear());
    server.wait_for("heartbeat of member 1").await;
    consumer.close(CLOSE).await.unwrap();
    assert_eq!(told.all(), ["assigned 0,1", "revoked 0,1"]);
    assert_eq!(server.committed(), BTreeMap::from([(0, RECORDS), (1, RECORDS)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_generation_loses_the_partitions_and_commits_nothing() {
    for (code, next_id) in [(ErrorCode::IllegalGeneration, "member 1"), (ErrorCode::UnknownMemberId, "member 2")] {
        let server = Server::start(2, &[0]).await;
        let (mut consumer, told) = member(&server, &[]).await;
        read(&mut consumer, RECORDS).await;
        server.change(|state| {
            state.assigned = vec![1];
            state.heartbeat = Some(code);
        });
        assert_eq!(read(&mut consumer, RECORDS).await, BTreeMap::from([(1, RECORDS)]));
        assert_eq!(
            without_heartbeats(&server),
            ["join member 1 owning ", &format!("join {next_id} owning ")],
            "{code}"
        );
        assert_eq!(told.all(), ["assigned 0", "lost 0", "assigned 1"], "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooperative_member_that_is_lost_while_it_joins_keeps_nothing() {
    let server = Server::start(2, &[0]).await;
    let (mut consumer, told) = member(&server, &["partition.assignment.strategy=cooperative-sticky"]).await;
    read(&mut consumer, RECORDS).await;
    server.change(|state| {
        state.join = Some(ErrorCode::UnknownMemberId);
        state.heartbeat = Some(ErrorCode::RebalanceInProgress);
    });
    while told.all() != ["assigned 0", "lost 0"] {
        poll(&mut consumer).await.unwrap();
    }
    server.change(|state| state.join = None);
    assert_eq!(
        read(&mut consumer, RECORDS).await,
        BTreeMap::from([(0, RECORDS)]),
        "nothing had been committed"
    );
    assert_eq!(without_heartbeats(&server), ["join member 1 owning ", "join member 2 owning "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_static_member_is_told_so_and_stays_away() {
    let server = Server::start(1, &[0]).await;
    let (mut consumer, told) = member(&server, &["group.instance.id=i"]).await;
    read(&mut consumer, RECORDS).await;
    server.change(|state| state.heartbeat = Some(ErrorCode::FencedInstanceId));
    let error = loop {
        if let Err(error) = poll(&mut consumer).await {
            break error;
        }
    };
    assert_eq!(code_of(&error), Some(ErrorCode::FencedInstanceId), "{error}");
    assert_eq!(code_of(&poll(&mut consumer).await.unwrap_err()), Some(ErrorCode::FencedInstanceId));
    consumer.close(CLOSE).await.unwrap();
    assert_eq!(told.all(), ["assigned 0", "lost 0"]);
    assert_eq!(without_heartbeats(&server), ["join static owning "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn w24_what_the_coordinator_refuses_for_good_is_an_error() {
    let server = Server::start(1, &[0]).await;
    server.change(|state| state.join = Some(ErrorCode::InvalidSessionTimeout));
    let (mut consumer, _) = member(&server, &[]).await;
    let error = loop {
        if let Err(error) = poll(&mut consumer).await {
            break error;
        }
    };
    assert_eq!(code_of(&error), Some(ErrorCode::InvalidSessionTimeout));
    server.change(|state| state.join = None);
    consumer.subscribe([TOPIC]).unwrap();
    read(&mut consumer, RECORDS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_application_keeps_its_membership_and_one_that_is_too_slow_leaves() {
    let server = Server::start(1, &[0]).await;
    let (mut consumer, told) = member(&server, &["max.poll.interval.ms=1000"]).await;
    read(&mut consumer, RECORDS).await;
    server.change(|state| state.events.clear());
    server.wait_for("heartbeat of member 1").await;
    server.wait_for("leave member 1").await;
    assert_eq!(told.all(), ["assigned 0"], "partitions change hands in poll alone");
    read(&mut consumer, RECORDS).await;
    assert_eq!(told.all(), ["assigned 0", "lost 0", "assigned 0"]);
    assert!(without_heartbeats(&server).ends_with(&["join member 2 owning ".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_notices_partitions_that_are_added() {
    let server = Server::start(1, &[]).await;
    server.change(|state| state.leads = true);
    let (mut consumer, told) = member(&server, &["metadata.max.age.ms=50"]).await;
    read(&mut consumer, RECORDS).await;
    server.change(|state| state.partitions = 3);
    assert_eq!(read(&mut consumer, 2 * RECORDS).await, BTreeMap::from([(1, RECORDS), (2, RECORDS)]));
    assert_eq!(told.all(), ["assigned 0", "revoked 0", "assigned 0,1,2"]);
    assert!(server.events().contains(&"assign 0,1,2".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_subscribed_to_by_pattern() {
    let server = Server::start(2, &[]).await;
    server.change(|state| state.leads = true);
    let mut consumer = unsubscribed(&server, &[]).await;
    consumer.subscribe_matching(|topic| topic.starts_with('t')).unwrap();
    read(&mut consumer, 2 * RECORDS).await;
    consumer.subscribe_matching(|topic| topic.starts_with('x')).unwrap();
    while !consumer.assignment().is_empty() {
        poll(&mut consumer).await.unwrap();
    }
    poll_until(&mut consumer, &server, "assign ").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_does_not_wait_for_a_rebalance_to_end() {
    let server = Server::start(1, &[0]).await;
    let (mut consumer, _) = member(&server, &[]).await;
    read(&mut consumer, RECORDS).await;
    server.change(|state| state.parks_joins = true);
    server.rebalance(&[0]);
    while !consumer.assignment().is_empty() {
        poll(&mut consumer).await.unwrap();
    }
    consumer.close(CLOSE).await.unwrap();
    assert_eq!(
        without_heartbeats(&server),
        ["join member 1 owning ", "commit 0 at 10 in 1", "leave member 1"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooperative_member_that_is_closed_while_it_joins_commits_in_the_next_generation() {
    let server = Server::start(1, &[0]).await;
    let (mut consumer, _) = member(&server, &["partition.assignment.strategy=cooperative-sticky"]).await;
    read(&mut consumer, RECORDS).await;
    server.change(|state| {
        state.parks_joins = true;
        state.heartbeat = Some(ErrorCode::RebalanceInProgress);
    });
    // Polls until the join is sent.
    for _ in 0..4 {
        poll(&mut consumer).await.unwrap();
    }
    let closing = tokio::spawn(consumer.close(CLOSE));
    server.change(|state| state.parks_joins = false);
    closing.await.unwrap().unwrap();
    assert_eq!(
        without_heartbeats(&server),
        [
            "join member 1 owning ",
            "join member 1 owning 0",
            "commit 0 at 10 in 2",
            "leave member 1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn seek_pause_and_resume() {
    let server = Server::start(2, &[0, 1]).await;
    let (mut consumer, _) = member(&server, &[]).await;
    read(&mut consumer, 2 * RECORDS).await;
    let (first, second) = (TopicPartition::new(TOPIC, 0), TopicPartition::new(TOPIC, 1));
    assert_eq!(consumer.position(&first), Some(RECORDS));
    consumer.seek(&first, StartAt::Offset(7)).unwrap();
    assert_eq!(read(&mut consumer, 3).await, BTreeMap::from([(0, 3)]));
    consumer.pause(std::slice::from_ref(&first)).unwrap();
    assert_eq!(consumer.paused(), std::slice::from_ref(&first));
    consumer.seek(&first, StartAt::Earliest).unwrap();
    consumer.seek(&second, StartAt::Offset(9)).unwrap();
    assert_eq!(read(&mut consumer, 1).await, BTreeMap::from([(1, 1)]));
    assert!(poll(&mut consumer).await.unwrap().is_empty());
    consumer.resume(std::slice::from_ref(&first)).unwrap();
    assert_eq!(read(&mut consumer, RECORDS).await, BTreeMap::from([(0, RECORDS)]));
    consumer.seek(&second, StartAt::Offset(4)).unwrap();
    let other = TopicPartition::new(TOPIC, 5);
    assert!(matches!(
        consumer.seek(&other, StartAt::Latest),
        Err(ConsumeError::NotAssigned { .. })
    ));
    consumer.close(CLOSE).await.unwrap();
    assert_eq!(server.committed(), BTreeMap::from([(0, RECORDS), (1, 4)]), "what was sought counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_assigned_by_hand_begin_where_the_group_has_committed() {
    let server = Server::start(2, &[]).await;
    server.change(|state| state.committed = BTreeMap::from([(0, 6)]));
    let mut consumer = unsubscribed(&server, &[]).await;
    consumer.assign([0, 1].map(|partition| (TopicPartition::new(TOPIC, partition), StartAt::Committed)));
    assert_eq!(read(&mut consumer, 4 + RECORDS).await, BTreeMap::from([(0, 4), (1, RECORDS)]));
    consumer.close(CLOSE).await.unwrap();
    assert_eq!(server.events(), ["commit 0 at 10 in -1", "commit 1 at 10 in -1"]);
}

/// Commits what the application has decided on, and begins where it wants.
struct Own(Offsets);

impl RebalanceListener for Own {
    fn revoked(&mut self, _: &[TopicPartition], offsets: &mut Offsets) {
        offsets.clone_from(&self.0);
    }

    fn assigned(&mut self, partitions: &[TopicPartition], starts: &mut BTreeMap<TopicPartition, StartAt>) {
        starts.extend(partitions.iter().map(|tp| (tp.clone(), StartAt::Offset(8))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_decides_where_to_begin_and_what_is_committed_last() {
    let server = Server::start(1, &[0]).await;
    let mut consumer = unsubscribed(&server, &[]).await;
    let tp = TopicPartition::new(TOPIC, 0);
    consumer.set_listener(Own(Offsets::from([(tp, OffsetAndMetadata::new(9))])));
    consumer.subscribe([TOPIC]).unwrap();
    assert_eq!(read(&mut consumer, 2).await, BTreeMap::from([(0, 2)]));
    consumer.close(CLOSE).await.unwrap();
    assert_eq!(server.committed(), BTreeMap::from([(0, 9)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_group_there_is_no_subscription_and_without_an_offset_perhaps_an_error() {
    let server = Server::start(1, &[0]).await;
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", server.address());
    let mut alone = Consumer::connect(ConsumerConfig::from_properties(&properties).unwrap())
        .await
        .unwrap();
    assert!(matches!(alone.subscribe([TOPIC]), Err(ConsumeError::NoGroup)));
    assert!(matches!(alone.commit().await, Err(ConsumeError::NoGroup)));
    let (mut consumer, _) = member(&server, &["auto.offset.reset=none"]).await;
    let error = loop {
        if let Err(error) = poll(&mut consumer).await {
            break error;
        }
    };
    assert!(matches!(error, ConsumeError::NoOffset { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_does_not_exist_keeps_no_other_from_being_read() {
    let server = Server::start(1, &[]).await;
    let mut consumer = unsubscribed(&server, &["default.api.timeout.ms=300", "request.timeout.ms=200"]).await;
    let partitions = [TopicPartition::new("a", 99), TopicPartition::new(TOPIC, 0)];
    consumer.assign(partitions.map(|tp| (tp, StartAt::Earliest)));
    assert_eq!(read(&mut consumer, RECORDS).await, BTreeMap::from([(0, RECORDS)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_partition_without_an_offset_is_told() {
    let server = Server::start(2, &[]).await;
    let mut consumer = unsubscribed(&server, &["auto.offset.reset=none"]).await;
    let partitions = [0, 1].map(|partition| TopicPartition::new(TOPIC, partition));
    consumer.assign(partitions.clone().map(|tp| (tp, StartAt::Committed)));
    for expected in partitions {
        // One of them is told at a time, until it has a position.
        let mut told = None;
        for _ in 0..20 {
            if let Err(ConsumeError::NoOffset { partition }) = poll(&mut consumer).await {
                told = Some(partition);
                break;
            }
        }
        assert_eq!(told.as_ref(), Some(&expected));
        consumer.seek(&expected, StartAt::Earliest).unwrap();
    }
    read(&mut consumer, 2 * RECORDS).await;
}
