"""What is measured counts only if nobody else took much of the machine meanwhile; otherwise it is measured again."""

import os
import time

from peers import TICKS_PER_S, cpu_s, load

__all__ = ["load"]
QUICK = os.environ.get("DOHLE_BENCH_QUICK") == "1"
ROUNDS = int(os.environ.get("DOHLE_BENCH_ROUNDS", "1" if QUICK else "5"))
# Of what takes long.
DEAR_ROUNDS = min(ROUNDS, 3)
# Processor time of others, as a share of the machine, above which a measurement counts for nothing.
FOREIGN_SHARE_MAX = 0.10
ATTEMPTS = 3
# On a machine that is busy all the time, measuring again does not help.
AGAIN_MAX = 0 if QUICK else 40
CORES = os.cpu_count()
KERNEL_THREADS = 2


class Disturbances:
    measured = 0
    voided = 0
    # Counted although others took more than they should.
    kept = 0


def busy_s():
    """Processor time that anybody has used so far."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, open("/proc/stat").readline().split()[1:])
    return (user + nice + system + irq + softirq) / TICKS_PER_S


def broker_s(peer):
    """Processor time so far of the broker, or of all brokers of a cluster."""
    return sum(cpu_s(pid) for pid in pids(peer))


def pids(peer):
    return getattr(peer, "pids", None) or [peer.pid]


def known_s(peer):
    """Processor time so far of the broker, of this program and all that it has started, and of the kernel's own threads."""
    parents, taken = {}, {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = open(f"/proc/{name}/stat").read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(name)] = int(fields[1])
            taken[int(name)] = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    roots = {*pids(peer), os.getpid(), KERNEL_THREADS}
    total = 0
    for pid in taken:
        ancestor = pid
        while ancestor not in roots and ancestor in parents:
            ancestor = parents[ancestor]
        total += taken[pid] if ancestor in roots else 0
    ended = os.times()
    return total + ended.children_user + ended.children_system


def measured(peer, work):
    """What `work` reports, with the processor time of the broker."""
    for attempt in range(ATTEMPTS):
        broker, known, busy, begin = broker_s(peer), known_s(peer), busy_s(), time.monotonic()
        report = work()
        report["broker_cpu_s"] = broker_s(peer) - broker
        foreign = busy_s() - busy - (known_s(peer) - known)
        report["foreign"] = max(0.0, foreign) / ((time.monotonic() - begin) * CORES)
        Disturbances.measured += 1
        if report["foreign"] <= FOREIGN_SHARE_MAX:
            return report
        print(f"{peer.name}: others took {report['foreign']:.0%} of the machine", flush=True)
        if attempt + 1 < ATTEMPTS and Disturbances.voided < AGAIN_MAX:
            Disturbances.voided += 1
        else:
            break
    Disturbances.kept += 1
    return report


def per_gb(report, key="broker_cpu_s"):
    return report[key] / (report["bytes"] / 1e9)


def rate_mb(report):
    return report["bytes"] / 1e6 / report["seconds"]


def column(reports, value):
    """`value` of every report, by the kind of peer."""
    return {kind: [value(report) for report in of_kind] for kind, of_kind in reports.items()}


def warm_page_cache(folder, size=1 << 30):
    """Fresh guest memory is dear on a virtual machine: touch and free as much as the run will use."""
    path = folder / "warm"
    block = b"\0" * (1 << 20)
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(block)
    path.unlink()
