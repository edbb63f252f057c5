//! librdkafka as a member of groups: offsets that outlive the member, and partitions that move.

use crate::harness::Node;
use crate::row::rows;
use crate::with_rdkafka;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::FutureRecord;
use rdkafka::{Message, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a member is polled before the next one is.
const TURN: Duration = Duration::from_millis(20);
const PARTITIONS: i32 = 6;
const RECORDS: usize = 120;

/// A node with `t`, in whose partitions there are records, as many in each.
async fn node_with_records() -> Node {
    let node = Node::start(&["group.initial.rebalance.delay.ms=0", "offsets.topic.num.partitions=4"]);
    node.connect().create_topic("t", PARTITIONS, &[]);
    let producer = with_rdkafka::producer(&node.address(), &[]);
    for number in 0..RECORDS {
        let value = number.to_string();
        let record = FutureRecord::<[u8], str>::to("t")
            .partition(number as i32 % PARTITIONS)
            .payload(&value);
        producer
            .send(record, TIMEOUT)
            .await
            .map_err(|(error, _)| error)
            .expect("the record is delivered");
    }
    node
}

fn member(node: &Node, group: &str, settings: &[(&str, &str)]) -> StreamConsumer {
    let mut config = with_rdkafka::config(&node.address());
    config.set("group.id", group).set("enable.auto.commit", "false");
    config.set("auto.offset.reset", "earliest").set("session.timeout.ms", "6000");
    for (key, value) in settings {
        config.set(*key, *value);
    }
    let member: StreamConsumer = config.create().expect("a consumer");
    member.subscribe(&["t"]).expect("a topic is subscribed to");
    member
}

async fn read(member: &StreamConsumer, count: usize) -> Vec<OwnedMessage> {
    let mut messages = Vec::new();
    while messages.len() < count {
        let message = timeout(TIMEOUT, member.recv()).await.expect("a record in time").expect("a record");
        messages.push(message.detach());
    }
    messages
}

fn assigned(member: &StreamConsumer) -> BTreeSet<i32> {
    let assignment = member.assignment().expect("an assignment");
    assignment.elements().iter().map(|partition| partition.partition()).collect()
}

/// Polls all members until their assignments are as wanted; no record is looked at.
async fn settle(members: &[&StreamConsumer], is_wanted: impl Fn(&[BTreeSet<i32>]) -> bool) -> Vec<BTreeSet<i32>> {
    let began = Instant::now();
    loop {
        for member in members {
            let _ = timeout(TURN, member.recv()).await;
        }
        let all: Vec<_> = members.iter().map(|member| assigned(member)).collect();
        if is_wanted(&all) {
            return all;
        }
        assert!(began.elapsed() < TIMEOUT, "{all:?}");
    }
}

/// Each partition belongs to one member, and each member has as many.
fn is_shared_fairly(assignments: &[BTreeSet<i32>]) -> bool {
    let each = PARTITIONS as usize / assignments.len();
    let all: BTreeSet<_> = assignments.iter().flatten().collect();
    all.len() == PARTITIONS as usize && assignments.iter().all(|partitions| partitions.len() == each)
}

fn offsets(of: &TopicPartitionList) -> BTreeMap<i32, Offset> {
    of.elements()
        .iter()
        .map(|partition| (partition.partition(), partition.offset()))
        .collect()
}

/// Of each partition as many records as its number says. The lists hold on to the member: it could not be dropped before they are.
fn commit_the_middle(first: &StreamConsumer) {
    let mut middle = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        middle
            .add_partition_offset("t", partition, Offset::Offset(i64::from(partition)))
            .unwrap();
        middle.find_partition("t", partition).unwrap().set_metadata("as far as this");
    }
    first.commit(&middle, CommitMode::Sync).expect("the commit is accepted");
    let committed = first.committed(TIMEOUT).unwrap();
    assert_eq!(offsets(&committed), offsets(&middle));
    assert!(
        committed
            .elements()
            .iter()
            .all(|partition| partition.metadata() == "as far as this")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_goes_on_where_the_one_before_has_committed_across_a_kill() {
    let mut node = node_with_records().await;
    let first = member(&node, "g", &[]);
    let read_first = read(&first, RECORDS).await;
    commit_the_middle(&first);
    drop(first);
    node.kill();
    node.start_again();

    let second = member(&node, "g", &[]);
    let below = (0..PARTITIONS).sum::<i32>() as usize;
    let mut read_again = read(&second, RECORDS - below).await;
    let key = |message: &OwnedMessage| (message.partition(), message.offset(), message.payload().map(<[u8]>::to_vec));
    read_again.sort_by_key(key);
    let mut expected = read_first;
    expected.retain(|message| message.offset() >= i64::from(message.partition()));
    expected.sort_by_key(key);
    let keys = |messages: &[OwnedMessage]| messages.iter().map(key).collect::<Vec<_>>();
    assert_eq!(keys(&read_again), keys(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_committed_with_the_next_commit_and_nothing_else() {
    let node = node_with_records().await;
    let consumer = member(&node, "g", &[("enable.auto.offset.store", "false")]);
    for message in read(&consumer, RECORDS).await {
        if message.offset() < 10 {
            consumer
                .store_offset(message.topic(), message.partition(), message.offset())
                .unwrap();
        }
    }
    consumer.commit_consumer_state(CommitMode::Sync).unwrap();
    let end = (RECORDS as i32 / PARTITIONS).into();
    let all_at = |offset| {
        (0..PARTITIONS)
            .map(|partition| (partition, Offset::Offset(offset)))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(offsets(&consumer.committed(TIMEOUT).unwrap()), all_at(10));
    assert_eq!(offsets(&consumer.position().unwrap()), all_at(end));
}

#[tokio::test(flavor = "multi_thread")]
async fn members_share_the_partitions_and_take_over_from_those_who_leave() {
    let node = node_with_records().await;
    let [one, two, three] = [(); 3].map(|()| member(&node, "g", &[]));
    settle(&[&one, &two, &three], is_shared_fairly).await;
    drop(two);
    settle(&[&one, &three], is_shared_fairly).await;
    drop(three);
    settle(&[&one], is_shared_fairly).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooperative_rebalance_moves_only_what_has_to_move() {
    let node = node_with_records().await;
    let cooperative = [("partition.assignment.strategy", "cooperative-sticky")];
    let one = member(&node, "g", &cooperative);
    settle(&[&one], is_shared_fairly).await;
    let two = member(&node, "g", &cooperative);
    let before = settle(&[&one, &two], is_shared_fairly).await;
    let three = member(&node, "g", &cooperative);
    let after = settle(&[&one, &two, &three], is_shared_fairly).await;
    assert!(
        after[0].is_subset(&before[0]) && after[1].is_subset(&before[1]),
        "{before:?} {after:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_comes_back_gets_its_partitions_without_a_rebalance() {
    let node = node_with_records().await;
    let [one, two] = ["one", "two"].map(|id| member(&node, "g", &[("group.instance.id", id)]));
    let before = settle(&[&one, &two], is_shared_fairly).await;
    drop(two);
    let two = member(&node, "g", &[("group.instance.id", "two")]);
    let after = settle(&[&one, &two], |assignments| !assignments[1].is_empty()).await;
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_listed_described_and_deleted() {
    let node = node_with_records().await;
    let one = member(&node, "live", &[("client.id", "somebody")]);
    settle(&[&one], is_shared_fairly).await;
    let gone = member(&node, "gone", &[]);
    settle(&[&gone], is_shared_fairly).await;
    drop(gone);

    let list = one.fetch_group_list(None, TIMEOUT).unwrap();
    let states: BTreeMap<_, _> = list.groups().iter().map(|group| (group.name(), group.state())).collect();
    assert_eq!(states, [("gone", "Empty"), ("live", "Stable")].into());
    let list = one.fetch_group_list(Some("live"), TIMEOUT).unwrap();
    let group = &list.groups()[0];
    assert_eq!(
        (group.protocol_type(), group.protocol(), group.members().len()),
        ("consumer", "range", 1)
    );
    let member = &group.members()[0];
    assert_eq!((member.client_id(), member.client_host()), ("somebody", "/127.0.0.1"));
    assert!(member.assignment().is_some_and(|bytes| !bytes.is_empty()));

    let admin: AdminClient<DefaultClientContext> = with_rdkafka::config(&node.address()).create().unwrap();
    let deleted = admin
        .delete_groups(&["gone", "live", "unheard-of"], &AdminOptions::new())
        .await
        .unwrap();
    let refused = |group: &str, code| Err((group.to_owned(), code));
    let expected = [
        Ok("gone".to_owned()),
        refused("live", RDKafkaErrorCode::NonEmptyGroup),
        refused("unheard-of", RDKafkaErrorCode::GroupIdNotFound),
    ];
    assert_eq!(deleted, expected);
}

/// A consumer that assigns itself what it reads commits under the name of a group all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_without_a_group_of_members_commits() {
    let node = Node::start(&[]);
    node.connect().create_topic("alone", 1, &[]);
    with_rdkafka::write(&node.address(), "alone", "none", &rows(20)).await;
    let consumer = with_rdkafka::consumer(&node.address(), &[("alone", 0, 0)], &[]);
    let message = with_rdkafka::next(&consumer);
    consumer.commit_message(&message, CommitMode::Sync).unwrap();
    assert_eq!(offsets(&consumer.committed(TIMEOUT).unwrap()), [(0, Offset::Offset(1))].into());
}
