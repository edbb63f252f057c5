"""Real and large input, written by one client and read by another, with a SIGKILL and a restart in the middle."""

import hashlib
import random
import subprocess
import threading

import pytest

from harness.node import BINARY, dohle

LINES = 1_000_000


def stanzas():
    """Every stanza of Debian's package index: (package, stanza)."""
    index = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout
    found = [stanza for stanza in index.split(b"\n\n") if stanza.startswith(b"Package: ")]
    if len(found) < 1000:
        pytest.fail("the package index is empty: run `apt-get update`")
    return [(stanza.split(b"\n", 1)[0].removeprefix(b"Package: "), stanza) for stanza in found]


def create(node, topic, *arguments):
    dohle("topics", "--create", "--topic", topic, "--partitions", "1", "--bootstrap-server", node.address, *arguments)


def feed_with_a_kill(node, command, data):
    """Feeds a producer, and kills and restarts the node when half of the data has been handed over."""
    producer = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    half = len(data) // 2
    producer.stdin.write(data[:half])
    node.restart_after_kill()
    producer.stdin.write(data[half:])
    producer.stdin.close()
    errors = producer.stderr.read()
    assert producer.wait(180) == 0, errors.decode()


def test_package_index_from_kcat_to_our_consumer(make_node):
    node = make_node().start()
    create(node, "packages")
    records = stanzas()
    data = b"".join(key + b"\x01" + stanza + b"\x02" for key, stanza in records)
    feed_with_a_kill(
        node,
        ["kcat", "-P", "-E", "-b", node.address, "-t", "packages", "-p", "0", "-K", "\\x01", "-D", "\\x02", "-z", "zstd",
         "-X", "acks=all", "-X", "enable.idempotence=true"],
        data,
    )  # fmt: skip
    read = subprocess.run(
        [BINARY, "console-consumer", "--topic", "packages", "--bootstrap-server", node.address, "--partition", "0", "--offset", "earliest",
         "--max-messages", str(len(records)), "--property", "print.key=true", "--property", "key.separator=\x01",
         "--property", "line.separator=\x02"],
        capture_output=True, timeout=120,
    )  # fmt: skip
    assert read.returncode == 0, read.stderr
    assert read.stdout == data


def test_package_index_from_our_producer_to_kcat(make_node):
    node = make_node().start()
    create(node, "packages")
    records = [(key, stanza.replace(b"\n", b"\x0b")) for key, stanza in stanzas()]
    data = b"".join(key + b"\t" + stanza + b"\n" for key, stanza in records)
    feed_with_a_kill(
        node,
        [BINARY, "console-producer", "--topic", "packages", "--bootstrap-server", node.address, "--compression-codec", "lz4",
         "--property", "parse.key=true", "--property", "key.separator=\t", "--request-required-acks", "all"],
        data,
    )  # fmt: skip
    read = subprocess.run(
        ["kcat", "-C", "-b", node.address, "-t", "packages", "-e", "-q", "-K", "\t"], capture_output=True, timeout=120
    )
    assert read.returncode == 0, read.stderr
    assert read.stdout == data


@pytest.fixture(scope="module")
def million_lines(tmp_path_factory):
    """A file of a million lines of 20 to 2,000 bytes, and its digest."""
    draw = random.Random(7)
    pool = bytes(draw.choices(b"abcdefghijklmnopqrstuvwxyz      0123456789", k=1 << 20))
    path = tmp_path_factory.mktemp("lines") / "lines"
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(LINES // 1000):
            block = bytearray()
            for _ in range(1000):
                length, start = draw.randint(20, 2000), draw.randint(0, len(pool) - 2000)
                block += pool[start : start + length] + b"\n"
            digest.update(block)
            file.write(block)
    yield path, digest.hexdigest()
    path.unlink()


def digest_of(stream):
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_a_million_lines_from_kcat_to_our_consumer(make_node, million_lines, codec):
    path, expected = million_lines
    node = make_node().start()
    create(node, "lines")
    kill = threading.Timer(1.5, node.restart_after_kill)
    with open(path, "rb") as lines:
        kill.start()
        subprocess.run(
            ["kcat", "-P", "-E", "-b", node.address, "-t", "lines", "-p", "0", "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true",
             *(["-X", "compression.level=1"] if codec in ("gzip", "zstd") else [])],
            stdin=lines, check=True, timeout=300,
        )  # fmt: skip
    kill.join()
    reader = subprocess.Popen(
        [BINARY, "console-consumer", "--topic", "lines", "--bootstrap-server", node.address, "--partition", "0", "--offset", "earliest",
         "--max-messages", str(LINES)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert digest_of(reader.stdout) == expected
    assert reader.wait(30) == 0


@pytest.mark.timeout(600)
def test_a_million_lines_from_our_producer_to_kcat(make_node, million_lines):
    path, expected = million_lines
    node = make_node().start()
    create(node, "lines")
    with open(path, "rb") as lines:
        subprocess.run(
            [BINARY, "console-producer", "--topic", "lines", "--bootstrap-server", node.address, "--compression-codec", "lz4"],
            stdin=lines, stdout=subprocess.DEVNULL, check=True, timeout=300,
        )  # fmt: skip
    reader = subprocess.Popen(["kcat", "-C", "-b", node.address, "-t", "lines", "-e", "-q"], stdout=subprocess.PIPE)
    assert digest_of(reader.stdout) == expected
    assert reader.wait(30) == 0
