"""The network between nodes is cut, each node in a namespace of its own: rows F7 to F9 of docs/reliability.md.

Packets vanish without an error, in one direction or both (harness/network.py). Loss of single packets, delay and reordering need
tools that a plain kernel does not have; short cuts at random moments stand for them here."""

import time

import pytest

from harness.cluster import DohleCluster
from harness.network import CAN_BE_MADE, CLIENTS, Network
from harness.stand import SESSION_S, SLACK_S, Stand, chance
from harness.wire import Connection

pytestmark = pytest.mark.skipif(not CAN_BE_MADE, reason="network namespaces need root")

CUT_S = SESSION_S + 3
ERRORS_OF_A_MINORITY = {6, 7, 19, 20}


@pytest.fixture
def network(own):
    return own(Network(3))


@pytest.fixture
def cluster(tmp_path, own, network):
    return own(DohleCluster(tmp_path, network=network)).start()


@pytest.fixture
def rounds(request):
    return range(request.config.getoption("--rounds"))


def others(cluster, *numbers):
    return [number for number in cluster.members if number not in numbers]


def test_the_cuts_cut(cluster, network):
    """The control: a cluster of which every node is alone elects nobody and acknowledges nothing."""
    cluster.create("control", 1)
    leader = cluster.leader("control")
    connection = Connection(leader)
    assert connection.produce("control", 0, b"before.0")[0] == 0
    for node in network.nodes:
        network.isolate(node)
    error, _ = connection.produce("control", 0, b"alone.0", timeout_ms=3000)
    assert error in ERRORS_OF_A_MINORITY, f"acks=all was answered with {error}"
    network.heal()
    cluster.wait_in_sync("control")
    assert Connection(cluster.leader("control")).produce("control", 0, b"after.0")[0] == 0


def test_f7_a_leader_alone_acknowledges_nothing(cluster, network, rounds, request):
    """Clients reach it still: what they ask of it with acks=all, it cannot promise."""
    stand, dice = Stand(cluster), chance(request)
    for number in rounds:
        alone = cluster.leader("t", dice.randrange(stand.count))
        partition = next(number for number, at in cluster.partitions("t").items() if at.leader == alone.id)
        connection = Connection(alone)
        network.isolate(alone.id)
        cut = time.monotonic()
        error, _ = connection.produce("t", partition, b"alone%d.0" % number, timeout_ms=CUT_S * 1000)
        assert error in ERRORS_OF_A_MINORITY, f"the leader that nobody hears answered acks=all with {error}"
        rest = others(cluster, alone.id)
        cluster.wait_for_leaders("t", rest, via=rest)
        network.isolate(alone.id, from_clients=True)
        stand.flow()
        print(f"all partitions took records again {stand.gap_since(cut):.2f} s after the leader was cut off")
        network.heal()
        stand.flow()
        cluster.wait_in_sync("t")
    stand.judge()


@pytest.mark.parametrize("mute", [pytest.param(True, id="mute"), pytest.param(False, id="deaf", marks=pytest.mark.long)])
def test_f7_a_leader_that_is_heard_or_hears_only(cluster, network, rounds, request, mute):
    """One direction is cut, to nodes and clients alike."""
    stand, dice = Stand(cluster), chance(request)
    for _ in rounds:
        odd = cluster.leader("t", dice.randrange(stand.count))
        cut = time.monotonic()
        for other in [*others(cluster, odd.id), CLIENTS]:
            network.cut(odd.id, other) if mute else network.cut(other, odd.id)
        stand.flow()
        gap = stand.gap_since(cut)
        print(f"all partitions took records again after {gap:.2f} s")
        assert gap < SESSION_S + SLACK_S + 4
        network.heal()
        stand.flow()
        cluster.wait_in_sync("t")
    stand.judge()


@pytest.mark.long
def test_f7_two_that_see_each_other_only_through_the_third(cluster, network, rounds):
    """A - B - C: partitions go on with what the controller can see; whatever it decides, nothing is lost."""
    stand = Stand(cluster)
    for _ in rounds:
        middle = cluster.controller()
        one, other = others(cluster, middle)
        network.part([one], [other])
        time.sleep(CUT_S)
        network.heal()
        stand.flow()
        cluster.wait_in_sync("t", 60)
    stand.judge()


def test_f7_the_active_controller_is_cut_off(cluster, network, rounds):
    stand = Stand(cluster)
    for number in rounds:
        alone = cluster.controller()
        rest = others(cluster, alone)
        network.isolate(alone, from_clients=True)
        cut = time.monotonic()
        assert cluster.wait("the others have a controller", lambda: cluster.controller(rest) in rest)
        name = f"meanwhile-{number}"
        cluster.create(name, assignment=[rest], via=rest)
        print(f"a topic was created {time.monotonic() - cut:.2f} s after the controller was cut off")
        stand.flow()
        network.heal()
        stand.flow()
        cluster.wait_in_sync("t")
        assert cluster.partitions(name, [alone]), "it learned what happened without it"
    stand.judge()


@pytest.mark.long
def test_f8_a_client_that_does_not_reach_a_leader(cluster, network, rounds, request):
    """Servers see each other, so nothing moves: the client tries again until the way is open, and nothing is there twice."""
    stand, dice = Stand(cluster), chance(request)
    for _ in rounds:
        leader = cluster.leader("t", dice.randrange(stand.count))
        network.part([leader.id], [CLIENTS])
        time.sleep(CUT_S)
        network.heal()
        stand.flow()
    stand.judge()


def test_f9_ways_that_come_and_go(cluster, network, rounds, request):
    """Short cuts of single directions, anywhere, one after the other."""
    stand, dice = Stand(cluster), chance(request)
    for _ in rounds:
        ends = time.monotonic() + 10
        while time.monotonic() < ends:
            sender, receiver = dice.sample([*network.nodes, CLIENTS], 2)
            network.cut(sender, receiver)
            time.sleep(dice.uniform(0.05, 0.8))
            if dice.random() < 0.7:
                network.heal()
        network.heal()
        stand.flow()
        cluster.wait_in_sync("t")
    stand.judge()
