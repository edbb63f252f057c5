"""Disks of a cluster are slow, full, broken, or lose what was not synced: rows F10 to F13 of docs/reliability.md."""

import time

import pytest

from harness.cluster import DohleCluster
from harness.node import answers
from harness.power import CAN_BE_CUT, PowerCutDisk
from harness.stand import Stand, chance
from harness.traced import Injected
from harness.wire import Connection

pytestmark = pytest.mark.skipif(not CAN_BE_CUT, reason="mounting a loop device needs root")

SMALL_DISK_BYTES = 96 << 20


@pytest.fixture
def rounds(request):
    return range(request.config.getoption("--rounds"))


def with_disks(tmp_path, own, numbers=(1, 2, 3), size=512 << 20, **settings):
    """A cluster in which some nodes have a disk of their own."""
    cluster, disks = DohleCluster(tmp_path / "cluster", **settings), {}
    for number in numbers:
        disks[number] = own(PowerCutDisk(tmp_path / f"disk{number}", size).mount())
        cluster.members[number].data = disks[number].mount_point / "data"
        cluster.write_properties(cluster.members[number])
    return own(cluster).start(), disks


@pytest.mark.long
def test_f10_one_disk_is_slow(tmp_path, own, rounds):
    """Half a second for each sync of one follower: it leaves the set in sync, and the others go on without it."""
    cluster = own(DohleCluster(tmp_path, replica_lag_time_max_ms=2000)).start()
    stand = Stand(cluster, flush_policy="commit")
    for _ in rounds:
        slow = cluster.members[next(number for number in cluster.members if number != cluster.controller())]
        injected = own(Injected(slow.pid, "fdatasync,fsync:delay_enter=500000"))
        time.sleep(8)
        stand.flow()
        injected.kill()
        stand.flow()
        cluster.wait_in_sync("t", 60)
    stand.judge()


@pytest.mark.long
def test_f11_one_disk_is_full(tmp_path, own, rounds):
    """What it cannot keep, others keep; started again with room, it catches up."""
    cluster, disks = with_disks(tmp_path, own, numbers=[2], size=SMALL_DISK_BYTES)
    stand = Stand(cluster)
    for _ in rounds:
        filler = disks[2].fill()
        time.sleep(5)
        stand.flow(timeout_s=90)
        # Its metadata log may have found no room either, and then its process has ended, and says why.
        full = cluster.members[2]
        status = full.process.poll()
        assert status is None or status == 1 and "could not follow the metadata" in full.log(), f"node 2 ended with {status}:\n{full.log()}"
        # Started again with no room still, it serves, or ends again, but does not wait for what it will never hear.
        full.kill()
        full.start(wait=False)
        cluster.wait("node 2 serves, or has ended", lambda: answers(full.port) or full.process.poll() is not None, 60)
        filler.unlink()
        full.kill()
        full.start()
        cluster.wait_in_sync("t", 60)
        stand.flow()
    stand.judge()


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param("fdatasync,fsync,syncfs", id="sync"),
        pytest.param("write,pwrite64,writev,pwritev,pwritev2", id="write", marks=pytest.mark.long),
    ],
)
def test_f12_one_disk_is_broken(tmp_path, own, rounds, calls):
    """Its node gives its partitions up, or ends; nothing that it acknowledged is lost, and a restart on a whole disk heals all."""
    cluster, _ = with_disks(tmp_path, own, numbers=[2])
    stand = Stand(cluster, flush_policy="commit")
    for _ in rounds:
        victim = cluster.members[2]
        logs = list(victim.data.glob("t-*/*.log"))
        injected = own(Injected(victim.pid, f"{calls}:error=EIO", paths=logs))
        time.sleep(4)
        stand.flow(timeout_s=90)
        injected.kill()
        victim.kill()
        victim.start()
        cluster.wait_in_sync("t", 60)
        stand.flow()
    stand.judge()


def test_f13_power_fails_on_one(tmp_path, own, rounds, request):
    """The default policy of replicated topics: records lie in the memory of several machines, and one of them loses its own."""
    cluster, disks = with_disks(tmp_path, own)
    stand, dice = Stand(cluster), chance(request)
    for _ in range(2 * len(rounds)):
        number = dice.choice(list(cluster.members))
        disks[number].cut()
        cluster.members[number].kill()
        disks[number].remount()
        stand.flow()
        cluster.members[number].start()
        stand.flow()
        cluster.wait_in_sync("t", 60)
    stand.judge()


def test_f13_power_fails_on_all_and_what_was_synced_is_there(tmp_path, own, rounds, request):
    """`flush.policy=commit`: every acknowledged record is on the disks of all that were in sync."""
    cluster, disks = with_disks(tmp_path, own)
    stand, dice = Stand(cluster, flush_policy="commit"), chance(request)
    for _ in range(2 * len(rounds)):
        time.sleep(dice.uniform(0.1, 0.5))
        # While ext4 gives up it may report a sync that it did not make: from here on no acknowledgement counts.
        for member in cluster.members.values():
            member.pause()
        for disk in disks.values():
            disk.cut()
        cluster.kill()
        for disk in disks.values():
            disk.remount()
        for member in cluster.members.values():
            member.start(wait=False)
        for member in cluster.members.values():
            member.wait_until_ready()
        stand.flow(timeout_s=90)
        cluster.wait_in_sync("t", 60)
    stand.judge()


def test_f13_power_fails_on_all_and_a_loss_is_reported(tmp_path, own):
    """The default policy: a tail may be gone with all machines at once, and then a partition is marked, or stays without a leader."""
    cluster, disks = with_disks(tmp_path, own)
    cluster.create("t", 1, flush_policy="os")
    connection = Connection(cluster.leader("t"))
    for number in range(200):
        assert connection.produce("t", 0, b"p.%d" % number)[0] == 0
    for member in cluster.members.values():
        member.pause()
    for disk in disks.values():
        disk.cut()
    cluster.kill()
    for disk in disks.values():
        disk.remount()
    for member in cluster.members.values():
        member.start(wait=False)
    for member in cluster.members.values():
        member.wait_until_ready()
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and cluster.partitions("t")[0].leader < 0:
        time.sleep(0.1)
    kept = sum(path.stat().st_size for path in (cluster.members[1].data / "t-0").glob("*.log"))
    if cluster.partitions("t")[0].leader >= 0 and kept == 0:
        said = cluster.logs()
        assert "acknowledged records may be missing" in said, f"records are gone, and nobody says so\n{said}"
