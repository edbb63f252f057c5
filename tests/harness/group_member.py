"""Starts members of a group, one process each, and reads their logs: `tests/clients/groups/members` writes one form, the
programs that others wrote have forms of their own."""

import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

from harness.group_history import Assigned, Record, Revoked
from harness.kafka import SCRIPT
from harness.node import ROOT

SCRIPTS = ROOT / "tests/clients/groups/members"
NODE_MODULES = ROOT / "target/clients-node/node_modules"
END_TIMEOUT_S = 30
_numbers = itertools.count(1)


class Log:
    """A file that grows, read on from where it was read to."""

    def __init__(self, path):
        self.path, self.position = pathlib.Path(path), 0
        self.path.touch()

    def new_lines(self):
        """The whole lines since the last call; SIGKILL may have cut the very last one."""
        with open(self.path, "rb") as file:
            file.seek(self.position)
            whole, end, _ = file.read().rpartition(b"\n")
        self.position += len(whole) + len(end)
        return whole.decode(errors="replace").splitlines()

    def tail(self):
        return self.path.read_text(errors="replace")[-4000:]


class GroupMember:
    """One process that reads `topic` in `group`. Subclasses know how it is started and what its log says."""

    def __init__(self, folder, address, topic, group, session_ms=3000, assignor=None):
        self.name = f"{type(self).__name__}-{next(_numbers)}"
        self.address, self.topic, self.group, self.session_ms, self.assignor = address, topic, group, session_ms, assignor
        self.output = Log(f"{folder}/{self.name}.out")
        self.errors = self.output if self.errors_among_output else Log(f"{folder}/{self.name}.err")
        self._events = []
        with open(self.output.path, "ab") as output, open(self.errors.path, "ab") as errors:
            words = [str(word) for word in self.command()]
            environment = {**os.environ, **self.environment()}
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment)

    errors_among_output = False

    def environment(self):
        return {}

    def command(self):
        raise NotImplementedError

    def parse(self, lines):
        """The events that new lines of the output tell about."""
        raise NotImplementedError

    def events(self):
        """What the member saw so far, in its order."""
        self._events += self.parse(self.output.new_lines())
        return self._events

    def held(self):
        """The partitions that the member holds now."""
        held = frozenset()
        for event in self.events():
            if isinstance(event, Assigned):
                held = event.partitions
            elif isinstance(event, Revoked):
                held -= event.partitions
        return held

    def records(self):
        return [event for event in self.events() if isinstance(event, Record)]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def end(self):
        """Asks the member to leave its group and end."""
        self.process.terminate()

    def wait(self):
        self.process.wait(END_TIMEOUT_S)

    def fault(self):
        """How the process ended, if it ended badly."""
        status = self.process.poll()
        return None if status in (None, *self.good_ends) else f"{self.name} ended with {status}:\n{self.errors.tail()}"

    good_ends = (0,)


class _Scripted(GroupMember):
    """A member of our own, which logs events as JSON."""

    def arguments(self):
        pairs = {"bootstrap": self.address, "topic": self.topic, "group": self.group, "session-ms": self.session_ms}
        if self.assignor:
            pairs["assignor"] = self.assignor
        return [word for name, value in pairs.items() for word in (f"--{name}", value)]

    def parse(self, lines):
        return [_event(json.loads(line)) for line in lines]


def _event(said):
    match said.pop("event"):
        case "assigned":
            return Assigned(frozenset(said["partitions"]), frozenset(said["begun"]), said["generation"])
        case "revoked":
            return Revoked(frozenset(said["partitions"]))
        case "record":
            return Record(**said)


class Confluent(_Scripted):
    def command(self):
        return [sys.executable, SCRIPTS / "confluent_member.py", *self.arguments()]


class KafkaPython(_Scripted):
    def command(self):
        return [sys.executable, SCRIPTS / "kafka_python_member.py", *self.arguments()]


class Aiokafka(_Scripted):
    def command(self):
        return [sys.executable, SCRIPTS / "aiokafka_member.py", *self.arguments()]


class Kafkajs(_Scripted):
    def command(self):
        return ["node", ROOT / "tests/clients/node/member.js", *self.arguments()]

    def environment(self):
        return {"NODE_PATH": str(NODE_MODULES)}


class Kcat(GroupMember):
    """kcat -G. Its records and what it tells about the group go into one file, each line in one write."""

    errors_among_output = True

    def command(self):
        settings = {
            "session.timeout.ms": self.session_ms,
            "heartbeat.interval.ms": self.session_ms // 6,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 300,
            "reconnect.backoff.max.ms": 500,
            "debug": "cgrp",
        }
        set_words = [word for key, value in settings.items() for word in ("-X", f"{key}={value}")]
        return ["stdbuf", "-oL", "-eL", "kcat", "-E", "-b", self.address, *set_words, "-f", "record %p %o %s\n", "-G", self.group, self.topic]

    generation = -1

    def parse(self, lines):
        for line in lines:
            if line.startswith("record "):
                _, partition, offset, value = line.split(" ")
                yield Record(int(partition), int(offset), value)
            elif found := re.search(r"JoinGroup response: GenerationId (\d+)", line):
                self.generation = int(found[1])
            elif found := re.search(r"^% Group \S+ rebalanced \(memberid .*?\): (assigned|revoked): (.*)", line):
                partitions = frozenset(int(number) for number in re.findall(r" \[(\d+)\]", found[2]))
                yield Assigned(partitions, partitions, self.generation) if found[1] == "assigned" else Revoked(partitions)


class Java(GroupMember):
    """Apache's VerifiableConsumer. Its records are on standard output; the generation is told to its log only."""

    good_ends = (0, 143)

    def command(self):
        self.generations, self.generation, self.kept = [], -1, frozenset()
        assignor = ["--assignment-strategy", f"org.apache.kafka.clients.consumer.{self.assignor}"] if self.assignor else []
        config = self.output.path.with_suffix(".properties")
        config.write_text(f"heartbeat.interval.ms={self.session_ms // 6}\nreconnect.backoff.max.ms=500\n")
        return [
            SCRIPT, "tool", "org.apache.kafka.tools.VerifiableConsumer", "--bootstrap-server", self.address, "--topic", self.topic,
            "--group-id", self.group, "--session-timeout", self.session_ms, "--verbose", "--command-config", config,
            *assignor,
        ]  # fmt: skip

    def environment(self):
        return {"TOOL_JAVA_OPTS": "-Xmx128m -XX:TieredStopAtLevel=1 -XX:-UseG1GC -XX:+UseSerialGC -Dlevel=INFO"}

    def parse(self, lines):
        """An assignment is one callback; the log tells before it, and in the same order, in which generation the member synced."""
        self.generations += self._new_generations()
        for line in lines:
            said = json.loads(line) if line.startswith("{") else {"name": "a warning"}
            if said["name"] == "record_data":
                yield Record(said["partition"], said["offset"], said["value"])
            elif said["name"] == "partitions_assigned":
                added = frozenset(place["partition"] for place in said["partitions"])
                self.kept |= added
                yield Assigned(self.kept, added, self.generations.pop(0))
            elif said["name"] == "partitions_revoked":
                revoked = frozenset(place["partition"] for place in said["partitions"])
                self.kept -= revoked
                yield Revoked(revoked)

    def _new_generations(self):
        for line in self.errors.new_lines():
            if found := re.search(r"Successfully synced group in generation Generation\{generationId=(\d+)", line):
                self.generation = int(found[1])
            elif "Notifying assignor about the new Assignment" in line:
                yield self.generation
