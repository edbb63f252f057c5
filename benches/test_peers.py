"""P1 to P6 and P18: Dohle beside the floor and beside Apache Kafka 4, with the same clients."""

import re
import subprocess

import pytest

from harness.kafka import tool
from rounds import DEAR_ROUNDS, QUICK, ROUNDS, column, load, measured, per_gb, rate_mb
from stage import KIB, RECORDS, consume, produce
from tables import Goal

PEERS = ("floor", "dohle", "kafka")
LABELS = {KIB: "1 KiB", 100: "100 B"}


@pytest.mark.timeout(3000)
def test_p1_p2_p3_p4_bulk(stage, page):
    written = {size: {kind: [] for kind in ("floor", "sink", "dohle", "kafka")} for size in RECORDS}
    read = {size: {kind: [] for kind in PEERS} for size in RECORDS}
    for _ in range(ROUNDS):
        for size in RECORDS:
            for kind in written[size]:
                with stage.on(kind) as (peer, topic):
                    written[size][kind].append(measured(peer, lambda: produce(peer, topic, size)))
                    if kind != "sink":
                        read[size][kind].append(measured(peer, lambda: read_through(peer, topic, size)))
    for size in RECORDS:
        add_produce(page, size, written[size])
        add_consume(page, size, read[size])
    costs = {size: column(written[size], per_gb)["dohle"] for size in RECORDS}
    compared = {"base": costs[KIB], "dohle": costs[100]}
    page.against.add("P2 produce 100 B: CPU of the broker; base: 1 KiB", "s/GB", compared, [Goal(1.5, "base")])


def read_through(peer, topic, size):
    """More than once what is read quickly: the kernel counts processor time in hundredths of a second."""
    reports = [consume(peer, topic, size) for _ in range({KIB: 3, 100: 1}[size])]
    return {name: sum(report[name] for report in reports) for name in ("bytes", "seconds", "client_cpu_s")}


def add_produce(page, size, reports):
    label = LABELS[size]
    goals = [Goal(1.4, "floor"), Goal(0.5, "kafka")] if size == KIB else []
    page.beside.add(f"P1 produce {label}: CPU of the broker", "s/GB", column(reports, per_gb), goals)
    rates = column(reports, rate_mb)
    page.beside.add(f"P4 produce {label}: rate", "MB/s", rates, [Goal(1, "kafka")], more_is_better=True)
    shares = {kind: [rate / most for rate, most in zip(rates[kind], rates["sink"])] for kind in PEERS}
    ceiling = f"P4 produce {label}: rate as a share of the client's ceiling"
    page.beside.add(ceiling, "", shares, [Goal({KIB: 0.55, 100: 0.85}[size])], more_is_better=True)
    page.beside.add(f"P1 produce {label}: CPU of the client", "s/GB", column(reports, lambda report: per_gb(report, "client_cpu_s")))


def add_consume(page, size, reports):
    label = LABELS[size]
    goals = [Goal(1.2, "floor"), Goal({KIB: 0.85, 100: 0.7}[size], "kafka")]
    page.beside.add(f"P3 consume {label}: CPU of the broker", "s/GB", column(reports, per_gb), goals)
    clients = column(reports, lambda report: per_gb(report, "client_cpu_s"))
    page.beside.add(f"P3 consume {label}: CPU of the client", "s/GB", clients, [Goal(1, "kafka")])
    page.beside.add(f"P3 consume {label}: rate", "MB/s", column(reports, rate_mb), [Goal(1, "kafka")], more_is_better=True)


PRODUCED = re.compile(r"\(([\d.]+) MB/sec\), ([\d.]+) ms avg latency.* ([\d.]+) ms 99th")


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", RECORDS)
def test_p4b_java_defaults(stage, page, size):
    """Apache's own performance tools as they come, batches of 16 KiB."""
    records = {KIB: 300_000, 100: 2_000_000}[size] // (3 if QUICK else 1)

    def work(peer, topic):
        def write():
            arguments = [
                "--topic", topic, "--num-records", records, "--record-size", size, "--throughput", -1,
                "--producer-props", f"bootstrap.servers={peer.address}",
            ]  # fmt: skip
            rate, mean, p99 = PRODUCED.search(tool("ProducerPerformance", *arguments).stdout.splitlines()[-1]).groups()
            return {"bytes": records * size, "rate": float(rate), "mean": float(mean), "p99": float(p99)}

        def read():
            arguments = ["--bootstrap-server", peer.address, "--topic", topic, "--messages", records]
            printed = tool("ConsumerPerformance", *arguments).stdout.splitlines()[-1]
            return {"bytes": records * size, "rate": float(printed.split(",")[8])}

        return {"written": measured(peer, write), "read": measured(peer, read)}

    reports = stage.turns(("dohle", "kafka"), work, DEAR_ROUNDS)
    for key, verb in (("written", "ProducerPerformance"), ("read", "ConsumerPerformance")):
        what = f"P4b {verb}, defaults, {LABELS[size]}"
        costs = column(reports, lambda report: per_gb(report[key]))
        page.beside.add(f"{what}: CPU of the broker", "s/GB", costs, [Goal(0.4, "kafka")])
        rates = column(reports, lambda report: report[key]["rate"])
        page.beside.add(f"{what}: rate", "MiB/s", rates, [Goal(1, "kafka")], more_is_better=True)
        for quantile in ("mean", "p99") if key == "written" else ():
            latencies = column(reports, lambda report: report[key][quantile])
            page.beside.add(f"{what}: latency, {quantile}", "ms", latencies, [Goal(1, "kafka")])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("depth", [1, 8])
def test_p5_small_requests(stage, page, depth):
    def work(peer, topic):
        arguments = ["--bootstrap-server", peer.address, "--topic", topic, "--depth", depth, "--seconds", 3]
        return measured(peer, lambda: load("requests", *arguments))

    costs = column(stage.turns(PEERS, work), lambda report: report["broker_cpu_s"] / report["requests"] * 1e6)
    what = f"P5 request of 100 B, 64 connections, {depth} in flight each: CPU of the broker"
    page.beside.add(what, "µs", costs, [Goal(1.6, "floor"), Goal(0.6, "kafka")])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rate", [1000, 5000])
def test_p6_latency(stage, page, rate):
    def work(peer, topic):
        arguments = ["--rate", rate, "--seconds", 5, "--warm-up-seconds", 1]
        return measured(peer, lambda: load("latency", "--bootstrap-server", peer.address, "--topic", topic, *arguments))

    reports = stage.turns(PEERS, work)
    for key, name in (("delivery_us", "delivery"), ("end_to_end_us", "end to end")):
        for quantile, of_floor in (("p50", [Goal(1.4, "floor")]), ("p99", [Goal(2, "floor")]), ("p999", [])):
            values = column(reports, lambda report: report[key][quantile] / 1000)
            page.beside.add(f"P6 {name} at {rate:,}/s, 1 KiB: {quantile}", "ms", values, [*of_floor, Goal(1, "kafka")])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_p18_compressed(stage, page, codec):
    """A byte that comes compressed is stored as it came."""
    kinds = ("floor", "lazy", "dohle", "kafka")
    reports, plain = {kind: [] for kind in kinds}, []
    for _ in range(DEAR_ROUNDS):
        for kind in kinds:
            with stage.on(kind) as (peer, topic):
                reports[kind].append(measured(peer, lambda: produce(peer, topic, KIB, "--text", compression_codec=codec)))
                if kind == "lazy":
                    reports[kind][-1]["stored"] = sum(path.stat().st_size for path in peer.data.glob(f"{topic}-0/*.log"))
        last = reports["lazy"][-1]
        factor = last["bytes"] / last["stored"]
        with stage.on("lazy") as (peer, topic):
            # As many bytes, in batches as large.
            few = int(RECORDS[KIB] / factor)
            plain.append(measured(peer, lambda: produce(peer, topic, KIB, "--text", records=few, batch_size=int(1_000_000 / factor))))
    costs = column(reports, per_gb)
    what = f"P18 produce 1 KiB of text, {codec}: CPU of the broker per GB of payload"
    lazy = costs.pop("lazy")
    page.beside.add(what, "s/GB", costs, [Goal(0.6, "kafka")])
    page.beside.add(f"{what}, `strict.validation=false`", "s/GB", {**costs, "dohle": lazy})
    of_stored = {
        "base": [per_gb(report) for report in plain],
        "dohle": [report["broker_cpu_s"] / (report["stored"] / 1e9) for report in reports["lazy"]],
    }
    what = f"P18 produce {codec}, `strict.validation=false`: CPU of the broker per GB stored; base: as many uncompressed bytes"
    page.against.add(what, "s/GB", of_stored, [Goal(1.3, "base")])


@pytest.mark.timeout(1800)
def test_p11_many_partitions_cost_no_more(stage, page):
    """The same batches over a thousand partitions and over one."""
    costs = {1: [], 1000: []}
    for _ in range(ROUNDS):
        for partitions, taken in costs.items():
            with stage.on("dohle", partitions) as (peer, topic):
                settings = {"batch_num_messages": 100, "linger_ms": 100}
                taken.append(per_gb(measured(peer, lambda: produce(peer, topic, KIB, "--partitions", partitions, **settings))))
    what = "P11 produce 1 KiB in batches of 100 over 1,000 partitions: CPU of the broker; base: over one"
    page.against.add(what, "s/GB", {"base": costs[1], "dohle": costs[1000]}, [Goal(1.5, "base")])


def test_the_floor_is_what_it_says(stage):
    """The yardstick gives back what it was given."""
    lines = "".join(f"{number}\n" for number in range(10_000))
    with stage.on("floor", warm=False) as (peer, topic):
        subprocess.run(["kcat", "-P", "-b", peer.address, "-t", topic, "-p", "0"], input=lines, text=True, check=True)
        read = subprocess.run(["kcat", "-C", "-b", peer.address, "-t", topic, "-e", "-q"], capture_output=True, text=True, check=True)
    assert read.stdout == lines
