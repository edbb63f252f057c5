"""Three nodes: how long nobody is served when one dies, what replication costs, how fast a node is back. Ours, then Apache Kafka.

Everything is measured on one cluster after the other, since three nodes of Kafka take a machine's memory and some of its time even when idle."""

import contextlib
import json
import subprocess
import time

import pytest
from confluent_kafka import KafkaError, KafkaException

from harness.cluster import DohleCluster, KafkaCluster
from harness.ledger import Writer
from harness.node import BINARY
from peers import Dohle, cpu_s, load, resident_mib
from rounds import DEAR_ROUNDS, QUICK, measured, per_gb, warm_page_cache
from stage import KIB, RECORDS, produce
from tables import Goal

PARTITIONS = 6
PROBES_PER_S = 600
SETTLE_S = 2
IDLE_S = 10 if QUICK else 30
SESSION_S = {"dohle": 3, "kafka": 9}
STEADY_RECORDS_PER_S = 50_000
STEADY_S = 5 if QUICK else 15
MOVED_PARTITIONS = 200 if QUICK else 1000
AFTER_FAULT_S = {"dohle": 15, "kafka": 60}
CREATE_TIMEOUT_S = 60
CREATE_ATTEMPT_S = 5


class Probe(Writer):
    """As impatient as librdkafka can be, so that what is measured is the servers."""

    SETTINGS = {
        "linger.ms": 0, "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 50, "retry.backoff.ms": 10, "retry.backoff.max.ms": 50,
        "topic.metadata.refresh.fast.interval.ms": 10, "socket.timeout.ms": 1000, "request.timeout.ms": 900, "delivery.timeout.ms": 120_000,
        "enable.idempotence": True, "acks": "all",
    }  # fmt: skip


class Peer:
    """A cluster as what is measured."""

    def __init__(self, name, cluster):
        self.name, self.cluster, self.folder = name, cluster, cluster.folder
        self.topics = 0

    @property
    def pids(self):
        return [member.pid for member in self.cluster.members.values()]

    @property
    def address(self):
        return self.cluster.bootstrap

    def topic(self, partitions=PARTITIONS, **how):
        self.topics += 1
        name = f"t{self.topics}"
        self.cluster.create(name, partitions, timeout_s=CREATE_TIMEOUT_S, **how)
        return name

    @contextlib.contextmanager
    def probed(self):
        """A topic with a probe on it; afterwards all runs again and is in sync."""
        topic = self.topic()
        probe = Probe(self.address, topic, range(PARTITIONS), "probe", PROBES_PER_S).start()
        probe.wait_for(2 * PROBES_PER_S)
        try:
            yield topic, probe
        finally:
            probe.stop(flush=False)
            self.cluster.recover()
            self.cluster.wait_in_sync(topic, 120)
            time.sleep(SETTLE_S)

    def served_again_after(self, probe, moment):
        """How long it took until every partition acknowledged a record that was sent after `moment`."""
        deadline = time.monotonic() + AFTER_FAULT_S[self.name]
        while len(first := probe.ledger.first_ack_after(moment)) < PARTITIONS:
            assert time.monotonic() < deadline, f"only {sorted(first)} of {PARTITIONS} partitions took records again"
            time.sleep(0.05)
        return max(first.values()) - moment


def leader_killed(peer):
    with peer.probed() as (topic, probe):
        killed = time.monotonic()
        peer.cluster.leader(topic).kill()
        return peer.served_again_after(probe, killed)


def leader_paused(peer):
    with peer.probed() as (topic, probe):
        paused = time.monotonic()
        peer.cluster.leader(topic).pause()
        return peer.served_again_after(probe, paused)


def leader_stopped(peer):
    with peer.probed() as (topic, probe):
        leader = peer.cluster.leader(topic)
        begin = time.monotonic()
        leader.stop()
        time.sleep(1)
        return max(probe.ledger.longest_silence(begin, time.monotonic()).values())


def controller_killed(peer):
    with peer.probed() as (topic, probe):
        controller = peer.cluster.members[peer.cluster.controller()]
        killed = time.monotonic()
        controller.kill()
        return peer.served_again_after(probe, killed)


def topic_after_controller_killed(peer):
    """From the kill to the answer that a topic is created, with an admin client that was there before."""
    with peer.probed():
        controller = peer.cluster.members[peer.cluster.controller()]
        others = [number for number in peer.cluster.members if number != controller.id]
        peer.cluster.admin(others).list_topics(timeout=5)
        killed = time.monotonic()
        controller.kill()
        peer.topics += 1
        peer.cluster.wait("a topic is created", lambda: created(peer, f"t{peer.topics}", others), CREATE_TIMEOUT_S)
        return time.monotonic() - killed


def created(peer, topic, brokers):
    """Whether `topic` is there now. An attempt that is not answered may have been carried out all the same."""
    try:
        peer.cluster.create(topic, assignment=[brokers], via=brokers, timeout_s=CREATE_ATTEMPT_S)
    except KafkaException as error:
        return error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    return True


def back_in_sync(peer):
    """From the start of a killed node until it is in sync everywhere."""
    with peer.probed() as (topic, _):
        victim = peer.cluster.leader(topic)
        victim.kill()
        peer.cluster.wait_for_leaders(topic, set(peer.cluster.members) - {victim.id})
        time.sleep(SETTLE_S)
        begin = time.monotonic()
        victim.start(wait=False)
        peer.cluster.wait("it is in sync everywhere", lambda: all(len(at.isr) == 3 for at in peer.cluster.partitions(topic).values()), 60)
        return time.monotonic() - begin


def cpu_of_a_gigabyte(peer):
    topic = peer.topic(1)
    warm_page_cache(peer.folder)
    taken = per_gb(measured(peer, lambda: produce(peer, topic, KIB)))
    peer.cluster.admin().delete_topics([topic])[topic].result(CREATE_TIMEOUT_S)
    return taken


def steady_latency(peer):
    """Milliseconds until a record is on all three, at 50 MB/s: the 99th percentile. A follower does not lag longer than that."""
    topic = peer.topic(PARTITIONS)
    arguments = ["--topic", topic, "--rate", STEADY_RECORDS_PER_S, "--seconds", STEADY_S, "--warm-up-seconds", 3]
    report = load("latency", "--bootstrap-server", peer.address, *arguments)
    peer.cluster.admin().delete_topics([topic])[topic].result(CREATE_TIMEOUT_S)
    return report["delivery_us"]["p99"] / 1000


def idle_cpu(peer):
    time.sleep(SETTLE_S)
    begin, used = time.monotonic(), [cpu_s(pid) for pid in peer.pids]
    time.sleep(IDLE_S)
    return sum(cpu_s(pid) - before for pid, before in zip(peer.pids, used)) / (time.monotonic() - begin) * 100


def memory(peer):
    return sum(resident_mib(pid) for pid in peer.pids)


def reassigned(peer):
    """The longest time without an acknowledgement for a producer while all partitions move to other brokers."""
    numbers = sorted(peer.cluster.members)
    topic = peer.topic(assignment=[[numbers[index % 3], numbers[(index + 1) % 3]] for index in range(MOVED_PARTITIONS)])
    moves = [[numbers[(index + 1) % 3], numbers[(index + 2) % 3]] for index in range(MOVED_PARTITIONS)]
    plan = {"version": 1, "partitions": [{"topic": topic, "partition": index, "replicas": to} for index, to in enumerate(moves)]}
    path = peer.folder / "plan.json"
    path.write_text(json.dumps(plan))
    probe = Probe(peer.address, topic, range(0, MOVED_PARTITIONS, MOVED_PARTITIONS // 10), "probe", PROBES_PER_S).start()
    probe.wait_for(2 * PROBES_PER_S)
    begin = time.monotonic()
    words = ["reassign-partitions", "--bootstrap-server", peer.address, "--reassignment-json-file", path, "--execute"]
    subprocess.run([BINARY, *map(str, words)], check=True, capture_output=True, timeout=120)

    def done():
        return all(list(at.replicas) == moves[index] for index, at in peer.cluster.partitions(topic).items())

    peer.cluster.wait("all partitions have moved", done, 300)
    end = time.monotonic()
    time.sleep(1)
    stall = max(probe.ledger.longest_silence(begin, end).values())
    print(f"{peer.name}: {MOVED_PARTITIONS} partitions moved in {end - begin:.1f} s", flush=True)
    probe.stop(flush=False)
    return stall


def all_stopped(peer):
    took = peer.cluster.stop()
    peer.cluster.start()
    return took


# Text, unit, what measures it, how often, goals.
MEASURES = {
    "idle_cpu": ("idle CPU of three nodes", "% of a core", idle_cpu, 1, [Goal(1)]),
    "memory": ("memory of three idle nodes", "MiB", memory, 1, [Goal(120)]),
    "leader_killed": ("leader killed with -9: until all its partitions take records", "s", leader_killed, DEAR_ROUNDS, [Goal(0.5)]),
    "leader_paused": ("leader paused: until all its partitions take records", "s", leader_paused, 1, [Goal(SESSION_S["dohle"] + 1)]),
    "leader_stopped": ("SIGTERM of a leader: longest gap", "s", leader_stopped, DEAR_ROUNDS, [Goal(0.05)]),
    "controller_killed": ("active controller killed: until all partitions take records", "s", controller_killed, DEAR_ROUNDS, [Goal(1.5)]),
    "create_topic": ("active controller killed: until a topic is created", "s", topic_after_controller_killed, DEAR_ROUNDS, [Goal(1.5)]),
    "back_in_sync": ("killed node started again: until it is in sync everywhere", "s", back_in_sync, DEAR_ROUNDS, [Goal(2)]),
    "steady_latency": ("1 KiB at 50 MB/s: until on all three, p99", "ms", steady_latency, 1, [Goal(100)]),
    "cpu": (
        "produce 1 KiB: CPU of the three per GB of payload; base: of one node",
        "s/GB", cpu_of_a_gigabyte, DEAR_ROUNDS, [Goal(4, "base"), Goal(0.4, "kafka")],
    ),  # fmt: skip
    "reassigned": (f"{MOVED_PARTITIONS:,} partitions reassigned: longest gap", "s", reassigned, 1, [Goal(1)]),
    "all_stopped": ("SIGTERM to all three at once: until all are gone", "s", all_stopped, 1, [Goal(5)]),
}


def measure_all(peer):
    """Name -> values, or what went wrong: one failure must not cost the other measures."""
    found = {}
    for name, (text, unit, measure, rounds, _) in MEASURES.items():
        try:
            found[name] = [measure(peer) for _ in range(rounds)]
            print(f"{peer.name}: {text}: {found[name]} {unit}", flush=True)
        except Exception as error:  # Whatever it is, its row shows it.
            found[name] = error
            peer.cluster.recover()
    return found


def one_node(folder):
    peer = Dohle(folder).start()
    try:
        values = []
        for number in range(DEAR_ROUNDS):
            peer.create(f"t{number}")
            warm_page_cache(peer.folder)
            values.append(per_gb(measured(peer, lambda: produce(peer, f"t{number}", KIB))))
        return values
    finally:
        peer.discard()


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    found = {"base": {"cpu": one_node(tmp_path_factory.mktemp("one"))}}
    for name, make in (("dohle", DohleCluster), ("kafka", KafkaCluster)):
        cluster = make(tmp_path_factory.mktemp(name))
        try:
            peer = Peer(name, cluster.start())
            if name == "kafka":
                # Its compiler has to warm up.
                produce(peer, peer.topic(1), KIB, records=2 * RECORDS[KIB])
            found[name] = measure_all(peer)
        finally:
            cluster.kill()
    return found


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", MEASURES)
def test_three_nodes(taken, page, name):
    text, unit, _, _, goals = MEASURES[name]
    values = {kind: of_kind[name] for kind, of_kind in taken.items() if isinstance(of_kind.get(name), list)}
    page.three.add(text, unit, values, goals)
    for kind in ("dohle", "kafka"):
        if isinstance(taken[kind].get(name), Exception):
            raise taken[kind][name]
