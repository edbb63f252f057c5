"""The files: Apache's dump tool reads every one that we write, and either side opens what the other wrote."""

import pathlib
import random
import re
import shutil
import time

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from kafka import KafkaProducer

from harness import kafka as apache
from harness.node import dohle

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def produce(address, topic, values, **config):
    producer = Producer({"bootstrap.servers": address, **{key.replace("_", "."): value for key, value in config.items()}})
    for value in values:
        producer.produce(topic, value, key=b"k", partition=0)
        producer.poll(0)
    assert producer.flush(60) == 0


def read_all(address, topic, **config):
    settings = {key.replace("_", "."): value for key, value in config.items()}
    consumer = Consumer(
        {"bootstrap.servers": address, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True, **settings}
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = []
    while True:
        message = consumer.poll(30)
        assert message is not None
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            break
        values.append((message.offset(), message.value()))
    consumer.close()
    return values


def dump(files, *arguments):
    return apache.tool("DumpLogSegments", "--files", ",".join(map(str, files)), *arguments).stdout


def write_every_codec(address, topic):
    """2,000 records in each codec, of bytes that do not compress well, so that they fill several segments."""
    noise = random.Random(5)
    for codec in CODECS:
        producer = KafkaProducer(bootstrap_servers=address, compression_type=None if codec == "none" else codec, linger_ms=5)
        for number in range(2000):
            value = b"%s %d " % (codec.encode(), number) + noise.randbytes(200).hex().encode() + b"x" * 200
            producer.send(topic, value, key=b"k", partition=0)
        producer.close()


def segments(node, topic, ending):
    return sorted((node.data / f"{topic}-0").glob(f"*{ending}"))


def test_apache_reads_every_file_that_we_write(make_node):
    node = make_node().start()
    dohle(
        "topics", "--create", "--topic", "files", "--bootstrap-server", node.address,
        "--config", "segment.bytes=1048576", "--config", "index.interval.bytes=4096",
    )  # fmt: skip
    write_every_codec(node.address, "files")
    assert node.stop() == 0
    logs = segments(node, "files", ".log")
    assert len(logs) > 3
    dumped = dump(logs, "--deep-iteration", "--print-data-log")
    assert len(re.findall(r"^\| offset: ", dumped, re.MULTILINE)) == 10_000
    assert "isvalid: false" not in dumped and "Found" not in dumped
    for codec in CODECS:
        assert f"compresscodec: {codec}" in dumped
    for ending in (".index", ".timeindex"):
        files = segments(node, "files", ending)
        assert len(files) == len(logs)
        shown = dump(files, "--index-sanity-check")
        assert shown.count("passed sanity check") + shown.count("is empty") == len(files), shown
        shown = dump(files, "--verify-index-only")
        assert "Mismatches" not in shown and "Found timestamp mismatch" not in shown, shown
        assert sum(path.stat().st_size for path in files) > 0
    snapshots = segments(node, "files", ".snapshot")
    assert "producerId: " in dump(snapshots[-1:])
    epochs = (node.data / "files-0/leader-epoch-checkpoint").read_text().split("\n")
    assert epochs[:2] == ["0", "1"] and epochs[2] == "0 0"
    assert re.fullmatch(r"version: 0\ntopic_id: [\w-]{22}\n?", (node.data / "files-0/partition.metadata").read_text())


def test_apache_reads_what_compaction_leaves(make_node, tmp_path):
    node = make_node(log_cleaner_backoff_ms=1).start()
    dohle("topics", "--create", "--topic", "files", "--bootstrap-server", node.address, *COMPACTED, "--config", "index.interval.bytes=4096")
    kept = write_keys_and_wait(node.address, "files")
    assert node.stop() == 0
    logs = segments(node, "files", ".log")
    dumped = dump(logs, "--deep-iteration", "--print-data-log")
    shown = [int(offset) for offset in re.findall(r"^\| offset: (\d+)", dumped, re.MULTILINE)]
    assert shown == [offset for offset, _ in kept]
    assert "isvalid: false" not in dumped and "Found" not in dumped
    assert "deleteHorizonMs: OptionalLong[" in dumped
    for codec in CODECS:
        assert f"compresscodec: {codec}" in dumped
    for ending in (".index", ".timeindex"):
        files = segments(node, "files", ending)
        assert len(files) == len(logs)
        shown = dump(files, "--index-sanity-check")
        assert shown.count("passed sanity check") + shown.count("is empty") == len(files), shown
        shown = dump(files, "--verify-index-only")
        assert "Mismatches" not in shown and "Found timestamp mismatch" not in shown, shown
    assert re.fullmatch(r"0\n1\nfiles 0 \d+\n", (node.data / "cleaner-offset-checkpoint").read_text())
    # A real Kafka reads the same, and cleans on.
    real = apache.Kafka(tmp_path / "kafka", log_cleaner_backoff_ms=100).start()
    try:
        apache.tool("TopicCommand", "--bootstrap-server", real.address, "--create", "--topic", "files", "--partitions", 1, *COMPACTED)
        real.stop()
        bring_along(node.data / "files-0", real.data / "files-0")
        real.start()
        assert read_all(real.address, "files") == kept
    finally:
        real.kill()


@pytest.mark.parametrize("state", ["clean", "unclean"])
def test_we_open_what_kafka_compacted(make_node, compacted_by_kafka, state):
    folder, kept = compacted_by_kafka
    node = make_node(log_cleaner_backoff_ms=1).start()
    dohle("topics", "--create", "--topic", "files", "--bootstrap-server", node.address, *COMPACTED)
    node.stop() if state == "clean" else node.kill()
    bring_along(folder / state, node.data / "files-0")
    node.start()
    everything = read_all(node.address, "files")
    # Nothing that Kafka has kept is missing, but what our cleaner found in the last segments of Kafka's.
    assert set(everything) <= set(kept) and len(everything) > 300
    assert everything[-1] == kept[-1]
    produce(node.address, "files", [b"and on it goes"])
    assert read_all(node.address, "files")[-1][1] == b"and on it goes"


@pytest.fixture(scope="module")
def compacted_by_kafka(tmp_path_factory):
    """A partition that a real Kafka has compacted, after an orderly end and without one, and what can be read of it."""
    real = apache.Kafka(tmp_path_factory.mktemp("kafka-compacts"), log_cleaner_backoff_ms=100).start()
    apache.tool("TopicCommand", "--bootstrap-server", real.address, "--create", "--topic", "files", "--partitions", 1, *COMPACTED)
    kept = write_keys_and_wait(real.address, "files")
    folder = tmp_path_factory.mktemp("compacted")
    real.copy_while_paused("files-0", folder / "unclean")
    real.stop()
    shutil.copytree(real.data / "files-0", folder / "clean")
    return folder, kept


COMPACTED = [
    "--config", "cleanup.policy=compact", "--config", "segment.bytes=1048576", "--config", "min.cleanable.dirty.ratio=0.01",
]  # fmt: skip


def write_keys_and_wait(address, topic):
    """Writes many records of few keys; returns what is left when they have been compacted."""
    write_keys(address, topic)
    deadline = time.monotonic() + 60
    while len(kept := read_all(address, topic)) > 3000:
        assert time.monotonic() < deadline, f"{len(kept)} records are left"
        time.sleep(0.2)
    return kept


def write_keys(address, topic):
    """10,000 records of 300 keys, in every codec; then tombstones, and keys that come only once."""
    noise = random.Random(5)
    for number, codec in enumerate(CODECS):
        producer = KafkaProducer(bootstrap_servers=address, compression_type=None if codec == "none" else codec, linger_ms=5)
        for record in range(2000):
            key = b"key %d" % (record % 300)
            producer.send(topic, noise.randbytes(400).hex().encode(), key=key, partition=0)
        for key in range(20):
            producer.send(topic, None, key=b"gone %d %d" % (number, key), partition=0)
        for key in range(20):
            producer.send(topic, b"x", key=b"only in %s %d" % (codec.encode(), key), partition=0)
        producer.close()


def test_our_dump_says_what_apaches_says(make_node):
    node = make_node().start()
    dohle("topics", "--create", "--topic", "files", "--bootstrap-server", node.address)
    write_every_codec(node.address, "files")
    assert node.stop() == 0
    logs = ",".join(map(str, segments(node, "files", ".log")))
    ours = dohle("dump-log", "--deep-iteration", "--print-data-log", "--files", logs).stdout
    theirs = dump(segments(node, "files", ".log"), "--deep-iteration", "--print-data-log")
    assert [line for line in ours.splitlines() if "offset: " in line.lower()] == [
        line for line in theirs.splitlines() if "offset: " in line.lower()
    ]


@pytest.fixture(scope="module")
def kafka_directory(tmp_path_factory):
    """A partition that a real Kafka wrote, with transactions that committed and that aborted; and the directory of its unclean twin."""
    real = apache.Kafka(tmp_path_factory.mktemp("kafka-files"), log_segment_bytes="1048576").start()
    apache.tool(
        "TopicCommand", "--bootstrap-server", real.address, "--create", "--topic", "files", "--partitions", 1,
        "--config", "segment.bytes=1048576",
    )  # fmt: skip
    write_every_codec(real.address, "files")
    producer = Producer({"bootstrap.servers": real.address, "transactional.id": "t1"})
    producer.init_transactions(60)
    for outcome in ("aborted", "committed", "aborted"):
        producer.begin_transaction()
        for number in range(10):
            producer.produce("files", f"{outcome} {number}".encode(), partition=0)
        producer.flush(60)
        producer.abort_transaction(60) if outcome == "aborted" else producer.commit_transaction(60)
    folder = tmp_path_factory.mktemp("copies")
    real.copy_while_paused("files-0", folder / "unclean")
    real.stop()
    shutil.copytree(real.data / "files-0", folder / "clean")
    return folder


@pytest.mark.parametrize("state", ["clean", "unclean"])
def test_we_open_what_kafka_wrote(make_node, kafka_directory, state):
    node = make_node().start()
    dohle("topics", "--create", "--topic", "files", "--bootstrap-server", node.address)
    node.stop() if state == "clean" else node.kill()
    bring_along(kafka_directory / state, node.data / "files-0")
    node.start()
    everything = read_all(node.address, "files", isolation_level="read_uncommitted")
    assert len(everything) == 10_030
    committed = read_all(node.address, "files", isolation_level="read_committed")
    assert len(committed) == 10_010 and not any(value.startswith(b"aborted") for _, value in committed)
    produce(node.address, "files", [b"and on it goes"])
    assert read_all(node.address, "files")[-1][1] == b"and on it goes"


def test_kafka_opens_what_we_wrote(make_node, tmp_path):
    node = make_node().start()
    dohle("topics", "--create", "--topic", "files", "--bootstrap-server", node.address, "--config", "segment.bytes=1048576")
    write_every_codec(node.address, "files")
    expected = read_all(node.address, "files")
    assert node.stop() == 0
    real = apache.Kafka(tmp_path / "kafka").start()
    try:
        apache.tool("TopicCommand", "--bootstrap-server", real.address, "--create", "--topic", "files", "--partitions", 1)
        real.stop()
        bring_along(node.data / "files-0", real.data / "files-0")
        real.start()
        assert read_all(real.address, "files") == expected
    finally:
        real.kill()


def bring_along(source: pathlib.Path, target: pathlib.Path):
    """Puts the files of a partition in the place of another's; the topic id stays that of the target."""
    for path in target.iterdir():
        if path.name != "partition.metadata":
            path.unlink()
    for path in source.iterdir():
        if path.name != "partition.metadata":
            shutil.copy(path, target / path.name)
