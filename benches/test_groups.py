"""Groups: rebalances, committed offsets, and what reading through a group costs."""

import itertools
import time

import pytest

from peers import Dohle
from rounds import DEAR_ROUNDS, ROUNDS, load, measured, per_gb
from stage import KIB, consume, produce


# Each of them commits for a group of its own, c0, c1, ...
CONNECTIONS = 64


def shard_of(group):
    """The partition of __consumer_offsets that a group belongs to (Java's hash of its name)."""
    code = 0
    for character in group:
        code = (31 * code + ord(character)) & 0xFFFFFFFF
    return (code & 0x7FFFFFFF) % 50


@pytest.fixture
def node(tmp_path):
    peer = Dohle(tmp_path / "node", group_initial_rebalance_delay_ms=0).start()
    yield peer
    peer.kill()


def test_rebalance(node, report):
    node.create("t", 1000)
    taken = load("rebalance", "--bootstrap-server", node.address, "--topic", "t")
    report.add("rebalance of a group of one over 1,000 partitions", taken["alone_ms"], "ms", "the round trip")
    report.add("rebalance of 100 members over 1,000 partitions", taken["together_ms"], "ms", "the round trip plus 200 ms")


def test_offsets_are_loaded(node, report):
    node.create("t", 10)
    load("offsets", "--bootstrap-server", node.address, "--topic", "t")
    taken = []
    for _ in range(ROUNDS):
        node.node.kill()
        begin = time.monotonic()
        node.node.start()
        load("offsets", "--bootstrap-server", node.address, "--topic", "t", "--read")
        taken.append(time.monotonic() - begin)
    report.add("from the start after SIGKILL until 1,000 groups with 10,000 offsets have answered, one by one", taken, "s", "under 1 s")


def test_a_commit_costs_little_more_than_a_record(stage, report):
    """Both synced, as offsets always are, and into as many files: what a sync costs is shared by those who write to one."""
    committed, written = [], []
    shards = len({shard_of(f"c{number}") for number in range(CONNECTIONS)})
    for _ in range(DEAR_ROUNDS):
        with stage.on("synced", partitions=shards, warm=False) as (peer, topic):
            arguments = ["--bootstrap-server", peer.address, "--topic", topic, "--connections", CONNECTIONS]
            for kind, into in ((["requests", "--partitions", shards], written), (["commits"], committed)):
                done = measured(peer, lambda: load(*kind, *arguments))
                into.append(done["broker_cpu_s"] / done["requests"] * 1e6)
    report.add("produce request of 100 B, synced: CPU", written, "µs", "reported")
    report.add("commit of an offset with 100 B of metadata: CPU", committed, "µs", "1.5 times the produce request")


@pytest.mark.timeout(900)
def test_reading_through_a_group_costs_the_same(stage, report):
    groups = (f"g{number}" for number in itertools.count())
    alone, grouped = [], []
    for _ in range(DEAR_ROUNDS):
        with stage.on("dohle", group_initial_rebalance_delay_ms=0) as (peer, topic):
            produce(peer, topic, KIB)
            alone.append(per_gb(measured(peer, lambda: consume(peer, topic, KIB))))
            grouped.append(per_gb(measured(peer, lambda: consume(peer, topic, KIB, "--group", next(groups)))))
    report.add("consume 1 KiB without a group: CPU", alone, "s/GB", "reported")
    report.add("consume 1 KiB through a group: CPU", grouped, "s/GB", "the same")
