"""confluent-kafka in a group: shares, commits, leaves, comes back, stays static, and administers groups."""

import time

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from harness.load import Load

TIMEOUT_S = 30


@pytest.fixture
def admin(server):
    return AdminClient({"bootstrap.servers": server.address})


@pytest.fixture
def join(server, group, topic4):
    """Makes consumers of the group; they are closed at the end."""
    made = []

    def make(**config):
        settings = {"bootstrap.servers": server.address, "group.id": group, "auto.offset.reset": "earliest", "heartbeat.interval.ms": 300}
        settings |= {key.replace("_", "."): value for key, value in config.items()}
        consumer = Consumer(settings)
        consumer.subscribe([topic4])
        made.append(consumer)
        return consumer

    yield make
    for consumer in made:
        consumer.close()


def held(consumer):
    return {partition.partition for partition in consumer.assignment()}


def poll_until(reached, *consumers):
    """Polls all consumers until something is so, which is asked with the values that they read so far."""
    deadline, values = time.monotonic() + TIMEOUT_S, []
    while not reached(values):
        assert time.monotonic() < deadline, (len(values), [held(consumer) for consumer in consumers])
        for consumer in consumers:
            if message := consumer.poll(0.1):
                assert message.error() is None, message.error()
                values.append(message.value().decode())
    return values


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "cooperative-sticky"])
def test_members_share_and_take_over(join, assignor):
    first = join(partition_assignment_strategy=assignor)
    poll_until(lambda _: held(first) == {0, 1, 2, 3}, first)
    second = join(partition_assignment_strategy=assignor)
    poll_until(lambda _: len(held(first)) == len(held(second)) == 2 and held(first) | held(second) == {0, 1, 2, 3}, first, second)
    second.close()
    poll_until(lambda _: held(first) == {0, 1, 2, 3}, first)


def test_a_member_beyond_the_partitions_is_idle_without_error(join):
    members = [join() for _ in range(5)]
    poll_until(lambda _: sorted(len(held(member)) for member in members) == [0, 1, 1, 1, 1], *members)


def test_automatic_commits_are_where_the_next_member_begins(server, join, topic4):
    Load(server.address).write_all([topic4], 4, 25)
    first = join()
    assert len(set(poll_until(lambda values: len(values) == 100, first))) == 100
    first.close()
    Load(server.address).write_all([topic4], 4, 1)
    second = join()
    poll_until(lambda values: len(values) == 4, second)
    assert second.poll(1) is None


def test_commits_carry_metadata_and_epoch(join, topic4):
    consumer = join(enable_auto_commit=False)
    poll_until(lambda _: held(consumer), consumer)
    places = [TopicPartition(topic4, partition) for partition in range(4)]
    assert [place.offset for place in consumer.committed(places, TIMEOUT_S)] == [OFFSET_INVALID] * 4
    consumer.commit(offsets=[TopicPartition(topic4, 1, 17, "nöte", 0)], asynchronous=False)
    committed = consumer.committed(places, TIMEOUT_S)
    assert [place.offset for place in committed] == [OFFSET_INVALID, 17, OFFSET_INVALID, OFFSET_INVALID]
    assert committed[1].metadata == "nöte" and all(place.error is None for place in committed)


def test_a_consumer_that_only_assigns_commits_too(server, group, topic4):
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": group})
    consumer.assign([TopicPartition(topic4, 2, 0)])
    consumer.commit(offsets=[TopicPartition(topic4, 2, 5)], asynchronous=False)
    assert consumer.committed([TopicPartition(topic4, 2)], TIMEOUT_S)[0].offset == 5
    consumer.close()


def test_a_static_member_comes_back_without_a_rebalance(join):
    other = join(group_instance_id="other", session_timeout_ms=20_000)
    static = join(group_instance_id="static", session_timeout_ms=20_000)
    poll_until(lambda _: len(held(other)) == len(held(static)) == 2, other, static)
    before = held(static)
    generation = other.consumer_group_metadata()
    static.close()
    again = join(group_instance_id="static", session_timeout_ms=20_000)
    poll_until(lambda _: held(again) == before, other, again)
    assert other.consumer_group_metadata() == generation


def test_two_with_one_instance_id_fence_the_older(join):
    older = join(group_instance_id="same")
    poll_until(lambda _: len(held(older)) == 4, older)
    newer = join(group_instance_id="same")
    poll_until(lambda _: len(held(newer)) == 4, newer)
    deadline = time.monotonic() + TIMEOUT_S
    codes = set()
    while KafkaError._FATAL not in codes and time.monotonic() < deadline:
        try:
            if (message := older.poll(0.2)) and message.error():
                codes.add(message.error().code())
        except KafkaException as error:
            codes.add(error.args[0].code())
    assert codes & {KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID}


def describe(admin, group):
    return admin.describe_consumer_groups([group])[group].result(TIMEOUT_S)


def test_admin_lists_and_describes(admin, join, group, topic4):
    consumer = join(client_id="me")
    poll_until(lambda _: len(held(consumer)) == 4, consumer)
    listed = {found.group_id: found for found in admin.list_consumer_groups().result(TIMEOUT_S).valid}
    assert listed[group].state == ConsumerGroupState.STABLE and not listed[group].is_simple_consumer_group
    only_empty = admin.list_consumer_groups(states={ConsumerGroupState.EMPTY}).result(TIMEOUT_S).valid
    assert group not in {found.group_id for found in only_empty}
    described = describe(admin, group)
    assert (described.state, described.partition_assignor) == (ConsumerGroupState.STABLE, "range")
    (member,) = described.members
    assert member.client_id == "me" and "127.0.0.1" in member.host and member.member_id == consumer.memberid()
    assert sorted(place.partition for place in member.assignment.topic_partitions) == [0, 1, 2, 3]
    consumer.close()
    assert describe(admin, group).state == ConsumerGroupState.EMPTY


def test_admin_changes_and_deletes_offsets_and_groups(admin, join, group, topic4):
    consumer = join()
    poll_until(lambda _: len(held(consumer)) == 4, consumer)

    def alter(offset):
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic4, 0, offset)])
        return admin.alter_consumer_group_offsets([wanted])[group].result(TIMEOUT_S).topic_partitions[0]

    with pytest.raises(KafkaException) as refused:
        admin.delete_consumer_groups([group])[group].result(TIMEOUT_S)
    assert refused.value.args[0].code() == KafkaError.NON_EMPTY_GROUP
    assert alter(3).error.code() == KafkaError.UNKNOWN_MEMBER_ID
    consumer.close()
    assert alter(3).error is None
    offsets = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(TIMEOUT_S)
    assert [(place.partition, place.offset) for place in offsets.topic_partitions] == [(0, 3)]
    admin.delete_consumer_groups([group])[group].result(TIMEOUT_S)
    with pytest.raises(KafkaException) as unknown:
        admin.delete_consumer_groups([group])[group].result(TIMEOUT_S)
    assert unknown.value.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND


def test_a_group_that_nobody_made_has_no_offsets_and_no_error(admin, server, group, topic4):
    consumer = Consumer({"bootstrap.servers": server.address, "group.id": group})
    place = consumer.committed([TopicPartition(topic4, 0)], TIMEOUT_S)[0]
    assert place.offset == OFFSET_INVALID and place.error is None
    consumer.close()
