"""confluent-kafka over a current librdkafka: producer, assigned consumer, admin client."""

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

TIMEOUT_S = 30


@pytest.fixture
def admin(node):
    return AdminClient({"bootstrap.servers": node.address})


def create(admin, topic, partitions=1, **config):
    settings = {key.replace("_", "."): value for key, value in config.items()}
    admin.create_topics([NewTopic(topic, partitions, -1, config=settings)])[topic].result(TIMEOUT_S)


def produce(node, topic, values, partition=0, **config):
    settings = {key.replace("_", "."): value for key, value in config.items()}
    producer = Producer({"bootstrap.servers": node.address, **settings})
    offsets, errors = [], []

    def delivered(error, message):
        errors.append(error) if error else offsets.append(message.offset())

    for value in values:
        producer.produce(topic, value, partition=partition, on_delivery=delivered)
    assert producer.flush(TIMEOUT_S) == 0
    return offsets, errors


def read(node, topic, count, partition=0, offset=OFFSET_BEGINNING, **config):
    settings = {key.replace("_", "."): value for key, value in config.items()}
    consumer = Consumer({"bootstrap.servers": node.address, "group.id": "unused", "enable.auto.commit": False, **settings})
    consumer.assign([TopicPartition(topic, partition, offset)])
    messages = []
    while len(messages) < count:
        batch = consumer.consume(count - len(messages), TIMEOUT_S)
        assert batch, f"only {len(messages)} of {count} messages"
        for message in batch:
            assert message.error() is None, message.error()
        messages += batch
    consumer.close()
    return messages


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_idempotent_producer_and_consumer_in_every_codec(node, admin, topic, codec):
    create(admin, topic)
    values = [b"value %d" % number for number in range(20_000)]
    offsets, errors = produce(node, topic, values, enable_idempotence=True, compression_type=codec)
    assert not errors and offsets == list(range(20_000))
    assert [message.value() for message in read(node, topic, 20_000)] == values


@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_acks(node, admin, topic, acks):
    create(admin, topic)
    _, errors = produce(node, topic, [b"a", b"b", b"c"], acks=acks)
    assert not errors
    assert [message.value() for message in read(node, topic, 3)] == [b"a", b"b", b"c"]


def test_key_headers_and_timestamp_survive(node, admin, topic):
    create(admin, topic)
    producer = Producer({"bootstrap.servers": node.address})
    producer.produce(topic, b"v", b"k", timestamp=1_700_000_000_123, headers=[("a", b"1"), ("a", None)])
    assert producer.flush(TIMEOUT_S) == 0
    message = read(node, topic, 1)[0]
    assert (message.key(), message.value(), message.timestamp()) == (b"k", b"v", (1, 1_700_000_000_123))
    assert message.headers() == [("a", b"1"), ("a", None)]


def test_log_append_time(node, admin, topic):
    create(admin, topic, message_timestamp_type="LogAppendTime")
    producer = Producer({"bootstrap.servers": node.address})
    producer.produce(topic, b"v", timestamp=1_000)
    assert producer.flush(TIMEOUT_S) == 0
    kind, timestamp_ms = read(node, topic, 1)[0].timestamp()
    assert kind == 2 and timestamp_ms > 1_700_000_000_000


def test_admin_creates_grows_describes_and_deletes(node, admin, topic):
    create(admin, topic, 2, retention_ms="12345")
    with pytest.raises(KafkaException) as refused:
        create(admin, topic)
    assert refused.value.args[0].name() == "TOPIC_ALREADY_EXISTS"
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(TIMEOUT_S)
    assert len(admin.list_topics(topic).topics[topic].partitions) == 5
    with pytest.raises(KafkaException) as refused:
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result(TIMEOUT_S)
    assert refused.value.args[0].name() == "INVALID_PARTITIONS"
    admin.delete_topics([topic])[topic].result(TIMEOUT_S)
    assert topic not in admin.list_topics().topics


def test_admin_alters_configurations(node, admin, topic):
    create(admin, topic, retention_ms="12345")
    resource = ConfigResource(ResourceType.TOPIC, topic)
    assert admin.describe_configs([resource])[resource].result(TIMEOUT_S)["retention.ms"].value == "12345"
    change = ConfigResource(
        ResourceType.TOPIC,
        topic,
        incremental_configs=[ConfigEntry("retention.ms", "777", incremental_operation=AlterConfigOpType.SET)],
    )
    admin.incremental_alter_configs([change])[change].result(TIMEOUT_S)
    assert admin.describe_configs([resource])[resource].result(TIMEOUT_S)["retention.ms"].value == "777"
    wrong = ConfigResource(
        ResourceType.TOPIC, topic, incremental_configs=[ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET)]
    )
    with pytest.raises(KafkaException) as refused:
        admin.incremental_alter_configs([wrong])[wrong].result(TIMEOUT_S)
    assert refused.value.args[0].name() == "INVALID_CONFIG"


def test_admin_lists_offsets_and_deletes_records(node, admin, topic):
    create(admin, topic)
    produce(node, topic, [b"%d" % number for number in range(10)])
    partition = TopicPartition(topic, 0)

    def offset(spec):
        return admin.list_offsets({partition: spec})[partition].result(TIMEOUT_S).offset

    assert (offset(OffsetSpec.earliest()), offset(OffsetSpec.latest())) == (0, 10)
    assert offset(OffsetSpec.max_timestamp()) in range(10)
    deleted = admin.delete_records([TopicPartition(topic, 0, 4)])
    assert next(iter(deleted.values())).result(TIMEOUT_S).low_watermark == 4
    assert (offset(OffsetSpec.earliest()), offset(OffsetSpec.latest())) == (4, 10)
    assert [message.value() for message in read(node, topic, 6)] == [b"%d" % number for number in range(4, 10)]


def test_admin_describes_the_cluster(node, admin):
    cluster = admin.describe_cluster().result(TIMEOUT_S)
    assert len(cluster.cluster_id) == 22
    assert {f"{broker.host}:{broker.port}" for broker in cluster.nodes} == set(node.address.split(","))


def test_read_committed_reads_what_is_not_transactional(node, admin, topic):
    create(admin, topic)
    produce(node, topic, [b"a", b"b"])
    assert len(read(node, topic, 2, isolation_level="read_committed")) == 2
    offset = admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.latest()}, isolation_level=IsolationLevel.READ_COMMITTED)
    assert next(iter(offset.values())).result(TIMEOUT_S).offset == 2


def test_a_producer_goes_on_after_the_node_was_killed(make_node, topic):
    node = make_node().start()
    producer = Producer({"bootstrap.servers": node.address, "enable.idempotence": True, "linger.ms": 5})
    errors = []
    for number in range(30_000):
        producer.produce(topic, b"%d" % number, partition=0, on_delivery=lambda error, _: error and errors.append(error))
        producer.poll(0)
        if number in (10_000, 20_000):
            node.restart_after_kill()
    assert producer.flush(60) == 0 and not errors
    assert [int(message.value()) for message in read(node, topic, 30_000)] == list(range(30_000))
