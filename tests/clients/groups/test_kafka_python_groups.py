"""kafka-python in a group. Its own published tests run in test_kafka_python_published.py; here is what they leave out."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from harness.load import Load

TIMEOUT_S = 30
# kafka-python 3.0.12 forgets the assignment of a join that ends between two polls: most joins take less than one.
POLL_MS = 1000


@pytest.fixture
def join(server, group, topic4):
    """Makes consumers of the group; they are closed at the end."""
    made = []

    def make(**config):
        settings = {"auto_offset_reset": "earliest", "heartbeat_interval_ms": 500, **config}
        consumer = KafkaConsumer(bootstrap_servers=server.address, group_id=group, **settings)
        # The client hands out nothing, and leaves it at that, if it leads a group before it knows the topic.
        assert len(consumer.partitions_for_topic(topic4)) == 4
        consumer.subscribe([topic4])
        made.append(consumer)
        return consumer

    yield make
    for consumer in made:
        consumer.close()


def held(consumer):
    return {place.partition for place in consumer.assignment()}


def poll_until(reached, *consumers):
    """Polls all consumers, each in a thread of its own as a joining member must be, until something is so.

    It is asked with the values that they read so far."""
    deadline, values, ended = time.monotonic() + TIMEOUT_S, [], threading.Event()

    def poll(consumer):
        while not ended.is_set():
            values.extend(record.value for records in consumer.poll(timeout_ms=POLL_MS).values() for record in records)

    with ThreadPoolExecutor(len(consumers)) as threads:
        polling = [threads.submit(poll, consumer) for consumer in consumers]
        while not (done := reached(values)) and time.monotonic() < deadline:
            time.sleep(0.02)
        ended.set()
    for each in polling:
        each.result()
    assert done, (len(values), [held(consumer) for consumer in consumers])
    return values


@pytest.mark.parametrize(
    "assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor, CooperativeStickyAssignor]
)
def test_members_share_and_take_over(join, assignor):
    first = join(partition_assignment_strategy=[assignor])
    poll_until(lambda _: held(first) == {0, 1, 2, 3}, first)
    second = join(partition_assignment_strategy=[assignor])
    # A leader whose metadata came late has its group join once more, which has to be over.
    settled = time.monotonic() + 1.5

    def are_shared(_):
        both = held(first) | held(second)
        return time.monotonic() > settled and len(held(first)) == len(held(second)) == 2 and both == {0, 1, 2, 3}

    poll_until(are_shared, first, second)
    second.close()
    poll_until(lambda _: held(first) == {0, 1, 2, 3}, first)


def test_automatic_commits_are_where_the_next_member_begins(server, join, topic4):
    Load(server.address).write_all([topic4], 4, 25)
    first = join()
    assert len(set(poll_until(lambda values: len(values) == 100, first))) == 100
    first.close()
    Load(server.address).write_all([topic4], 4, 1)
    second = join()
    poll_until(lambda values: len(values) == 4, second)
    assert not second.poll(timeout_ms=1000)


def test_commits_carry_metadata_and_epoch(join, topic4):
    consumer = join(enable_auto_commit=False)
    poll_until(lambda _: held(consumer), consumer)
    place = TopicPartition(topic4, 1)
    assert consumer.committed(place) is None
    consumer.commit({place: OffsetAndMetadata(17, "nöte", 0)})
    assert consumer.committed(place, metadata=True) == OffsetAndMetadata(17, "nöte", 0)


def test_a_static_member_comes_back_without_a_rebalance(join):
    other = join(group_instance_id="other", session_timeout_ms=20_000)
    static = join(group_instance_id="static", session_timeout_ms=20_000)
    poll_until(lambda _: len(held(other)) == len(held(static)) == 2, other, static)
    settled = time.monotonic() + 1.5  # A leader whose metadata came late has its group join once more.
    poll_until(lambda _: time.monotonic() > settled and len(held(other)) == len(held(static)) == 2, other, static)
    before, generation = held(static), other.group_metadata().generation_id
    static.close()
    again = join(group_instance_id="static", session_timeout_ms=20_000)
    poll_until(lambda _: held(again) == before, other, again)
    assert other.group_metadata().generation_id == generation


def test_admin_lists_describes_and_deletes_offsets(server, join, group, topic4):
    consumer = join(client_id="me", enable_auto_commit=False)
    poll_until(lambda _: len(held(consumer)) == 4, consumer)
    admin = KafkaAdminClient(bootstrap_servers=server.address)
    assert group in str(admin.list_groups())
    described = admin.describe_groups([group])[group]
    assert described["group_state"] == "Stable" and [member["client_id"] for member in described["members"]] == ["me"]
    place = TopicPartition(topic4, 0)
    consumer.commit({place: OffsetAndMetadata(3, "", -1)})
    consumer.close()
    assert admin.list_group_offsets(group)[group][place].offset == 3
    admin.delete_group_offsets(group, [place])
    assert place not in admin.list_group_offsets(group).get(group, {})
    admin.delete_groups([group])
    assert group not in str(admin.list_groups())
    admin.close()
