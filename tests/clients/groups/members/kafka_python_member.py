"""A group member on kafka-python. It commits what it has logged."""

from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.errors import CommitFailedError, RebalanceInProgressError, RetriableError
from member import Member

# kafka-python 3.0.12 forgets the assignment of a join that ends between two polls, and then does not heartbeat either: a poll outlasts joins.
POLL_MS = 5000

member = Member()
arguments = member.arguments


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        member.revoked({partition.partition for partition in revoked})

    def on_partitions_assigned(self, assigned):
        member.assigned(consumer.group_metadata().generation_id, {partition.partition for partition in assigned})


consumer = KafkaConsumer(
    bootstrap_servers=arguments.bootstrap,
    group_id=arguments.group,
    auto_offset_reset="earliest",
    enable_auto_commit=False,
    session_timeout_ms=arguments.session_ms,
    heartbeat_interval_ms=arguments.session_ms // 6,
    reconnect_backoff_max_ms=500,
)
consumer.partitions_for_topic(arguments.topic)  # A leader that does not know the topic hands out nothing.
consumer.subscribe([arguments.topic], listener=Listener())
while member.running:
    # A commit fails if the member was thrown out of the group, and all if the broker is away: the records will be read again.
    try:
        polled = consumer.poll(timeout_ms=POLL_MS)
        for records in polled.values():
            member.records((record.partition, record.offset, record.value) for record in records)
        if polled:
            consumer.commit()
    except (CommitFailedError, RebalanceInProgressError, RetriableError):
        continue
consumer.close()
