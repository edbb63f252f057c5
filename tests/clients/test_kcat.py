"""kcat 1.7 over librdkafka 2.0: an old client that parses strictly."""

import json
import subprocess

import pytest

from harness.node import dohle


def kcat(*arguments, stdin=None, timeout=60):
    finished = subprocess.run(["kcat", *arguments], input=stdin, capture_output=True, timeout=timeout)
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout


def create(node, topic, partitions=1, *arguments):
    dohle("topics", "--create", "--topic", topic, "--partitions", str(partitions), "--bootstrap-server", node.address, *arguments)


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_writes_and_reads_in_every_codec(node, topic, codec):
    lines = b"".join(b"%d\n" % number for number in range(100_000))
    create(node, topic)
    kcat("-P", "-b", node.address, "-t", topic, "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true", stdin=lines)
    assert kcat("-C", "-b", node.address, "-t", topic, "-e", "-q") == lines


def test_creates_the_topic_that_it_writes_to(node, topic):
    kcat("-P", "-b", node.address, "-t", topic, stdin=b"one\ntwo\n")
    assert kcat("-C", "-b", node.address, "-t", topic, "-e", "-q") == b"one\ntwo\n"


def test_keys_headers_and_tombstones_survive(node, topic):
    create(node, topic)
    kcat("-P", "-b", node.address, "-t", topic, "-K", ":", "-H", "trace=42", "-H", "empty=", stdin=b"k1:v1\n")
    kcat("-P", "-b", node.address, "-t", topic, "-K", ":", "-Z", stdin=b"k1:\n")
    shown = kcat("-C", "-b", node.address, "-t", topic, "-e", "-q", "-f", "%o %k %S %s %h\n").decode()
    assert shown.splitlines() == ["0 k1 2 v1 trace=42,empty=", "1 k1 -1  "]


def test_lists_metadata_and_offsets(node, topic):
    create(node, topic, 3)
    listing = json.loads(kcat("-L", "-b", node.address, "-t", topic, "-J"))
    assert {broker["name"] for broker in listing["brokers"]} == set(node.address.split(","))
    assert [partition["partition"] for partition in listing["topics"][0]["partitions"]] == [0, 1, 2]
    kcat("-P", "-b", node.address, "-t", topic, "-p", "1", stdin=b"a\nb\nc\n")
    for time, offset in (("-1", 3), ("-2", 0)):
        assert kcat("-Q", "-b", node.address, "-t", f"{topic}:1:{time}").decode() == f"{topic} [1] offset {offset}\n"


def test_seeks_by_offset_by_tail_and_by_time(node, topic):
    create(node, topic)
    kcat("-P", "-b", node.address, "-t", topic, stdin=b"".join(b"%d\n" % number for number in range(100)))
    read = ["-C", "-b", node.address, "-t", topic, "-p", "0", "-e", "-q"]
    assert kcat(*read, "-o", "95").split() == [b"95", b"96", b"97", b"98", b"99"]
    assert kcat(*read, "-o", "-2").split() == [b"98", b"99"]
    first = int(kcat(*read, "-c", "1", "-f", "%T"))
    assert kcat(*read, "-o", f"s@{first}").split()[0] == b"0"
    assert kcat(*read, "-o", f"s@{first + 86_400_000}") == b""


def test_reads_while_another_writes(node, topic):
    create(node, topic)
    reader = subprocess.Popen(["kcat", "-C", "-b", node.address, "-t", topic, "-c", "3", "-q", "-u"], stdout=subprocess.PIPE)
    for number in range(3):
        kcat("-P", "-b", node.address, "-t", topic, stdin=b"%d\n" % number)
    assert reader.communicate(timeout=30)[0] == b"0\n1\n2\n"


def test_too_large_a_message_is_refused_and_the_next_one_is_kept(node, topic):
    create(node, topic, 1, "--config", "max.message.bytes=2000")
    finished = subprocess.run(
        ["kcat", "-P", "-b", node.address, "-t", topic, "-p", "0", "-X", "linger.ms=0"], input=b"x" * 5000 + b"\n", capture_output=True, timeout=60
    )
    assert b"Message size too large" in finished.stderr
    kcat("-P", "-b", node.address, "-t", topic, stdin=b"small\n")
    assert kcat("-C", "-b", node.address, "-t", topic, "-e", "-q") == b"small\n"
