"""The brokers that are compared, each under the same few calls: start, create a topic, what its processor time and memory are."""

import json
import os
import pathlib
import shutil
import subprocess
import time

from harness.kafka import Kafka
from harness.node import BINARY, Node, answers, free_port

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
RELEASE = pathlib.Path(BINARY).parent


def load(*arguments, **settings):
    """Runs the load program, and returns what it reports. `settings` are those of librdkafka."""
    words = [word for key, value in settings.items() for word in ("--set", f"{key.replace('_', '.')}={value}")]
    finished = subprocess.run([RELEASE / "dohle-load", *map(str, arguments), *words], capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def cpu_s(pid):
    """User and system time of a process so far."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_mib(pid, what="VmRSS"):
    """Memory of a process: now, or (VmHWM) the most it ever had."""
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(what + ":"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no {what}")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Peer:
    """`folder` holds all that it writes."""

    def create(self, topic, partitions=1, **config):
        """Returns what it took, once all partitions answer."""
        settings = [word for key, value in config.items() for word in ("--config", f"{key.replace('_', '.')}={value}")]
        return self._topic(topic, "--create", "--partitions", partitions, *settings)

    def wait(self, topic, partitions=1):
        """Waits until all partitions answer."""
        return self._topic(topic, "--partitions", partitions)

    def delete(self, topic):
        self._topic(topic, "--delete")

    def _topic(self, topic, *arguments):
        return load("topic", "--bootstrap-server", self.address, "--topic", topic, *arguments)

    def discard(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Floor(Peer):
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


class Dohle(Peer):
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

    @property
    def data(self):
        return self.node.data

    def create(self, topic, partitions=1, **config):
        return super().create(topic, partitions, **{"flush_policy": self.flush_policy, **config})

    def stop(self):
        assert self.node.stop() == 0

    def kill(self):
        self.node.kill()


class ApacheKafka(Peer):
    """Apache Kafka 4 with a heap of 1 GiB. Where its speed counts there is one for a whole run, since its compiler has to warm up."""

    name = "kafka"

    def __init__(self, folder):
        self.kafka = Kafka(folder)
        self.folder = self.kafka.folder

    def start(self):
        self.kafka.start()
        return self

    @property
    def address(self):
        return self.kafka.address

    @property
    def pid(self):
        return int((self.folder / "node1/pid").read_text())

    @property
    def data(self):
        return self.kafka.data

    def stop(self):
        self.kafka.stop()

    def kill(self):
        self.kafka.kill()
