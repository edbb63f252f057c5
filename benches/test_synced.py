"""P7 to P9: what it costs to sync before acknowledging."""

import ctypes
import os
import time
import urllib.request

import pytest

from harness.node import free_port
from rounds import DEAR_ROUNDS, column, load, measured, rate_mb
from stage import KIB, RECORDS, produce
from tables import Goal, median

BATCHES = {
    "1 MB": ({}, [Goal(0.65, "base"), Goal(2.5, "kafka")]),
    "16 KiB": ({"batch_size": 16 * KIB}, [Goal(0.6, "base"), Goal(8, "kafka")]),
    "1 MB, 5 in flight": ({"max_in_flight": 5}, [Goal(0.55, "base")]),
}
SETTLE_S = 5
libc = ctypes.CDLL(None, use_errno=True)


def metric(port, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("batch", BATCHES)
def test_p7_p8_synced(stage, page, batch):
    settings, goals = BATCHES[batch]
    reports = {"dohle": [], "synced": [], "kafka synced": []}
    gathered = []
    for _ in range(DEAR_ROUNDS):
        for kind in reports:
            port = free_port()
            node = {"metrics_listener": f"127.0.0.1:{port}"} if kind == "synced" else {}
            records = RECORDS[KIB] // 5 if kind == "kafka synced" else None
            with stage.on(kind, **node) as (peer, topic):
                reports[kind].append(measured(peer, lambda: produce(peer, topic, KIB, records=records, **settings)))
                if kind == "synced":
                    gathered.append(metric(port, 'dohle_requests_total{api="Produce"}') / metric(port, "dohle_syncs_total"))
    rates = column(reports, rate_mb)
    compared = {"base": rates["dohle"], "dohle": rates["synced"], "kafka": rates["kafka synced"]}
    page.synced.add(f"P7 produce 1 KiB, batches of {batch}: rate; base: `os`", "MB/s", compared, goals, more_is_better=True)
    goals = [Goal(10)] if batch == "16 KiB" else []
    what = f"P8 batches of {batch}: requests for each `fdatasync`"
    page.synced.add(what, "", {"dohle": gathered}, goals, more_is_better=True)


def sync_ms(folder, size=1100, count=500):
    """Median time of writing as much as a record takes, and one `fdatasync`."""
    path, block, taken = folder / "raw", b"x" * size, []
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    for number in range(count):
        begin = time.monotonic()
        os.pwrite(file, block, number * size)
        os.fdatasync(file)
        taken.append((time.monotonic() - begin) * 1000)
    os.close(file)
    path.unlink()
    return median(taken)


@pytest.mark.timeout(1800)
def test_p8_latency_of_a_sync(stage, page, tmp_path):
    delivery, raw = {"dohle": [], "synced": []}, []
    for _ in range(DEAR_ROUNDS):
        for kind, taken in delivery.items():
            with stage.on(kind, warm=False) as (peer, topic):
                arguments = ["--topic", topic, "--rate", 1000, "--seconds", 5, "--warm-up-seconds", 1]
                report = measured(peer, lambda: load("latency", "--bootstrap-server", peer.address, *arguments))
                taken.append(report["delivery_us"])
        raw.append(sync_ms(tmp_path))
    for quantile in ("p50", "p99"):
        values = {"base": [took[quantile] / 1000 for took in delivery["dohle"]], "dohle": [took[quantile] / 1000 for took in delivery["synced"]]}
        page.synced.add(f"P8 delivery at 1,000/s, 1 KiB: {quantile}; base: `os`", "ms", values)
    added = [(synced["p50"] - plain["p50"]) / 1000 for synced, plain in zip(delivery["synced"], delivery["dohle"])]
    what = "P8 what syncing adds to the median delivery; base: one raw write and `fdatasync` of as much"
    page.synced.add(what, "ms", {"base": raw, "dohle": added}, [Goal(4, "base")])


class Files:
    """As many files as partitions, written by a plain loop and synced at once."""

    def __init__(self, folder, count):
        folder.mkdir()
        self.folder = os.open(folder, os.O_RDONLY)
        self.files = [os.open(folder / str(number), os.O_CREAT | os.O_WRONLY) for number in range(count)]
        self.position = 0

    def commit_ms(self, block):
        for file in self.files:
            os.pwrite(file, block, self.position)
        begin = time.monotonic()
        assert libc.syncfs(self.folder) == 0
        self.position += len(block)
        return (time.monotonic() - begin) * 1000

    def close(self):
        for file in [self.folder, *self.files]:
            os.close(file)


@pytest.mark.timeout(1800)
def test_p9_a_thousand_partitions_at_once(stage, page, tmp_path):
    partitions, size = 1000, 16 * KIB
    taken = {"dohle": [], "synced": [], "kafka synced": []}
    raw, added = [], []
    files = Files(tmp_path / "files", partitions)
    for _ in range(DEAR_ROUNDS):
        raw.append(median([files.commit_ms(b"x" * size) for _ in range(4)][1:]))
        for kind, times in taken.items():
            with stage.on(kind, partitions, warm=False) as (peer, topic):
                arguments = ["--topic", topic, "--partitions", partitions, "--size", size, "--repeat", 2 if peer.name == "kafka" else 4]
                times.append(median(load("fanout", "--bootstrap-server", peer.address, *arguments)["ms"][1:]))
        added.append(taken["synced"][-1] - taken["dohle"][-1])
        # Kafka deletes its thousand logs.
        time.sleep(SETTLE_S)
    files.close()
    what = "P9 16 KiB for each of 1,000 partitions in one request, until all are acknowledged"
    page.synced.add(f"{what}; base: `os`", "ms", {"base": taken["dohle"], "dohle": taken["synced"], "kafka": taken["kafka synced"]})
    what = "P9 what the commit adds to that; base: `syncfs` after as much was written to as many files"
    page.synced.add(what, "ms", {"base": raw, "dohle": added}, [Goal(1.5, "base")])
