"""A real Apache Kafka 4.x node, and Apache's own tools, from the jars that the setup fetched."""

import pathlib
import shutil
import subprocess

from harness.node import ROOT, free_port

SCRIPT = str(ROOT / "tests/servers/kafka")

# Full names, so that the script need not search the jars.
TOOLS = {
    "ConsoleProducer": "org.apache.kafka.tools.ConsoleProducer",
    "ConsoleConsumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "TopicCommand": "org.apache.kafka.tools.TopicCommand",
    "ConfigCommand": "kafka.admin.ConfigCommand",
    "GetOffsetShell": "org.apache.kafka.tools.GetOffsetShell",
    "DeleteRecordsCommand": "org.apache.kafka.tools.DeleteRecordsCommand",
    "ProducerPerformance": "org.apache.kafka.tools.ProducerPerformance",
    "DumpLogSegments": "org.apache.kafka.tools.DumpLogSegments",
    "ConsumerGroupCommand": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "ConsumerPerformance": "org.apache.kafka.tools.ConsumerPerformance",
}


def tool(name, *arguments, stdin=None, check=True, timeout=180):
    """Runs one of Apache's tools; returns the finished process."""
    command = [SCRIPT, "tool", TOOLS.get(name, name), *map(str, arguments)]
    finished = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, text=not isinstance(stdin, bytes))
    if check and finished.returncode != 0:
        raise AssertionError(f"{name} ended with {finished.returncode}:\n{finished.stdout}\n{finished.stderr}")
    return finished


class Kafka:
    """One real node; its data lies in `data`."""

    def __init__(self, folder, **settings):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.settings = settings

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def data(self):
        return self.folder / "node1/data"

    def start(self):
        settings = [f"{key.replace('_', '.')}={value}" for key, value in self.settings.items()]
        try:
            self._run("up", str(self.folder), "1", str(self.port), *settings)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self):
        self._run("down", str(self.folder))

    def kill(self):
        self._run("kill", str(self.folder))

    def copy_while_paused(self, partition, target):
        """A partition's files as a crash in this moment would leave them: nothing is deleted or renamed during the copy."""
        self._run("pause", str(self.folder), "1")
        try:
            shutil.copytree(self.data / partition, target)
        finally:
            self._run("resume", str(self.folder), "1")

    def restart_after_kill(self):
        self.kill()
        self._run("start", str(self.folder), "1")
        return self

    def _run(self, verb, *arguments):
        finished = subprocess.run([SCRIPT, verb, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180)
        assert finished.returncode == 0, finished.stdout
