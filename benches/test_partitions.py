"""P10 and P12: what starting, being idle and having many partitions costs."""

import os
import shutil
import time

import pytest

from peers import ApacheKafka, Dohle, cpu_s, load, open_files, resident_mib
from rounds import DEAR_ROUNDS, QUICK
from tables import Goal, median

IDLE_S = 5 if QUICK else 15
SETTLE_S = 3


def create_files_s(folder, count):
    """What a partition consists of, made by a plain loop."""
    begin = time.monotonic()
    for number in range(count):
        partition = folder / f"t-{number}"
        os.mkdir(partition)
        for name, text in (("partition.metadata", b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA\n"), (f"{0:020}.log", b"")):
            file = os.open(partition / name, os.O_CREAT | os.O_WRONLY)
            os.write(file, text)
            os.close(file)
    return time.monotonic() - begin


def ready_s(peer, partitions):
    """From the start of the process until every partition answers."""
    begin = time.monotonic()
    peer.start()
    peer.wait("many", partitions)
    return time.monotonic() - begin


def write_to_all(peer, partitions):
    load("fanout", "--bootstrap-server", peer.address, "--topic", "many", "--partitions", partitions, "--size", 100, "--repeat", 1)


def life(peer, partitions):
    """Creates a topic with so many partitions, and goes through two ends of the process with it."""
    peer.start()
    alone = resident_mib(peer.pid)
    report = peer.create("many", partitions)
    seen = {"create": report["answers_ms"] / 1000, "metadata": median(report["metadata_ms"])}
    time.sleep(SETTLE_S)
    seen["memory"] = (resident_mib(peer.pid) - alone) * 1024 / partitions
    write_to_all(peer, partitions)
    seen["files"] = open_files(peer.pid)
    peer.stop()
    seen["stopped"] = ready_s(peer, partitions)
    write_to_all(peer, partitions)
    peer.kill()
    seen["killed"] = ready_s(peer, partitions)
    peer.discard()
    return seen


MEASURES = [
    ("create", "create until every log answers; base: making such files by a plain loop", "s", [Goal(5, "base")]),
    ("metadata", "full Metadata answer", "ms", [Goal(15)]),
    ("memory", "memory for each that is idle", "KiB", [Goal(4)]),
    ("stopped", "restart after a clean stop until every log answers", "s", [Goal(2)]),
    ("killed", "restart after SIGKILL, a record in each, until every log answers", "s", [Goal(5)]),
    ("files", "open files, after a record to each (P12)", "", [Goal(11_000)]),
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("partitions", [10_000, 1000])
def test_p10_many_partitions(page, own, tmp_path, partitions):
    seen, base = {"dohle": [], "kafka": []}, []
    rounds = DEAR_ROUNDS if partitions == 10_000 else 1
    for number in range(rounds):
        folder = tmp_path / f"files{number}"
        folder.mkdir()
        base.append(create_files_s(folder, partitions))
        shutil.rmtree(folder)
        seen["dohle"].append(life(own(Dohle(tmp_path / f"dohle{number}")), partitions))
    if partitions == 1000:
        seen["kafka"].append(life(own(ApacheKafka(tmp_path / "kafka")), partitions))
    for key, measure, unit, goals in MEASURES:
        values = {name: [lived[key] for lived in lives] for name, lives in seen.items()}
        if key == "create":
            values["base"] = base
        page.many.add(f"P10 {partitions:,} partitions: {measure}", unit, values, goals if partitions == 10_000 else [])


def first_answer_ms(peer):
    begin = time.monotonic()
    peer.start()
    return (time.monotonic() - begin) * 1000


@pytest.mark.timeout(600)
def test_p12_start_and_idle(page, own, tmp_path):
    first, again = [], {"dohle": [], "kafka": []}
    peers = {"dohle": own(Dohle(tmp_path / "dohle")), "kafka": own(ApacheKafka(tmp_path / "kafka")).start()}
    for number in range(5):
        peer = own(Dohle(tmp_path / f"first{number}"))
        first.append(first_answer_ms(peer))
        peer.discard()
    peers["dohle"].start()
    for name, count in (("dohle", 5), ("kafka", 2)):
        for _ in range(count):
            peers[name].stop()
            again[name].append(first_answer_ms(peers[name]))
    page.many.add("P12 first start until the first answer", "ms", {"dohle": first}, [Goal(100)])
    page.many.add("P12 another start until the first answer (Kafka: to 0.1 s)", "ms", again, [Goal(100)])
    time.sleep(SETTLE_S)
    used = {name: cpu_s(peer.pid) for name, peer in peers.items()}
    begin = time.monotonic()
    time.sleep(IDLE_S)
    shares = {name: [(cpu_s(peer.pid) - used[name]) / (time.monotonic() - begin) * 100] for name, peer in peers.items()}
    memory = {name: [resident_mib(peer.pid)] for name, peer in peers.items()}
    page.many.add("P12 idle CPU", "% of a core", shares, [Goal(0.5)])
    page.many.add("P12 idle memory", "MiB", memory, [Goal(30)])
    for peer in peers.values():
        peer.discard()
