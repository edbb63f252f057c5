"""Apache Kafka's own command-line tools, in their newest version, against our node."""

import json

from harness import kafka as apache
from harness.server import NODES


def create(node, topic, partitions=1, *arguments):
    made = apache.tool(
        "TopicCommand", "--bootstrap-server", node.address, "--create", "--topic", topic, "--partitions", partitions, *arguments
    )
    assert f"Created topic {topic}." in made.stdout


def offsets(node, topic, *arguments):
    shown = apache.tool("GetOffsetShell", "--bootstrap-server", node.address, "--topic", topic, *arguments)
    return shown.stdout.split()


def test_topics_from_creation_to_deletion(node, topic):
    server = ("--bootstrap-server", node.address)
    create(node, topic, 2, "--config", "retention.ms=1234")
    again = apache.tool("TopicCommand", *server, "--create", "--topic", topic, check=False)
    assert again.returncode == 1 and f"Topic '{topic}' already exists." in again.stdout + again.stderr
    assert topic in apache.tool("TopicCommand", *server, "--list").stdout.split()
    described = apache.tool("TopicCommand", *server, "--describe", "--topic", topic).stdout
    assert "PartitionCount: 2" in described and f"ReplicationFactor: {NODES}" in described and "retention.ms=1234" in described
    assert "Partition: 1\tLeader: " in described
    apache.tool("TopicCommand", *server, "--alter", "--topic", topic, "--partitions", 4)
    assert "PartitionCount: 4" in apache.tool("TopicCommand", *server, "--describe", "--topic", topic).stdout
    apache.tool("TopicCommand", *server, "--delete", "--topic", topic)
    assert topic not in apache.tool("TopicCommand", *server, "--list").stdout.split()


def test_console_producer_to_console_consumer(node, topic):
    create(node, topic)
    apache.tool(
        "ConsoleProducer", "--bootstrap-server", node.address, "--topic", topic,
        "--reader-property", "parse.key=true", "--reader-property", "key.separator=:", stdin="k1:one\nk2:two\nk3:three\n",
    )  # fmt: skip
    read = apache.tool(
        "ConsoleConsumer", "--bootstrap-server", node.address, "--topic", topic, "--partition", 0, "--offset", "earliest",
        "--max-messages", 3, "--formatter-property", "print.key=true", "--formatter-property", "print.offset=true",
    )  # fmt: skip
    assert read.stdout.splitlines() == ["Offset:0\tk1\tone", "Offset:1\tk2\ttwo", "Offset:2\tk3\tthree"]
    assert "Processed a total of 3 messages" in read.stderr + read.stdout


def test_configurations_of_topics_and_brokers(node, topic):
    create(node, topic)
    configs = ("ConfigCommand", "--bootstrap-server", node.address, "--entity-type", "topics", "--entity-name", topic)
    apache.tool(*configs, "--alter", "--add-config", "max.message.bytes=54321,cleanup.policy=[delete]")
    shown = apache.tool(*configs, "--describe").stdout
    assert "max.message.bytes=54321" in shown and "synonyms={DYNAMIC_TOPIC_CONFIG:max.message.bytes=54321" in shown
    apache.tool(*configs, "--alter", "--delete-config", "max.message.bytes")
    assert "54321" not in apache.tool(*configs, "--describe").stdout
    wrong = apache.tool(*configs, "--alter", "--add-config", "max.message.bytes=-5", check=False)
    assert wrong.returncode != 0 and "max.message.bytes" in wrong.stdout + wrong.stderr
    brokers = ("ConfigCommand", "--bootstrap-server", node.address, "--entity-type", "brokers", "--entity-default")
    apache.tool(*brokers, "--alter", "--add-config", "log.retention.ms=86400000")
    assert "log.retention.ms=86400000" in apache.tool(*brokers, "--describe").stdout
    apache.tool(*brokers, "--alter", "--delete-config", "log.retention.ms")


def test_offsets_and_deleted_records(node, topic, tmp_path):
    create(node, topic, 2)
    # Some seventy batches, each for a partition that the producer chooses at random: none stays empty.
    apache.tool(
        "ProducerPerformance", "--topic", topic, "--num-records", 10_000, "--record-size", 100, "--throughput", -1,
        "--producer-props", f"bootstrap.servers={node.address}",
    )  # fmt: skip
    ends = [int(line.rsplit(":", 1)[1]) for line in offsets(node, topic)]
    assert sum(ends) == 10_000 and all(ends)
    assert offsets(node, topic, "--time", "earliest") == [f"{topic}:0:0", f"{topic}:1:0"]
    assert len(offsets(node, topic, "--time", "max-timestamp")) == 2
    wanted = tmp_path / "offsets.json"
    wanted.write_text(json.dumps({"partitions": [{"topic": topic, "partition": 0, "offset": ends[0] // 2}], "version": 1}))
    deleted = apache.tool("DeleteRecordsCommand", "--bootstrap-server", node.address, "--offset-json-file", wanted)
    assert f"partition: {topic}-0\tlow_watermark: {ends[0] // 2}" in deleted.stdout
    assert offsets(node, topic, "--time", "earliest")[0] == f"{topic}:0:{ends[0] // 2}"


def test_producer_performance_reports_every_record(node, topic):
    create(node, topic)
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        run = apache.tool(
            "ProducerPerformance", "--topic", topic, "--num-records", 20_000, "--record-size", 1024, "--throughput", -1,
            "--producer-props", f"bootstrap.servers={node.address}", f"compression.type={codec}",
        )  # fmt: skip
        assert run.stdout.startswith("20000 records sent") or "\n20000 records sent" in run.stdout
    assert offsets(node, topic) == [f"{topic}:0:100000"]


def test_cluster_quorum_log_dirs_and_versions(node, topic):
    create(node, topic)
    server = ("--bootstrap-server", node.address)
    assert "Cluster ID: " in apache.tool("org.apache.kafka.tools.ClusterTool", "cluster-id", *server).stdout
    status = apache.tool("org.apache.kafka.tools.MetadataQuorumCommand", *server, "describe", "--status").stdout
    assert "LeaderId:" in status and "HighWatermark:" in status
    assert "Leader" in apache.tool("org.apache.kafka.tools.MetadataQuorumCommand", *server, "describe", "--replication").stdout
    shown = apache.tool("org.apache.kafka.tools.LogDirsCommand", *server, "--describe", "--topic-list", topic).stdout
    assert f'"partition":"{topic}-0"' in shown
    versions = apache.tool("org.apache.kafka.tools.BrokerApiVersionsCommand", *server).stdout
    assert "Produce(0): 0 to 13" in versions
