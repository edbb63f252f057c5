"""A group member on confluent-kafka. It commits what it has logged."""

import struct

from confluent_kafka import Consumer, KafkaError, KafkaException
from member import Member

member = Member()
arguments = member.arguments
settings = {
    "bootstrap.servers": arguments.bootstrap,
    "group.id": arguments.group,
    "auto.offset.reset": "earliest",
    "session.timeout.ms": arguments.session_ms,
    "heartbeat.interval.ms": arguments.session_ms // 6,
    "enable.auto.offset.store": False,
    "auto.commit.interval.ms": 300,
    "reconnect.backoff.max.ms": 500,
}
if arguments.assignor:
    settings["partition.assignment.strategy"] = arguments.assignor
COOPERATIVE = arguments.assignor == "cooperative-sticky"


def generation():
    """From the metadata for transactions: a magic, then the generation."""
    return struct.unpack_from("<i", consumer.consumer_group_metadata(), len("CGMDv2:"))[0]


def on_assign(consumer, partitions):
    if COOPERATIVE:
        consumer.incremental_assign(partitions)
    else:
        consumer.assign(partitions)
    held = {partition.partition for partition in consumer.assignment()}
    member.assigned(generation(), held, {partition.partition for partition in partitions})


def on_revoke(consumer, partitions):
    member.revoked({partition.partition for partition in partitions})


consumer = Consumer(settings)
consumer.subscribe([arguments.topic], on_assign=on_assign, on_revoke=on_revoke, on_lost=on_revoke)
OUTLIVED = {KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._MAX_POLL_EXCEEDED, KafkaError.UNKNOWN_TOPIC_OR_PART}
while member.running:
    message = consumer.poll(0.2)
    if message is None:
        continue
    if message.error():
        if message.error().code() not in OUTLIVED:
            raise KafkaException(message.error())
        continue
    member.records([(message.partition(), message.offset(), message.value())])
    consumer.store_offsets(message)
consumer.close()
