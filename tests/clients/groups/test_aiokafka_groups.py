"""aiokafka in a group: a third codec in Python, with low versions of every request."""

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, OffsetAndMetadata, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from harness.load import Load

TIMEOUT_S = 30


class Members:
    """Consumers of one group; they are stopped at the end."""

    def __init__(self, address, group, topic):
        self.settings = {"bootstrap_servers": address, "group_id": group, "auto_offset_reset": "earliest", "heartbeat_interval_ms": 500}
        self.topic, self.made = topic, []

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        for consumer in self.made:
            await consumer.stop()

    async def join(self, **config):
        consumer = AIOKafkaConsumer(self.topic, **self.settings, **config)
        self.made.append(consumer)
        await consumer.start()
        return consumer


@pytest.fixture
def members(server, group, topic4):
    return Members(server.address, group, topic4)


def held(consumer):
    return {place.partition for place in consumer.assignment()}


async def poll_until(reached, *consumers):
    """Polls all consumers until something is so, which is asked with the values that they read so far."""
    deadline, values = time.monotonic() + TIMEOUT_S, []
    while not reached(values):
        assert time.monotonic() < deadline, (len(values), [held(consumer) for consumer in consumers])
        for consumer in consumers:
            polled = await consumer.getmany(timeout_ms=100)
            values += [record.value for records in polled.values() for record in records]
    return values


def test_members_share_and_take_over(members):
    async def run():
        async with members:
            first = await members.join()
            await poll_until(lambda _: held(first) == {0, 1, 2, 3}, first)
            second = await members.join()
            await poll_until(lambda _: len(held(first)) == len(held(second)) == 2 and held(first) | held(second) == {0, 1, 2, 3}, first, second)
            await second.stop()
            await poll_until(lambda _: held(first) == {0, 1, 2, 3}, first)

    asyncio.run(run())


def test_automatic_commits_are_where_the_next_member_begins(server, members, topic4):
    async def run():
        async with members:
            Load(server.address).write_all([topic4], 4, 25)
            first = await members.join()
            assert len(set(await poll_until(lambda values: len(values) == 100, first))) == 100
            await first.stop()
            Load(server.address).write_all([topic4], 4, 1)
            second = await members.join()
            await poll_until(lambda values: len(values) == 4, second)
            assert not await second.getmany(timeout_ms=1000)

    asyncio.run(run())


def test_commits_and_what_the_admin_client_sees_of_them(server, members, group, topic4):
    async def run():
        place = TopicPartition(topic4, 1)
        async with members:
            consumer = await members.join(enable_auto_commit=False)
            await poll_until(lambda _: len(held(consumer)) == 4, consumer)
            assert await consumer.committed(place) is None
            await consumer.commit({place: OffsetAndMetadata(17, "nöte")})
            assert await consumer.committed(place) == 17
        admin = AIOKafkaAdminClient(bootstrap_servers=server.address)
        await admin.start()
        assert (group, "consumer") in await admin.list_consumer_groups()
        assert await admin.list_consumer_group_offsets(group) == {place: OffsetAndMetadata(17, "nöte")}
        await admin.close()

    asyncio.run(run())
