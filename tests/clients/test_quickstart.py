"""The classic quickstart as written, through the wrappers under bin/, and a Kafka 4 configuration file that starts a node unchanged."""

import os
import signal
import subprocess
import time

import pytest

from harness.node import ROOT, answers, free_port

# What a Kafka 4 distribution ships for a combined node, with other ports and folders.
KRAFT_PROPERTIES = """
############################# Server Basics #############################
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:{controller}

############################# Socket Server Settings #############################
listeners=PLAINTEXT://:{port},CONTROLLER://:{controller}
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600

############################# Log Basics #############################
log.dirs={data}
num.partitions=1
num.recovery.threads.per.data.dir=1
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def script(name, *arguments, stdin=None, check=True):
    """Runs a wrapper on the binary that the tests use."""
    finished = subprocess.run([str(ROOT / "bin" / name), *arguments], input=stdin, capture_output=True, text=True, timeout=60)
    assert not check or finished.returncode == 0, finished.stdout + finished.stderr
    return finished


@pytest.mark.parametrize("flag", ["--bootstrap-server", "--broker-list"])
def test_create_list_produce_consume(node, topic, flag):
    created = script("kafka-topics.sh", "--create", "--topic", topic, "--bootstrap-server", node.address)
    assert f"Created topic {topic}." in created.stdout
    assert topic in script("kafka-topics.sh", "--list", "--bootstrap-server", node.address).stdout.split()
    script("kafka-console-producer.sh", "--topic", topic, flag, node.address, stdin="This is my first event\nThis is my second event\n")
    read = script(
        "kafka-console-consumer.sh", "--topic", topic, "--from-beginning", "--bootstrap-server", node.address, "--max-messages", "2"
    )
    assert read.stdout.splitlines() == ["This is my first event", "This is my second event"]
    assert "Processed a total of 2 messages" in read.stderr


def test_c1_zookeeper_is_answered_with_the_flag_to_use(topic):
    begin = time.monotonic()
    refused = script(
        "kafka-topics.sh", "--create", "--zookeeper", "localhost:2181", "--replication-factor", "1", "--partitions", "1", "--topic", topic,
        check=False,
    )  # fmt: skip
    assert refused.returncode == 1 and "--bootstrap-server" in refused.stderr and time.monotonic() - begin < 5


def test_a_kafka_4_configuration_starts_and_stops_a_node(tmp_path, topic):
    port = free_port()
    properties = tmp_path / "server.properties"
    properties.write_text(KRAFT_PROPERTIES.format(port=port, controller=free_port(), data=tmp_path / "logs"))
    with open(tmp_path / "out", "w") as out:
        server = subprocess.Popen([str(ROOT / "bin/kafka-server-start.sh"), str(properties)], stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 30
        while not answers(port):
            assert server.poll() is None and time.monotonic() < deadline, (tmp_path / "out").read_text()
            time.sleep(0.02)
        script("kafka-console-producer.sh", "--topic", topic, "--bootstrap-server", f"localhost:{port}", stdin="kept\n")
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait(30) == 0
        assert (tmp_path / "logs/.kafka_cleanshutdown").exists()
    finally:
        server.kill()
