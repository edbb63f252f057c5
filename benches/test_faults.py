"""P13 and P15: a restart after SIGKILL with much in the log, and far more load than can be served."""

import shutil
import time

import pytest

from peers import ApacheKafka, Dohle, load, resident_mib
from rounds import DEAR_ROUNDS, QUICK
from stage import KIB, produce
from tables import Goal

LOG_BYTES = 1_000_000_000 if QUICK else 10_000_000_000
MORE_BYTES = 500_000_000
# What may stay free on the disk.
RESERVE_BYTES = 4_000_000_000
OVERLOAD_S = 10 if QUICK else 60
MIB = 1 << 20
ALLOWED = ("REQUEST_TIMED_OUT", "THROTTLING_QUOTA_EXCEEDED")


def read_s(path):
    """Reads a file from its beginning to its end."""
    buffer = bytearray(MIB)
    begin = time.monotonic()
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.monotonic() - begin


def restarts(peer, rounds):
    """Times of restarts until the log answers, and of reading the segments that nobody had synced."""
    taken, base = [], []
    peer.start()
    peer.create("t")
    written = 0
    for _ in range(rounds):
        records = (MORE_BYTES if written else LOG_BYTES) // KIB
        produce(peer, "t", KIB, records=records)
        written += records
        peer.kill()
        # Complete segments are synced as soon as they are.
        tail = max(peer.data.glob("t-0/*.log"))
        base.append(read_s(tail))
        begin = time.monotonic()
        peer.start()
        assert peer.wait("t")["records"] == written
        taken.append(time.monotonic() - begin)
    peer.discard()
    return taken, base


@pytest.mark.timeout(1800)
def test_p13_restart_after_a_kill(page, own, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    assert free > LOG_BYTES + DEAR_ROUNDS * MORE_BYTES + RESERVE_BYTES, f"only {free / 1e9:.0f} GB are free"
    taken, base = restarts(own(Dohle(tmp_path / "dohle")), DEAR_ROUNDS)
    of_kafka, _ = restarts(own(ApacheKafka(tmp_path / "kafka")), 1)
    what = f"P13 restart after SIGKILL with {LOG_BYTES / 1e9:.0f} GB of log; base: reading the last segment"
    page.many.add(what, "s", {"base": base, "dohle": taken, "kafka": of_kafka}, [Goal(1, "base", plus=1)])


def overloaded(peer, **promise):
    """Records come and go: nobody reads them, and what is over 128 MiB of a partition is deleted. Readers read another topic. Returns the memory
    before and at most, and what the clients saw."""
    peer.start()
    idle = resident_mib(peer.pid)
    limits = {"segment_bytes": 64 * MIB, "retention_bytes": 128 * MIB, "file_delete_delay_ms": 1000}
    peer.create("written", 8, **promise, **limits)
    peer.create("read")
    produce(peer, "read", KIB, records=200_000)
    arguments = ["--topic", "written", "--partitions", 8, "--read-topic", "read", "--seconds", OVERLOAD_S]
    seen = load("overload", "--bootstrap-server", peer.address, *arguments)
    most = resident_mib(peer.pid, "VmHWM")
    peer.discard()
    print(peer.name, seen, f"{idle:.0f} MiB before, {most:.0f} MiB at most", flush=True)
    return idle, most, seen


@pytest.mark.timeout(900)
def test_p15_overload(page, own, tmp_path):
    requests_mib, answers_mib, tail_mib = 64, 256, 64
    settings = {"queued_max_request_bytes": requests_mib * MIB, "log_retention_check_interval_ms": 1000}
    idle, most, seen = overloaded(own(Dohle(tmp_path / "dohle", **settings)), flush_policy="commit")
    _, most_of_kafka, seen_by_kafka = overloaded(own(ApacheKafka(tmp_path / "kafka")), flush_messages=1)
    what = f"P15 {OVERLOAD_S} s of overload"
    budget = requests_mib + answers_mib + tail_mib + idle
    memory = {"base": [budget], "dohle": [most], "kafka": [most_of_kafka]}
    page.many.add(f"{what}: most memory; base: what is configured", "MiB", memory, [Goal(1.2, "base")])
    refused = {name for name in seen["errors"] if name not in ALLOWED}
    names = f" ({', '.join(sorted(refused))})" if refused else ""
    errors = {kind: [harm(told)] for kind, told in (("dohle", seen), ("kafka", seen_by_kafka))}
    page.many.add(f"{what}: errors but throttling and timeouts{names}", "", errors, [Goal(0)])
    answered = {kind: [told["answered"] / told["seconds"]] for kind, told in (("dohle", seen), ("kafka", seen_by_kafka))}
    page.many.add(f"{what}: answers", "/s", answered, more_is_better=True)


def harm(seen):
    return sum(count for name, count in seen["errors"].items() if name not in ALLOWED)
