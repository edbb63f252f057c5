"""Requests made byte by byte, for what no client would do: to talk to one broker whatever the metadata say, and to send without reading."""

import socket
import struct
import time

from kafka.record.default_records import DefaultRecordBatchBuilder

PRODUCE, PRODUCE_VERSION = 0, 8
RETRIABLE = {3, 5, 6, 7, 19, 20}


class Connection:
    """To one broker. Answers come in the order of the requests."""

    def __init__(self, member, timeout_s=30):
        self.socket = socket.create_connection((member.host, member.port), timeout=timeout_s)
        self._sent = 0

    def send_produce(self, topic, partition, value, acks=-1, timeout_ms=5000):
        """Sends one record of a producer that is not idempotent, and does not wait."""
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, 1_000_000)
        builder.append(0, int(time.time() * 1000), None, value, [])
        records = bytes(builder.build())
        name = topic.encode()
        body = struct.pack(">hhi", -1, acks, timeout_ms) + struct.pack(">i h", 1, len(name)) + name
        body += struct.pack(">iii", 1, partition, len(records)) + records
        self._sent += 1
        head = struct.pack(">hhih", PRODUCE, PRODUCE_VERSION, self._sent, -1)
        self.socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)

    def produce_answer(self):
        """(error code, offset) of the next answer."""
        answer = self._exactly(struct.unpack(">i", self._exactly(4))[0])
        (length,) = struct.unpack_from(">h", answer, 8)
        _partitions, _partition, error, offset = struct.unpack_from(">iihq", answer, 10 + length)
        return error, offset

    def _exactly(self, size):
        found = b""
        while len(found) < size:
            more = self.socket.recv(size - len(found))
            if not more:
                raise ConnectionError("the broker closed the connection")
            found += more
        return found

    def produce(self, topic, partition, value, acks=-1, timeout_ms=5000):
        self.send_produce(topic, partition, value, acks, timeout_ms)
        return self.produce_answer()

    def close(self):
        self.socket.close()
