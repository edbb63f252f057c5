"""A fresh broker and a fresh topic for each measurement, in turns, and nothing of it left behind."""

import contextlib
import itertools

from peers import ApacheKafka, Dohle, Floor
from rounds import QUICK, ROUNDS, load, warm_page_cache

KIB = 1024
# Records of a bulk measurement, by size: some half a gigabyte.
RECORDS = {KIB: 200_000, 100: 1_500_000} if QUICK else {KIB: 500_000, 100: 4_000_000}
# What is measured: whether it is Kafka, how the topic is set, and (below) how the broker is made.
TOPICS = {
    "floor": {},
    "sink": {},
    "dohle": {"flush_policy": "os"},
    "lazy": {"flush_policy": "os", "strict_validation": "false"},
    "synced": {"flush_policy": "commit"},
    "kafka": {},
    "kafka synced": {"flush_messages": 1},
}
names = (f"t{number}" for number in itertools.count())


def produce(peer, topic, size, *arguments, records=None, **settings):
    return load(
        "produce", "--bootstrap-server", peer.address, "--topic", topic, "--size", size, "--records", records or RECORDS[size],
        *arguments, **settings,
    )  # fmt: skip


def consume(peer, topic, size, *arguments, records=None, **settings):
    """By itself librdkafka pauses for a second whenever 100,000 records are queued, to which only a quick broker brings it."""
    return load(
        "consume", "--bootstrap-server", peer.address, "--topic", topic, "--records", records or RECORDS[size], *arguments,
        **{"fetch_queue_backoff_ms": 10, **settings},
    )  # fmt: skip


def warm_kafka(folder):
    """Everything that will be measured, once."""
    peer = ApacheKafka(folder).start()
    for size in RECORDS:
        topic = next(names)
        # What is deleted is to leave the disk at once.
        peer.create(topic, file_delete_delay_ms=1000)
        for _ in range(2):
            produce(peer, topic, size)
            consume(peer, topic, size)
        # Many small batches, which is what Apache's own tools send.
        produce(peer, topic, size, batch_size=16 * KIB)
        for depth in (1, 8):
            load("requests", "--bootstrap-server", peer.address, "--topic", topic, "--depth", depth, "--seconds", 3)
        load("latency", "--bootstrap-server", peer.address, "--topic", topic, "--rate", 5000, "--seconds", 4)
        produce(peer, topic, size, "--text", records=RECORDS[size] // 2, compression_codec="lz4")
        produce(peer, topic, size, "--text", records=RECORDS[size] // 2, compression_codec="zstd")
        peer.delete(topic)
    return peer


class Stage:
    """`kafka` gives the one Kafka that all share."""

    def __init__(self, folder, kafka):
        self.folder, self.kafka = folder, kafka
        self.numbers = itertools.count()

    @contextlib.contextmanager
    def on(self, kind, partitions=1, warm=True, **settings):
        """A peer of a kind with a topic of its own. `settings` are those of the node."""
        topic, config = next(names), TOPICS[kind]
        if kind.startswith("kafka"):
            peer, config = self.kafka(), {**config, "file_delete_delay_ms": 1000}
        elif kind in ("floor", "sink"):
            peer = Floor(self.folder / str(next(self.numbers)), sink=kind == "sink").start()
        else:
            peer = Dohle(self.folder / str(next(self.numbers)), **settings).start()
        try:
            peer.create(topic, partitions, **config)
            if warm:
                warm_page_cache(peer.folder)
            yield peer, topic
        finally:
            if kind.startswith("kafka"):
                peer.delete(topic)
            else:
                peer.discard()

    def turns(self, kinds, work, rounds=ROUNDS):
        """What `work` reports of each kind, round after round."""
        reports = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind in kinds:
                with self.on(kind) as (peer, topic):
                    reports[kind].append(work(peer, topic))
        return reports
