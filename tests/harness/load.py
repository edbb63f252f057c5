"""Writes numbered records into topics, in the background or at once, and reads back what is in a topic."""

import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

TIMEOUT_S = 60
# A broker that is killed is no news.
QUIET = {"log_level": 2, "reconnect.backoff.max.ms": 500}


def create_topic(address, topic, partitions):
    """With as many replicas as the server gives of itself."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, partitions, -1)])[topic].result(TIMEOUT_S)
    while admin.list_topics(topic, TIMEOUT_S).topics[topic].error:
        time.sleep(0.05)


class Load:
    """A producer; `acked` says what the server took: (topic, partition, offset) -> value."""

    def __init__(self, address):
        self.acked, self.failed, self.next = {}, [], 0
        self._producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 5, **QUIET})
        self._ended = threading.Event()
        self._thread = None

    def write(self, topic, partition):
        value = str(self.next)
        self.next += 1
        self._producer.produce(topic, value, partition=partition, on_delivery=self._delivered)

    def _delivered(self, error, message):
        if error:
            self.failed.append(error)
        else:
            self.acked[message.topic(), message.partition(), message.offset()] = message.value().decode()

    def write_all(self, topics, partitions, each):
        """`each` records into every partition, and waits until the server has them."""
        for _ in range(each):
            for topic in topics:
                for partition in range(partitions):
                    self.write(topic, partition)
            self._producer.poll(0)
        self._flush()

    def begin(self, topics, partitions, per_second):
        """Writes `per_second` records into every topic, until `end`."""
        self._thread = threading.Thread(target=self._run, args=(topics, partitions, partitions / per_second), daemon=True)
        self._thread.start()

    def _run(self, topics, partitions, pause_s):
        while not self._ended.is_set():
            for topic in topics:
                for partition in range(partitions):
                    self.write(topic, partition)
            self._producer.poll(0)
            time.sleep(pause_s)

    def end(self):
        self._ended.set()
        self._thread.join()
        self._flush()

    def _flush(self):
        assert self._producer.flush(TIMEOUT_S) == 0, "the server did not take the records"
        assert not self.failed, self.failed[:3]


def read_back(address, topic, partitions):
    """All that is in a topic, (partition, offset) -> value, read by a consumer that is in no group."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    found, at_end = {}, set()
    while len(at_end) < partitions:
        message = consumer.poll(TIMEOUT_S)
        assert message is not None, f"only partitions {at_end} of {topic} were read to their end"
        if message.error() is None:
            found[message.partition(), message.offset()] = message.value().decode()
        elif message.error().code() == KafkaError._PARTITION_EOF:
            at_end.add(message.partition())
        else:
            raise KafkaException(message.error())
    consumer.close()
    return found
