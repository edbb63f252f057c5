"""A group member on aiokafka. It commits what it has logged."""

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from member import Member

member = Member()
arguments = member.arguments


class Listener(ConsumerRebalanceListener):
    def __init__(self, consumer):
        self.consumer = consumer

    async def on_partitions_revoked(self, revoked):
        pass  # The client goes on to hand out records until it has its next assignment.

    async def on_partitions_assigned(self, assigned):
        # The client has no public call for its generation.
        generation = self.consumer._coordinator.generation
        member.assigned(generation, {partition.partition for partition in assigned})


async def run():
    consumer = AIOKafkaConsumer(
        bootstrap_servers=arguments.bootstrap,
        group_id=arguments.group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=arguments.session_ms,
        heartbeat_interval_ms=arguments.session_ms // 6,
    )
    consumer.subscribe([arguments.topic], listener=Listener(consumer))
    await consumer.start()
    while member.running:
        polled = await consumer.getmany(timeout_ms=200)
        for records in polled.values():
            member.records((record.partition, record.offset, record.value) for record in records)
        try:
            if polled:
                await consumer.commit()
        except KafkaError:
            pass  # It was thrown out of the group, or the broker is away: its records will be read again.
    await consumer.stop()


asyncio.run(run())
