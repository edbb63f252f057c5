"""Dohle beside the floor and beside Apache Kafka 4, with the same clients, in one run. The numbers P1 to P18 are those of docs/performance.md."""

import itertools
import re
import subprocess

import pytest

from harness.kafka import tool
from peers import ApacheKafka, Dohle, Floor
from rounds import ROUNDS, load, measured, per_gb, rate_mb, warm_page_cache

KIB = 1024
RECORDS = {KIB: 500_000, 100: 4_000_000}
topics = (f"t{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def kafka(tmp_path_factory):
    """One for all, warmed by a full run of what is measured."""
    peer = ApacheKafka(tmp_path_factory.mktemp("kafka"), retention_bytes=1 << 20, segment_bytes=128 << 20, file_delete_delay_ms=1000).start()
    for size in RECORDS:
        topic = next(topics)
        peer.create(topic)
        produce(peer, topic, size)
        consume(peer, topic, size)
    yield peer
    peer.kill()


@pytest.fixture
def fresh(tmp_path):
    """Makes brokers that end with the test."""
    made = []

    def make(kind, *arguments, **settings):
        made.append(kind(tmp_path / f"{len(made)}", *arguments, **settings).start())
        return made[-1]

    yield make
    for peer in made:
        peer.kill()


def produce(peer, topic, size, *arguments, records=None, **settings):
    return load(
        "produce", "--bootstrap-server", peer.address, "--topic", topic, "--size", size, "--records", records or RECORDS[size],
        *arguments, **settings,
    )  # fmt: skip


def consume(peer, topic, size, *arguments, records=None, **settings):
    return load(
        "consume", "--bootstrap-server", peer.address, "--topic", topic, "--records", records or RECORDS[size], *arguments, **settings
    )


def in_rounds(fresh, kafka, work, rounds=ROUNDS):
    """`work` on each of the three in turn, on a fresh topic: what it reports, by name of the peer."""
    reports = {"floor": [], "dohle": [], "kafka": []}
    for _ in range(rounds):
        for make in (lambda: fresh(Floor), lambda: fresh(Dohle), lambda: kafka):
            peer = make()
            topic = next(topics)
            peer.create(topic)
            warm_page_cache(peer.folder)
            reports[peer.name].append(work(peer, topic))
            if peer is not kafka:
                peer.kill()
    return reports


def column(reports, value):
    return {name: [value(report) for report in rounds] for name, rounds in reports.items()}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", RECORDS)
def test_bulk(fresh, kafka, comparison, size):
    """P1, P2, P3, P4."""

    def work(peer, topic):
        written = measured(peer, lambda: produce(peer, topic, size))
        read = measured(peer, lambda: consume(peer, topic, size))
        return {"written": written, "read": read}

    reports = in_rounds(fresh, kafka, work)
    label = "1 KiB" if size == KIB else f"{size} B"
    for key, verb in (("written", "produce"), ("read", "consume")):
        costs = column(reports, lambda report: per_gb(report[key]))
        comparison.add(f"{verb} {label}: CPU of the broker", "s/GB", costs)
        comparison.add(f"{verb} {label}: rate", "MB/s", column(reports, lambda report: rate_mb(report[key])), more_is_better=True)
        client = column(reports, lambda report: per_gb(report[key], "client_cpu_s"))
        comparison.add(f"{verb} {label}: CPU of the client", "s/GB", client)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", RECORDS)
def test_java_defaults(fresh, kafka, comparison, size):
    """P4b: Apache's own performance tools as they come, batches of 16 KiB."""
    records = {KIB: 300_000, 100: 2_000_000}[size]

    def work(peer, topic):
        def write():
            arguments = [
                "--topic", topic, "--num-records", records, "--record-size", size, "--throughput", -1,
                "--producer-props", f"bootstrap.servers={peer.address}",
            ]  # fmt: skip
            printed = tool("ProducerPerformance", *arguments).stdout.splitlines()[-1]
            rate = float(re.search(r"\(([\d.]+) MB/sec\)", printed)[1])
            return {"bytes": records * size, "rate": rate}

        def read():
            arguments = ["--bootstrap-server", peer.address, "--topic", topic, "--messages", records]
            printed = tool("ConsumerPerformance", *arguments).stdout.splitlines()[-1]
            return {"bytes": records * size, "rate": float(printed.split(",")[8])}

        return {"written": measured(peer, write), "read": measured(peer, read)}

    reports = {"floor": [], "dohle": [], "kafka": []}
    for _ in range(min(ROUNDS, 3)):
        for make in (lambda: fresh(Dohle), lambda: kafka):
            peer, topic = make(), next(topics)
            peer.create(topic)
            warm_page_cache(peer.folder)
            reports[peer.name].append(work(peer, topic))
            if peer is not kafka:
                peer.kill()
    label = "1 KiB" if size == KIB else f"{size} B"
    for key, verb in (("written", "ProducerPerformance"), ("read", "ConsumerPerformance")):
        comparison.add(f"{verb}, defaults, {label}: CPU of the broker", "s/GB", column(reports, lambda report: per_gb(report[key])))
        rates = column(reports, lambda report: report[key]["rate"])
        comparison.add(f"{verb}, defaults, {label}: rate", "MiB/s", rates, more_is_better=True)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("depth", [1, 8])
def test_small_requests(fresh, kafka, comparison, depth):
    """P5."""

    def work(peer, topic):
        return measured(peer, lambda: load("requests", "--bootstrap-server", peer.address, "--topic", topic, "--depth", depth))

    reports = in_rounds(fresh, kafka, work)
    cost = column(reports, lambda report: report["broker_cpu_s"] / report["requests"] * 1e6)
    comparison.add(f"request of 100 B, 64 connections, {depth} in flight each: CPU of the broker", "µs", cost)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("rate", [1000, 5000])
def test_latency_beside_others(fresh, kafka, comparison, rate):
    """P6."""

    def work(peer, topic):
        return load("latency", "--bootstrap-server", peer.address, "--topic", topic, "--rate", rate, "--seconds", 5)

    reports = in_rounds(fresh, kafka, work)
    for key, name in (("delivery_us", "delivery"), ("end_to_end_us", "end to end")):
        for quantile in ("p50", "p99", "p999"):
            values = column(reports, lambda report: report[key][quantile] / 1000)
            comparison.add(f"{name} at {rate}/s, 1 KiB: {quantile}", "ms", values)


@pytest.mark.timeout(900)
def test_compressed(fresh, kafka, comparison):
    """P18: a byte that comes compressed is stored as it came."""
    for codec in ("none", "lz4", "zstd"):

        def work(peer, topic):
            return measured(peer, lambda: produce(peer, topic, KIB, "--text", compression_codec=codec))

        reports = in_rounds(fresh, kafka, work, rounds=min(ROUNDS, 3))
        comparison.add(f"produce 1 KiB of text, {codec}: CPU of the broker per GB of payload", "s/GB", column(reports, per_gb))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("batch,settings", [("1 MB", {}), ("16 KiB", {"batch_size": 16384}), ("1 MB, 5 in flight", {"max_in_flight": 5})])
def test_synced(fresh, comparison, tmp_path, batch, settings):
    """P7: what it costs to sync before acknowledging."""
    reports = {"floor": [], "dohle": [], "kafka": []}
    durable = {"floor": [], "dohle": [], "kafka": []}
    for _ in range(ROUNDS):
        for policy, into in (("os", reports), ("commit", durable)):
            peer, topic = fresh(Dohle, policy), next(topics)
            peer.create(topic)
            warm_page_cache(peer.folder)
            into["dohle"].append(measured(peer, lambda: produce(peer, topic, KIB, **settings)))
            peer.kill()
        peer, topic = fresh(ApacheKafka, flush_messages=1), next(topics)
        peer.create(topic)
        durable["kafka"].append(measured(peer, lambda: produce(peer, topic, KIB, records=100_000, **settings)))
        peer.kill()
    rates = column(durable, rate_mb)
    comparison.add(f"synced, batches of {batch}: rate", "MB/s", rates, more_is_better=True)
    comparison.add(f"not synced, batches of {batch}: rate", "MB/s", column(reports, rate_mb), more_is_better=True)


@pytest.mark.timeout(900)
def test_many_partitions_cost_no_more(fresh, comparison):
    """P11: the same batches over a thousand partitions and over one."""
    for partitions in (1, 1000):
        reports = {"floor": [], "dohle": [], "kafka": []}
        for _ in range(ROUNDS):
            peer, topic = fresh(Dohle), next(topics)
            peer.create(topic, partitions)
            warm_page_cache(peer.folder)
            settings = {"batch_num_messages": 100, "linger_ms": 100}
            reports["dohle"].append(measured(peer, lambda: produce(peer, topic, KIB, "--partitions", partitions, **settings)))
            peer.kill()
        label = "1 partition" if partitions == 1 else f"{partitions} partitions"
        comparison.add(f"produce 1 KiB in batches of 100 over {label}: CPU of the broker", "s/GB", column(reports, per_gb))


def test_the_floor_is_what_it_says(fresh):
    """The yardstick gives back what it was given."""
    peer = fresh(Floor)
    lines = "".join(f"{number}\n" for number in range(10_000))
    subprocess.run(["kcat", "-P", "-b", peer.address, "-t", "t", "-p", "0"], input=lines, text=True, check=True)
    read = subprocess.run(["kcat", "-C", "-b", peer.address, "-t", "t", "-e", "-q"], capture_output=True, text=True, check=True)
    assert read.stdout == lines
