"""Interleaved rounds: A, B, C, A, B, C, ..., so that a slow hour of the machine meets all of them; disturbed rounds are run again."""

import json
import os
import subprocess
import time

from peers import RELEASE, TICKS_PER_S, cpu_s

ROUNDS = int(os.environ.get("DOHLE_BENCH_ROUNDS", "5"))
# Processor time of others, as a share of the machine, above which a measurement counts for nothing.
FOREIGN_SHARE_MAX = 0.15
ATTEMPTS = 3
CORES = os.cpu_count()


def busy_s():
    """Processor time that anybody has used so far."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, open("/proc/stat").readline().split()[1:])
    return (user + nice + system + irq + softirq) / TICKS_PER_S


def load(*arguments, **settings):
    """Runs the load program, and returns what it reports."""
    words = [word for key, value in settings.items() for word in ("--set", f"{key.replace('_', '.')}={value}")]
    finished = subprocess.run([RELEASE / "dohle-load", *map(str, arguments), *words], capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def measured(peer, work):
    """What `work` reports, with the processor time of the broker, once nobody else took much of the machine."""
    for attempt in range(ATTEMPTS):
        broker, busy, begin = cpu_s(peer.pid), busy_s(), time.monotonic()
        report = work()
        report["broker_cpu_s"] = cpu_s(peer.pid) - broker
        ours = report["broker_cpu_s"] + report.get("client_cpu_s", 0)
        report["foreign"] = max(0.0, busy_s() - busy - ours) / ((time.monotonic() - begin) * CORES)
        if report["foreign"] <= FOREIGN_SHARE_MAX or "client_cpu_s" not in report:
            break
        print(f"{peer.name}: others took {report['foreign']:.0%} of the machine; attempt {attempt + 1} of {ATTEMPTS}")
    return report


def per_gb(report, key="broker_cpu_s"):
    return report[key] / (report["bytes"] / 1e9)


def rate_mb(report):
    return report["bytes"] / 1e6 / report["seconds"]


def warm_page_cache(folder, size=1 << 30):
    """Fresh guest memory is dear on a virtual machine: touch and free as much as the run will use."""
    path = folder / "warm"
    block = b"\0" * (1 << 20)
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(block)
    path.unlink()
