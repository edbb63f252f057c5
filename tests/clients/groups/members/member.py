"""What the members written in Python share: their arguments, their log, and their end at SIGTERM."""

import argparse
import json
import os
import signal


class Member:
    """Arguments and log of one member. Every line is one write, so SIGKILL leaves whole lines."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        for name in ("bootstrap", "topic", "group"):
            parser.add_argument(f"--{name}", required=True)
        parser.add_argument("--session-ms", type=int, required=True)
        parser.add_argument("--assignor", help="the client's own default if it is not given")
        self.arguments = parser.parse_args()
        self.running = True
        signal.signal(signal.SIGTERM, self._end)

    def _end(self, *_):
        self.running = False

    def assigned(self, generation, partitions, begun=None):
        held = sorted(partitions)
        self._write({"event": "assigned", "generation": generation, "partitions": held, "begun": held if begun is None else sorted(begun)})

    def revoked(self, partitions):
        self._write({"event": "revoked", "partitions": sorted(partitions)})

    def records(self, records):
        """`records`: (partition, offset, value) in the order in which the client handed them out."""
        self._write(*({"event": "record", "partition": partition, "offset": offset, "value": value.decode()} for partition, offset, value in records))

    def _write(self, *events):
        lines = "".join(json.dumps(event) + "\n" for event in events).encode()
        while lines:
            lines = lines[os.write(1, lines) :]
