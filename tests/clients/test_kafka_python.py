"""kafka-python: a codec of its own, the newest versions, and a broker version inferred from our table of APIs."""

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError


@pytest.fixture
def admin(node):
    client = KafkaAdminClient(bootstrap_servers=node.address)
    yield client
    client.close()


def read(node, topic, count, **config):
    consumer = KafkaConsumer(bootstrap_servers=node.address, group_id=None, consumer_timeout_ms=30_000, enable_auto_commit=False, **config)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    records = []
    for record in consumer:
        records.append(record)
        if len(records) == count:
            break
    consumer.close()
    return records


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_writes_and_reads_in_every_codec(node, topic, codec):
    producer = KafkaProducer(bootstrap_servers=node.address, compression_type=codec, acks="all", linger_ms=10)
    values = [b"value %d" % number for number in range(5_000)]
    futures = [producer.send(topic, value, key=b"k", headers=[("h", b"1")], partition=0) for value in values]
    producer.flush(60)
    assert [future.get(10).offset for future in futures] == list(range(5_000))
    producer.close()
    records = read(node, topic, 5_000)
    assert [record.value for record in records] == values
    assert records[0].key == b"k" and records[0].headers == [("h", b"1")]


def test_offsets_by_time(node, topic):
    producer = KafkaProducer(bootstrap_servers=node.address)
    for number in range(10):
        producer.send(topic, b"v", partition=0, timestamp_ms=1_700_000_000_000 + number * 1000).get(30)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=node.address)
    partition = TopicPartition(topic, 0)
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 10}
    found = consumer.offsets_for_times({partition: 1_700_000_004_500})[partition]
    assert (found.offset, found.timestamp) == (5, 1_700_000_005_000)
    assert consumer.offsets_for_times({partition: 1_800_000_000_000})[partition] is None
    consumer.close()


def test_admin_creates_describes_and_deletes(admin, topic):
    admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=-1, topic_configs={"segment.bytes": "1048576"})])
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=-1)])
    assert topic in admin.list_topics()
    described = admin.describe_topics([topic])[0]
    assert len(described["partitions"]) == 3
    configs = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    assert "1048576" in str(configs)
    admin.delete_topics([topic])
    assert topic not in admin.list_topics()
