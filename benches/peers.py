"""The brokers that are compared, each under the same few calls: start afresh, where to reach it, what its processor time and memory are."""

import os
import pathlib
import subprocess
import time

from harness.kafka import Kafka, tool
from harness.node import BINARY, Node, answers, dohle, free_port

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
RELEASE = pathlib.Path(BINARY).parent


def cpu_s(pid):
    """User and system time of a process so far."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mib(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


class Floor:
    """The least that a broker can do; as a `sink` it does not even write."""

    name = "floor"

    def __init__(self, folder, sink=False):
        self.folder = pathlib.Path(folder)
        self.word = ["sink"] if sink else []
        self.process = None

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.process = subprocess.Popen([RELEASE / "dohle-floor", self.address, self.folder / "log", *self.word])
        deadline = time.monotonic() + 10
        while not answers(port):
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        return self

    @property
    def pid(self):
        return self.process.pid

    def create(self, topic, partitions=1, **config):
        """Any name will do."""

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Dohle:
    name = "dohle"

    def __init__(self, folder, flush_policy="os", **settings):
        self.flush_policy = flush_policy
        self.node = Node(folder, **settings)
        self.folder = self.node.folder

    def start(self):
        self.node.start()
        return self

    @property
    def address(self):
        return self.node.address

    @property
    def pid(self):
        return self.node.process.pid

    def create(self, topic, partitions=1, **config):
        settings = {"flush_policy": self.flush_policy, **config}
        words = [word for key, value in settings.items() for word in ("--config", f"{key.replace('_', '.')}={value}")]
        dohle("topics", "--create", "--topic", topic, "--partitions", str(partitions), "--bootstrap-server", self.address, *words)

    def kill(self):
        self.node.kill()


class ApacheKafka:
    """Apache Kafka 4 with a heap of 1 GiB; one for a whole run, since its compiler has to warm up."""

    name = "kafka"

    def __init__(self, folder, **config):
        self.kafka = Kafka(folder)
        self.folder = self.kafka.folder
        self.config = config

    def start(self):
        self.kafka.start()
        return self

    @property
    def address(self):
        return self.kafka.address

    @property
    def pid(self):
        return int((self.folder / "node1/pid").read_text())

    def create(self, topic, partitions=1, **config):
        settings = {**self.config, **config}
        words = [word for key, value in settings.items() for word in ("--config", f"{key.replace('_', '.')}={value}")]
        tool("TopicCommand", "--create", "--topic", topic, "--partitions", partitions, "--bootstrap-server", self.address, *words)

    def kill(self):
        self.kafka.kill()
