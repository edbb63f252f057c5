"""Producers that keep a ledger, a consumer that notes what it is shown, and a fast reader of whole topics.

librdkafka's work is done by its own threads, and Apache's producer is a process: what is here only counts."""

import json
import subprocess
import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from harness.history import Ack, Ledger
from harness.kafka import SCRIPT
from harness.load import QUIET

TICK_S = 0.005
# Writers and watchers that run; a test that fails does not come to stop its own.
_running = []


def end_all():
    for one in list(_running):
        one.stop_quietly()


FLUSH_TIMEOUT_S = 60
READ_TIMEOUT_S = 30


class Writer:
    """A librdkafka producer that spreads numbered records over the partitions of a topic, `per_second` of them."""

    # Less patient than librdkafka is of itself, so that what is measured is the server.
    SETTINGS = {
        "linger.ms": 1, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "retry.backoff.ms": 50, "retry.backoff.max.ms": 200,
        "request.timeout.ms": 3000, "socket.timeout.ms": 4000, "delivery.timeout.ms": 120_000,
    }  # fmt: skip

    def __init__(self, bootstrap, topic, partitions, name, per_second, pad=0, **config):
        self.ledger = Ledger(name)
        self.topic, self.partitions, self.per_second, self.pad = topic, list(partitions), per_second, b" " * pad
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self._producer = Producer({"bootstrap.servers": bootstrap, "log_level": 2, **self.SETTINGS, **settings})
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self):
        self._thread.start()
        _running.append(self)
        return self

    def _run(self):
        begin = time.monotonic()
        while not self._ended.is_set():
            due = int((time.monotonic() - begin) * self.per_second)
            while len(self.ledger.sent_at) < due and not self._ended.is_set():
                self._send()
            self._producer.poll(TICK_S)

    def _send(self):
        sequence = len(self.ledger.sent_at)
        value = b"%s.%d" % (self.ledger.producer.encode(), sequence)
        try:
            self._producer.produce(
                self.topic, value + self.pad, partition=self.partitions[sequence % len(self.partitions)], on_delivery=self._delivered
            )
            self.ledger.sent_at.append(time.monotonic())
        except BufferError:
            self._producer.poll(TICK_S)

    def _delivered(self, error, message):
        sequence = int(message.value().rpartition(b".")[2])
        if error:
            self.ledger.failed[sequence] = error.name()
        else:
            # None for acks=0: nobody said where the record went.
            self.ledger.acked[sequence] = Ack(message.partition(), message.offset(), time.monotonic())

    def wait_for(self, count, timeout_s=60):
        """Waits for that many more acknowledgements."""
        goal, deadline = len(self.ledger.acked) + count, time.monotonic() + timeout_s
        while len(self.ledger.acked) < goal:
            assert time.monotonic() < deadline, f"{self.ledger.producer}: {count} acknowledgements did not come within {timeout_s} s"
            time.sleep(0.01)

    def stop(self, flush=True):
        """Ends, and gives the ledger. What is still on its way then is waited for, or given up."""
        self._end()
        if flush:
            left = self._producer.flush(FLUSH_TIMEOUT_S)
            assert left == 0, f"{self.ledger.producer}: {left} records were neither taken nor refused"
        else:
            self._producer.purge()
            self._producer.poll(0)
        return self.ledger

    def stop_quietly(self):
        self.stop(flush=False)

    def _end(self):
        self._ended.set()
        self._thread.join()
        if self in _running:
            _running.remove(self)


class PatientWriter(Writer):
    """As librdkafka is of itself."""

    SETTINGS = {}


class JavaWriter:
    """Apache's producer: `VerifiableProducer`, with as many retries as an application has that sets nothing."""

    def __init__(self, folder, bootstrap, topic, number, per_second, **config):
        settings = {"retries": 2147483647, **{key.replace("_", "."): value for key, value in config.items()}}
        self.number, self.output = number, folder / f"java-{number}.out"
        properties = folder / f"java-{number}.properties"
        properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        words = ["--bootstrap-server", bootstrap, "--topic", topic, "--throughput", per_second, "--value-prefix", number]
        with open(self.output, "wb") as output, open(folder / f"java-{number}.err", "wb") as errors:
            command = [SCRIPT, "tool", "org.apache.kafka.tools.VerifiableProducer", *words, "--producer.config", properties]
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=errors)

    def events(self):
        for line in self.output.read_text(errors="replace").splitlines():
            if line.startswith("{") and line.endswith("}"):
                yield json.loads(line)

    def wait_for_first(self, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while not any(event["name"] == "producer_send_success" for event in self.events()):
            assert self.process.poll() is None and time.monotonic() < deadline, "Apache's producer does not write"
            time.sleep(0.2)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM makes it flush and end; then its ledger."""
        self.process.terminate()
        self.process.wait(FLUSH_TIMEOUT_S)
        ledger = Ledger(str(self.number))
        for event in self.events():
            if event["name"] == "producer_send_success":
                sequence = int(event["value"].rpartition(".")[2])
                ledger.acked[sequence] = Ack(event["partition"], event["offset"], event["timestamp"] / 1000)
            elif event["name"] == "producer_send_error":
                ledger.failed[int(event["value"].rpartition(".")[2])] = event["exception"]
        return ledger


class Watcher:
    """A consumer in no group that reads on while things break, and notes what it is shown and whether that jumps."""

    def __init__(self, bootstrap, topic, partitions, **config):
        settings = {key.replace("_", "."): value for key, value in config.items()}
        self.seen, self.findings, self.errors = {}, [], []
        self._last = {}
        self._consumer = Consumer({
            "bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "reconnect.backoff.ms": 50,
            "auto.offset.reset": "error", "socket.timeout.ms": 4000, **QUIET, **settings,
        })  # fmt: skip
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        _running.append(self)
        return self

    def _run(self):
        while not self._ended.is_set():
            for message in self._consumer.consume(1000, 0.1):
                if message.error():
                    self.errors.append(str(message.error()))
                    continue
                place = message.partition(), message.offset()
                if place[1] <= self._last.get(place[0], -1):
                    self.findings.append(f"{place} was shown after {self._last[place[0]]}")
                self._last[place[0]] = place[1]
                self.seen[place] = message.value().decode().rstrip()

    def stop(self):
        self._ended.set()
        self._thread.join()
        _running.remove(self)
        self._consumer.close()
        return self.seen

    stop_quietly = stop


def read_all(bootstrap, topic, partitions, **config):
    """All that is in a topic, (partition, offset) -> value without its padding."""
    settings = {key.replace("_", "."): value for key, value in config.items()}
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False, "enable.partition.eof": True, "check.crcs": True,
        **QUIET, **settings,
    })  # fmt: skip
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    found, at_end, deadline = {}, set(), time.monotonic() + READ_TIMEOUT_S
    while len(at_end) < partitions:
        messages = consumer.consume(10_000, 0.2)
        assert messages or time.monotonic() < deadline, f"only partitions {at_end} of {topic} could be read to their end"
        for message in messages:
            if message.error() is None:
                found[message.partition(), message.offset()] = message.value().decode().rstrip()
                deadline = time.monotonic() + READ_TIMEOUT_S
            elif message.error().code() == KafkaError._PARTITION_EOF:
                at_end.add(message.partition())
            elif message.error().fatal() or message.error().code() == KafkaError.OFFSET_OUT_OF_RANGE:
                raise KafkaException(message.error())
    consumer.close()
    return found
