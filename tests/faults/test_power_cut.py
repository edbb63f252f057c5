"""Power cuts of one node under load: what was acknowledged is there afterwards (harness/power.py says how the power is cut)."""

import random
import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from harness.power import CAN_BE_CUT, IMAGE_BYTES, PowerCutDisk

PARTITIONS = 3
FROM_THE_BEGINNING = (0,) * PARTITIONS
# Cycles from one look at everything to the next.
WHOLE_EVERY = 20
CYCLE_BYTES_MAX = 8 << 20

pytestmark = pytest.mark.skipif(not CAN_BE_CUT, reason="mounting a loop device needs root")


@pytest.fixture
def disk(tmp_path, request):
    """Has room for all that is written between so many cuts."""
    made = PowerCutDisk(tmp_path, max(IMAGE_BYTES, request.config.getoption("--cycles") * CYCLE_BYTES_MAX)).mount()
    yield made
    made.kill()


class Ledger:
    """What was acknowledged: (topic, partition, offset) -> value. Kept outside the disk that loses its power."""

    def __init__(self):
        self.acknowledged = {}
        self.last_value = 0
        self.fresh = threading.Event()
        self.is_open = True

    def write_until(self, address, topic, stop):
        """Keeps a few hundred records in flight until told to stop; notes each acknowledgement."""
        producer = Producer({
            "bootstrap.servers": address, "acks": "all", "linger.ms": 1, "message.timeout.ms": 5000, "enable.idempotence": True,
            "log_level": 0,
        })  # fmt: skip

        def delivered(error, message):
            # While the journal is being aborted ext4 can report a sync as done that was dropped, so what arrives after the cut proves nothing.
            if error is None and self.is_open:
                self.acknowledged[topic, message.partition(), message.offset()] = message.value()
                self.fresh.set()

        while not stop.is_set():
            self.last_value += 1
            try:
                value = b"%d " % self.last_value + b"x" * random.randint(0, 2000)
                producer.produce(topic, value, partition=self.last_value % PARTITIONS, on_delivery=delivered)
            except BufferError:
                producer.poll(0.01)
            producer.poll(0)
            if len(producer) > 300:
                producer.poll(0.005)
        producer.purge()
        producer.poll(0)


def read_partition(address, topic, partition, begin):
    consumer = Consumer({
        "bootstrap.servers": address, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True, "check.crcs": True,
    })  # fmt: skip
    consumer.assign([TopicPartition(topic, partition, begin)])
    values = {}
    while True:
        message = consumer.poll(30)
        assert message is not None, "no answer to a fetch"
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            break
        values[message.offset()] = message.value()
    consumer.close()
    return values


def lost(ledger, address, topic, begin):
    """Acknowledged records that are gone or different, from those offsets on; and where the partitions end."""
    read = [read_partition(address, topic, partition, begin[partition]) for partition in range(PARTITIONS)]
    gone = [
        (partition, offset)
        for (name, partition, offset), value in ledger.acknowledged.items()
        if name == topic and offset >= begin[partition] and read[partition].get(offset) != value
    ]
    return gone, [max(found, default=begin[partition] - 1) + 1 for partition, found in enumerate(read)]


def cut_power_under_load(node, disk, ledger, topic):
    """Writes until something was acknowledged and a moment longer, cuts the power, and starts the node on what is left."""
    stop = threading.Event()
    ledger.fresh.clear()
    ledger.is_open = True
    writer = threading.Thread(target=ledger.write_until, args=(node.address, topic, stop))
    writer.start()
    try:
        assert ledger.fresh.wait(30), f"nothing was acknowledged\n{node.log()}"
        time.sleep(random.uniform(0, 0.3))
        ledger.is_open = False
        disk.cut()
    finally:
        stop.set()
    node.kill()
    writer.join()
    disk.unmount()
    disk.mount()
    node.start()


def create_topic(node, name, **config):
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin = AdminClient({"bootstrap.servers": node.address})
    admin.create_topics([NewTopic(name, PARTITIONS, 1, config=settings)])[name].result(30)


@pytest.mark.timeout(1800)
def test_nothing_acknowledged_is_lost(disk, make_node, request):
    random.seed(1)
    node = make_node()
    node.data = disk.mount_point / "data"
    node.start()
    create_topic(node, "synced", segment_bytes="1048576")
    ledger, created = Ledger(), ["synced"]
    cycles, begin = request.config.getoption("--cycles"), FROM_THE_BEGINNING
    for cycle in range(cycles):
        cut_power_under_load(node, disk, ledger, "synced")
        # To read everything each time takes longer and longer.
        if cycle % WHOLE_EVERY == 0 or cycle == cycles - 1:
            begin = FROM_THE_BEGINNING
        gone, begin = lost(ledger, node.address, "synced", begin)
        assert gone == [], f"cycle {cycle}: acknowledged records are lost\n{node.log()}"
        # What was created and answered is metadata that must survive the next cut too.
        create_topic(node, f"created-{cycle}")
        created.append(f"created-{cycle}")
        topics = AdminClient({"bootstrap.servers": node.address}).list_topics(timeout=30).topics
        assert all(name in topics for name in created)
    assert len(ledger.acknowledged) > 1000
    node.kill()


@pytest.mark.timeout(600)
def test_the_cut_does_lose_what_was_not_synced(disk, make_node):
    """The control: with `flush.policy=os` the same cut must lose something, or it is no power cut."""
    random.seed(2)
    node = make_node()
    node.data = disk.mount_point / "data"
    node.start()
    create_topic(node, "unsynced", flush_policy="os")
    for _ in range(5):
        ledger = Ledger()
        cut_power_under_load(node, disk, ledger, "unsynced")
        if lost(ledger, node.address, "unsynced", FROM_THE_BEGINNING)[0]:
            break
    else:
        pytest.fail("five power cuts lost nothing that was acknowledged without a sync")
    node.kill()


def test_writes_fail_clearly_when_the_disk_is_gone(disk, make_node):
    node = make_node()
    node.data = disk.mount_point / "data"
    node.start()
    create_topic(node, "offline")
    disk.cut()
    producer = Producer({"bootstrap.servers": node.address, "message.timeout.ms": 3000, "retries": 0, "log_level": 0})
    errors = []
    producer.produce("offline", b"v", partition=0, on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(20) == 0
    assert errors[0] is not None
    assert node.process.poll() is None, "the process must stay up"
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": node.address}).create_topics([NewTopic("later", 1, 1)])["later"].result(10)
    node.kill()
