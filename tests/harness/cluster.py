"""Several processes as one cluster on loopback, or in network namespaces: killed, paused, stopped and started one by one.

`make_cluster` gives ours, or with `DOHLE_TEST_SERVER=kafka` a real Apache Kafka of three nodes as the control of a suite."""

import hashlib
import itertools
import os
import pathlib
import re
import signal
import subprocess
import time
from typing import NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from harness.kafka import Kafka
from harness.load import QUIET
from harness.node import BINARY, START_TIMEOUT_S, answers, dohle, free_port

IS_CONTROL = os.environ.get("DOHLE_TEST_SERVER", "dohle") == "kafka"
WAIT_S = 90 if IS_CONTROL else 30
STOP_TIMEOUT_S = 30
ANSWER_S = 10
POLL_S = 0.02
LOG_TAIL = 6000


class Partition(NamedTuple):
    leader: int
    replicas: tuple
    isr: frozenset


class Member:
    """One process. `command` starts it in `folder`; `wrapper` stands before that."""

    def __init__(self, number, folder, host, port, command, data):
        self.id, self.folder, self.host, self.port, self.command, self.data = number, folder, host, port, command, data
        self.wrapper, self.environment = [], {}
        self.process = None
        self.is_paused = False

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def runs(self):
        return self.process is not None and self.process.poll() is None and not self.is_paused

    def start(self, wait=True):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "log", "ab") as log:
            command = list(map(str, [*self.wrapper, *self.command]))
            environment = {**os.environ, **self.environment}
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self):
        deadline = time.monotonic() + max(START_TIMEOUT_S, WAIT_S)
        while not answers(self.port, self.host):
            status = self.process.poll()
            assert status is None, f"node {self.id} ended with {status}:\n{self.log()}"
            assert time.monotonic() < deadline, f"node {self.id} does not answer:\n{self.log()}"
            time.sleep(POLL_S)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.is_paused = False

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """SIGTERM, then the exit status."""
        self.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def pause(self):
        """Returns when all of its threads have stopped."""
        self.process.send_signal(signal.SIGSTOP)
        self.is_paused = True
        threads = pathlib.Path(f"/proc/{self.pid}/task")
        while any((thread / "stat").read_text().rpartition(")")[2].split()[0] != "T" for thread in threads.iterdir()):
            time.sleep(POLL_S)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def log(self):
        return (self.folder / "log").read_text(errors="replace")[-LOG_TAIL:]


class Cluster:
    """What tests ask of a cluster, whoever made it. `members` are the brokers, by id; `controllers` those that are nothing else."""

    def __init__(self):
        self.members, self.controllers = {}, {}
        self._admins = {}

    def all(self):
        return [*self.controllers.values(), *self.members.values()]

    @property
    def running(self):
        return [member for member in self.members.values() if member.runs]

    @property
    def bootstrap(self):
        return ",".join(member.address for member in self.members.values())

    # So that whoever expects one node may get three. With as many replicas as brokers all have the same data.
    address = bootstrap

    @property
    def data(self):
        return self.members[min(self.members)].data

    def start(self):
        for member in self.all():
            member.start(wait=False)
        for member in self.members.values():
            member.wait_until_ready()
        self.wait("all brokers are known", lambda: len(self.admin().list_topics(timeout=5).brokers) == len(self.members))
        return self

    def restart_after_kill(self):
        """Kills a broker, the next one each time, and starts it again."""
        self._turn = getattr(self, "_turn", itertools.cycle(sorted(self.members)))
        member = self.members[next(self._turn)]
        member.kill()
        member.start()
        return self

    def recover(self):
        """Makes all processes run that do not."""
        for member in self.all():
            if member.is_paused:
                member.go_on()
            elif not member.runs:
                member.start(wait=False)
        for member in self.members.values():
            member.wait_until_ready()

    def kill(self):
        for member in self.all():
            member.kill()

    def stop(self):
        """SIGTERM to all at once; the time until the last is gone."""
        begin = time.monotonic()
        for member in self.all():
            member.terminate()
        statuses = [member.process.wait(STOP_TIMEOUT_S) for member in self.all()]
        assert set(statuses) <= {0, 143}, f"the nodes ended with {statuses}:\n{self.logs()}"
        return time.monotonic() - begin

    def logs(self):
        return "\n".join(f"--- node {member.id}\n{member.log()}" for member in self.all())

    def admin(self, via=None):
        """An admin client of the brokers that run, or of those in `via`."""
        asked = tuple(via or sorted(member.id for member in self.running))
        if asked not in self._admins:
            addresses = ",".join(self.members[number].address for number in asked)
            self._admins[asked] = AdminClient({"bootstrap.servers": addresses, "reconnect.backoff.ms": 50, "socket.timeout.ms": 5000, **QUIET})
        return self._admins[asked]

    def create(self, topic, partitions=1, replicas=3, assignment=None, timeout_s=WAIT_S, via=None, **config):
        """Returns once all partitions have all their replicas in sync. `assignment` says which brokers, the preferred leader first;
        `via` names those that are asked."""
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        how = {"replica_assignment": assignment} if assignment else {"replication_factor": replicas}
        new = NewTopic(topic, num_partitions=len(assignment) if assignment else partitions, config=settings, **how)
        # The broker has `timeout_s`; what it says then has to arrive.
        asked = self.admin(via).create_topics([new], operation_timeout=timeout_s, request_timeout=timeout_s + ANSWER_S)
        asked[topic].result(timeout_s + 2 * ANSWER_S)
        self.wait_in_sync(topic, via=via)

    def partitions(self, topic, via=None):
        """Partition -> leader (-1 for none), replicas, ISR, as a broker knows them; nothing if the topic is unknown there."""
        told = self.admin(via).list_topics(topic, timeout=2).topics[topic].partitions
        return {number: Partition(at.leader, tuple(at.replicas), frozenset(at.isrs)) for number, at in told.items()}

    def leader(self, topic, partition=0):
        return self.members[self.partitions(topic)[partition].leader]

    def wait(self, what, reached, timeout_s=None):
        """Waits until `reached()` is true; returns what it gave. A broker that does not answer is no answer."""
        begin = time.monotonic()
        while True:
            try:
                if found := reached():
                    return found
                seen = found
            except (KafkaException, KeyError, AssertionError) as error:
                seen = error
            if time.monotonic() - begin > (timeout_s or WAIT_S):
                raise AssertionError(f"not within {timeout_s or WAIT_S} s: {what}; last: {seen!r}\n{self.logs()}")
            time.sleep(POLL_S)

    def wait_in_sync(self, topic, timeout_s=None, via=None):
        """Until every replica of every partition is in sync, as all brokers (or those in `via`) know it; returns the time that it took."""
        begin = time.monotonic()

        def in_sync():
            known = [self.partitions(topic, [number]) for number in via or [member.id for member in self.running]]
            return all(of_one and all(at.leader >= 0 and at.isr == set(at.replicas) for at in of_one.values()) for of_one in known)

        self.wait(f"all replicas of {topic} are in sync", in_sync, timeout_s)
        return time.monotonic() - begin

    def wait_for_leaders(self, topic, among=None, timeout_s=None, via=None):
        """Until every partition has a leader (one of `among`), as any broker or those in `via` know it; returns partition -> Partition."""

        def led():
            found = self.partitions(topic, via)
            good = found and all(at.leader in (among or self.members) for at in found.values())
            return found if good else None

        return self.wait(f"{topic} has leaders", led, timeout_s)

    def controller(self, via=None):
        """The id of the active controller, as brokers (those in `via`) know it."""
        return self.wait("there is an active controller", lambda: self._controller(via))

    def _controller(self, via):
        addresses = ",".join(member.address for member in self.running if not via or member.id in via)
        shown = dohle("metadata-quorum", "--bootstrap-server", addresses, "describe", "--status", check=False, timeout=20)
        found = re.search(r"LeaderId:\s+(\d+)", shown.stdout)
        alive = {member.id for member in self.all() if member.runs}
        return int(found[1]) if found and int(found[1]) in alive else None

    def digests(self, topic, partition):
        """Broker -> a checksum over the bytes of its replica. Nothing may have been deleted, and nobody may be writing."""
        found = {}
        for number, member in self.members.items():
            digest = hashlib.sha256()
            for segment in sorted((member.data / f"{topic}-{partition}").glob("*.log")):
                digest.update(segment.read_bytes())
            found[number] = digest.hexdigest()
        return found

    def check_identical(self, topic):
        """All replicas of all partitions have the same bytes, once what is written has reached them."""
        for partition, at in self.wait_for_leaders(topic).items():
            self.wait(f"the replicas of {topic}-{partition} are identical", lambda: self._same(topic, partition, at.replicas))

    def _same(self, topic, partition, replicas):
        digests = self.digests(topic, partition)
        return len({digests[number] for number in replicas}) == 1


class DohleCluster(Cluster):
    """`brokers` processes that are both, or with `controllers` so many of each. `settings` are server properties of all.

    `network` (harness/network.py) gives each broker a namespace and an address of its own."""

    def __init__(self, folder, brokers=3, controllers=0, network=None, **settings):
        super().__init__()
        self.folder, self.network = pathlib.Path(folder), network
        self.settings = {key.replace("_", "."): value for key, value in settings.items()}
        voters = range(1, (controllers or brokers) + 1)
        self._quorum_ports = {number: free_port() for number in voters}
        self.voters = ",".join(f"{number}@{self.host(number)}:{port}" for number, port in self._quorum_ports.items())
        own = range(controllers + 1, controllers + brokers + 1)
        self.members = {number: self.member(number, "broker" if controllers else "broker,controller") for number in own}
        self.controllers = {number: self.member(number, "controller") for number in voters} if controllers else {}

    def host(self, number):
        return self.network.address(number) if self.network else "127.0.0.1"

    def member(self, number, roles):
        folder, host = self.folder / f"node{number}", self.host(number)
        port = self._quorum_ports[number] if roles == "controller" else free_port()
        member = Member(number, folder, host, port, [BINARY, "start", folder / "server.properties"], folder / "data")
        member.roles = roles
        if self.network:
            member.wrapper = self.network.wrapper(number)
        self.write_properties(member)
        return member

    def write_properties(self, member, **more):
        """The file that the node is started with; `data` may have moved."""
        broker, controller = f"PLAINTEXT://{member.address}", f"CONTROLLER://{member.host}:{self._quorum_ports.get(member.id)}"
        listeners = {"broker": [broker], "controller": [controller], "broker,controller": [broker, controller]}[member.roles]
        properties = {
            "process.roles": member.roles,
            "node.id": member.id,
            "controller.quorum.voters": self.voters,
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(listeners),
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "log.dirs": member.data,
            "default.replication.factor": 3,
            "min.insync.replicas": 2,
            **self.settings,
            **{key.replace("_", "."): value for key, value in more.items()},
        }
        if "broker" in member.roles.split(","):
            properties |= {"advertised.listeners": broker, "inter.broker.listener.name": "PLAINTEXT"}
        member.folder.mkdir(parents=True, exist_ok=True)
        (member.folder / "server.properties").write_text("".join(f"{key}={value}\n" for key, value in properties.items()))


class KafkaCluster(Cluster):
    """Three combined nodes of a real Apache Kafka. The script owns the processes; here they are known by their ids."""

    def __init__(self, folder, **settings):
        super().__init__()
        self.folder = pathlib.Path(folder)
        self.settings = [f"{key.replace('_', '.')}={value}" for key, value in settings.items()]

    def start(self):
        base = free_port()
        copies = ["default.replication.factor=3", "min.insync.replicas=2"]
        self._run("up", self.folder, 3, base, *copies, *self.settings)
        for number in (1, 2, 3):
            self.members[number] = _Scripted(self, number, base + number - 1)
        return self

    def stop(self):
        begin = time.monotonic()
        self._run("down", self.folder)
        return time.monotonic() - begin

    def kill(self):
        if self.members:
            self._run("kill", self.folder)

    def _run(self, verb, *arguments):
        Kafka(self.folder)._run(verb, *map(str, arguments))


class _Scripted:
    """The same calls as `Member`, over the script."""

    host = "127.0.0.1"

    def __init__(self, cluster, number, port):
        self._cluster, self.id, self.port = cluster, number, port
        self.folder = cluster.folder / f"node{number}"
        self.data = self.folder / "data"
        self.is_paused = False

    address = Member.address
    log = Member.log

    @property
    def pid(self):
        return int((self.folder / "pid").read_text())

    @property
    def runs(self):
        return (self.folder / "pid").exists() and pathlib.Path(f"/proc/{self.pid}").exists() and not self.is_paused

    def start(self, wait=True):
        self._cluster._run("start", self._cluster.folder, self.id)
        return self

    def wait_until_ready(self):
        """`start` has waited."""

    def kill(self):
        self._cluster._run("kill", self._cluster.folder, self.id)
        self.is_paused = False

    def terminate(self):
        os.kill(self.pid, signal.SIGTERM)

    def stop(self):
        self._cluster._run("down", self._cluster.folder, self.id)
        return 0

    def pause(self):
        os.kill(self.pid, signal.SIGSTOP)
        self.is_paused = True

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)
        self.is_paused = False


def make_cluster(folder, **settings):
    """A cluster of three that is not started yet."""
    return KafkaCluster(folder, **settings) if IS_CONTROL else DohleCluster(folder, **settings)
