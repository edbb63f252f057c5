"""Processes of a cluster are killed and paused under load, and a clock jumps. Rows F2 to F6 and F17 of docs/reliability.md; F1 are the
leader kills of tests/cluster."""

import ctypes.util
import glob
import itertools
import time

import pytest
from confluent_kafka.admin import AdminClient

from harness.cluster import WAIT_S, DohleCluster
from harness.group_history import check as check_group
from harness.group_member import Confluent
from harness.ledger import read_all
from harness.stand import SESSION_S, SLACK_S, Stand, chance

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), ctypes.util.find_library("faketime"))
CREATE_MAX_S = 5


@pytest.fixture
def cluster(tmp_path, own):
    return own(DohleCluster(tmp_path)).start()


@pytest.fixture
def rounds(request):
    return range(request.config.getoption("--rounds"))


def test_f2_followers_die_and_come_back_at_any_time(cluster, rounds, request):
    stand, dice = Stand(cluster), chance(request)
    for _ in rounds:
        victim = cluster.members[dice.choice([number for number in cluster.members if number != cluster.leader("t").id])]
        victim.kill()
        killed = time.monotonic()
        stand.flow()
        assert stand.gap_since(killed) < SESSION_S + SLACK_S
        time.sleep(dice.uniform(0, 3))
        victim.start()
        stand.flow()
        cluster.wait_in_sync("t")
    stand.judge()


def test_f3_the_active_controller_dies(cluster, rounds):
    """Also where it leads partitions. What was created is known to all that live, and to the dead one when it is back."""
    stand = Stand(cluster)
    for number in rounds:
        victim = cluster.members[cluster.controller()]
        victim.kill()
        killed = time.monotonic()
        cluster.create(f"after-{number}", 1, assignment=[[other for other in cluster.members if other != victim.id]])
        created = time.monotonic() - killed
        followed = f"node {victim.id}, the controller, has ended: this node stands for election"
        assert any(followed in member.log() for member in cluster.running), "the lease of a dead controller was waited for"
        stand.flow()
        print(f"a topic was created {created:.2f} s after the controller died; all partitions took records after {stand.gap_since(killed):.2f} s")
        assert created < SESSION_S + CREATE_MAX_S
        victim.start()
        cluster.wait_in_sync("t")
        assert cluster.partitions(f"after-{number}", [victim.id])
    stand.judge()


def test_f4_all_die_and_come_back_in_every_order(cluster, rounds, request):
    stand, dice = Stand(cluster), chance(request)
    orders = list(itertools.permutations(cluster.members))
    for number in range(2 * len(rounds)):
        order = orders[number] if number < len(orders) else dice.choice(orders)
        time.sleep(dice.uniform(0.1, 0.5))
        cluster.kill()
        for member in order:
            cluster.members[member].start(wait=False)
            time.sleep(dice.uniform(0, 0.5))
        for member in cluster.members.values():
            member.wait_until_ready()
        stand.flow(timeout_s=90)
        cluster.wait_in_sync("t")
    stand.judge()


def test_f5_a_leader_sleeps_longer_than_its_session(cluster, rounds, request):
    stand, dice = Stand(cluster), chance(request)
    for _ in rounds:
        sleeper = cluster.leader("t", dice.randrange(stand.count))
        sleeper.pause()
        slept = time.monotonic()
        stand.flow()
        gap = stand.gap_since(slept)
        print(f"all partitions took records again {gap:.2f} s after the leader fell asleep")
        assert gap < SESSION_S + SLACK_S
        time.sleep(dice.uniform(0, 3))
        sleeper.go_on()
        stand.flow()
        cluster.wait_in_sync("t")
    stand.judge()


@pytest.mark.long
def test_f5_the_active_controller_sleeps(cluster, rounds):
    stand = Stand(cluster)
    for _ in rounds:
        sleeper = cluster.members[cluster.controller()]
        sleeper.pause()
        stand.flow()
        time.sleep(SESSION_S)
        sleeper.go_on()
        stand.flow()
        cluster.wait_in_sync("t")
    stand.judge()


@pytest.mark.long
def test_f6_the_coordinator_of_a_group_sleeps(cluster, tmp_path, own, rounds):
    """The group goes on elsewhere; nobody misses a record, and no partition has two readers in one generation."""
    stand = Stand(cluster)
    members = [own(Confluent(tmp_path, cluster.bootstrap, "t", "group", 6000)) for _ in range(2)]
    cluster.wait("both read", lambda: all(member.held() for member in members) and all(member.records() for member in members))
    for _ in rounds:
        # A client that was asked before goes on asking where the coordinator was then.
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
        described = cluster.wait("the group is described", lambda: admin.describe_consumer_groups(["group"])["group"].result(WAIT_S))
        sleeper = cluster.members[described.coordinator.id]
        sleeper.pause()
        stand.flow()
        time.sleep(SESSION_S)
        sleeper.go_on()
        stand.flow()
        cluster.wait_in_sync("t")
    stand.judge()
    read = read_all(cluster.bootstrap, "t", stand.count)

    def all_read():
        return len({(record.partition, record.offset) for member in members for record in member.records()}) == len(read)

    cluster.wait("the group has read all", all_read, 60)
    for member in members:
        member.end()
    for member in members:
        member.wait()
    assert [member.fault() for member in members] == [None, None]
    found = check_group({member.name: list(member.events()) for member in members}, read)
    assert not found, found


@pytest.mark.long
def test_f17_a_clock_jumps(tmp_path, own, rounds):
    """By an hour, there and back, on one node: no leader changes, since time that counts is measured by a clock that does not jump."""
    if not FAKETIME:
        pytest.skip("libfaketime is not installed")
    jump = tmp_path / "jump"
    jump.write_text("+0")
    cluster = own(DohleCluster(tmp_path / "cluster"))
    odd = cluster.members[2]
    odd.environment = {
        "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(jump), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_CACHE_DURATION": "1",
    }  # fmt: skip
    cluster.start()
    stand = Stand(cluster)
    before = {number: at.leader for number, at in cluster.partitions("t").items()}
    for _ in rounds:
        for offset in ("+1h", "-1h", "+0"):
            jump.write_text(offset)
            time.sleep(SESSION_S + 1)
            stand.flow()
    assert {number: at.leader for number, at in cluster.partitions("t").items()} == before
    stand.judge()
