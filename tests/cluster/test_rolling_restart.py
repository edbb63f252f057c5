"""All nodes are restarted one after the other while clients of three languages write and read, as they come: no application sees an error."""

import threading
import time

import pytest
from kafka import KafkaProducer

from harness.group_history import check as check_group
from harness.group_member import Confluent, Java, KafkaPython
from harness.history import Ack, Ledger, check, check_seen, read_of
from harness.ledger import JavaWriter, PatientWriter, Watcher, read_all

PARTITIONS = 6
PER_SECOND = 200
SESSION_MS = 6000


class KafkaPythonWriter:
    """kafka-python's producer as it comes."""

    def __init__(self, bootstrap, topic, name):
        self.ledger, self.topic = Ledger(name), topic
        self._producer = KafkaProducer(bootstrap_servers=bootstrap.split(","))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        return self

    def _run(self):
        while not self._ended.is_set():
            sequence = len(self.ledger.sent_at)
            sent = self._producer.send(self.topic, b"%s.%d" % (self.ledger.producer.encode(), sequence), partition=sequence % PARTITIONS)
            self.ledger.sent_at.append(time.monotonic())
            sent.add_callback(self._acked, sequence).add_errback(self._failed, sequence)
            time.sleep(1 / PER_SECOND)

    def _acked(self, sequence, told):
        self.ledger.acked[sequence] = Ack(told.partition, told.offset, time.monotonic())

    def _failed(self, sequence, error):
        self.ledger.failed[sequence] = repr(error)

    def stop(self):
        self._ended.set()
        self._thread.join()
        self._producer.flush(60)
        self._producer.close()
        return self.ledger


@pytest.mark.timeout(600)
def test_a_rolling_restart_is_no_error_for_any_client(cluster, topic, tmp_path, own):
    cluster.create(topic, PARTITIONS)
    members = [own(kind(tmp_path, cluster.bootstrap, topic, f"group-{kind.__name__}", SESSION_MS)) for kind in (Confluent, KafkaPython, Java)]
    java = own(JavaWriter(tmp_path, cluster.bootstrap, topic, 9, PER_SECOND))
    java.wait_for_first()
    load = [
        PatientWriter(cluster.bootstrap, topic, range(PARTITIONS), "librdkafka", PER_SECOND).start(),
        KafkaPythonWriter(cluster.bootstrap, topic, "kafka-python").start(),
    ]
    watcher = Watcher(cluster.bootstrap, topic, PARTITIONS).start()
    cluster.wait("every group reads", lambda: all(member.records() for member in members), timeout_s=60)
    for node in cluster.members.values():
        assert node.stop() in (0, 143)
        node.start()
        cluster.wait_in_sync(topic)
        time.sleep(1)
    ledgers = [java.stop()] + [writer.stop() for writer in load]
    read = read_all(cluster.bootstrap, topic, PARTITIONS)
    assert not [ledger.failed for ledger in ledgers if ledger.failed], [(ledger.producer, ledger.failed) for ledger in ledgers]
    # Of the three only librdkafka is not idempotent of itself: what it sends again may be there twice.
    found = {ledger.producer: check([ledger], read_of(read, ledger), exactly_once=ledger.producer != "librdkafka") for ledger in ledgers}
    assert not any(found.values()), {name: str(what) for name, what in found.items()}
    cluster.wait("the watcher is at the end", lambda: len(watcher.seen) == len(read))
    assert not check_seen(watcher.stop(), read) and not watcher.findings and not watcher.errors, (watcher.findings, watcher.errors)

    def all_read(member):
        return len({(record.partition, record.offset) for record in member.records()}) >= len(read)

    cluster.wait("every group has read all", lambda: all(all_read(member) for member in members), timeout_s=60)
    for member in members:
        member.end()
    for member in members:
        member.wait()
    assert [member.fault() for member in members] == [None] * len(members)
    found = {member.name: check_group({member.name: list(member.events())}, read) for member in members}
    assert not any(found.values()), found
    cluster.check_identical(topic)
