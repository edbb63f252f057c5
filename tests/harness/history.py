"""What producers were told about their records, and whether what is in the logs fits to it. Pure: values in, findings out.

A value is `producer.sequence`. A record that nobody vouched for, because its producer was told of an error or of nothing, may be there
or not; it is as good as unknown."""

from array import array
from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

FINDINGS_SHOWN = 3


class Ack(NamedTuple):
    """`offset` is None if the server tells none (`acks=0`)."""

    partition: int
    offset: int | None
    at: float


@dataclass
class Ledger:
    """What one producer did. `sent_at` has an entry for each of its records, if the producer is our own."""

    producer: str
    sent_at: array = field(default_factory=lambda: array("d"))
    acked: dict = field(default_factory=dict)
    failed: dict = field(default_factory=dict)

    def first_ack_after(self, moment):
        """Partition -> when the first record that was sent after `moment` was acknowledged."""
        first = {}
        for sequence, ack in list(self.acked.items()):
            if self.sent_at[sequence] > moment and ack.at < first.get(ack.partition, float("inf")):
                first[ack.partition] = ack.at
        return first

    def longest_silence(self, begin, end):
        """Partition -> the longest time without an acknowledgement between two moments."""
        times = defaultdict(list)
        for ack in self.acked.values():
            if begin <= ack.at <= end:
                times[ack.partition].append(ack.at)
        return {
            partition: max(later - earlier for earlier, later in zip([begin, *sorted(at)], [*sorted(at), end]))
            for partition, at in times.items()
        }


@dataclass
class Findings:
    """What no correct server does, by kind; empty is good. A record that nobody can find again is `lost`."""

    lost: list = field(default_factory=list)
    moved: list = field(default_factory=list)
    twice: list = field(default_factory=list)
    disordered: list = field(default_factory=list)
    invented: list = field(default_factory=list)
    changed: list = field(default_factory=list)

    def __bool__(self):
        return any(vars(self).values())

    def __str__(self):
        kinds = [f"{len(found)} {kind}, such as {found[:FINDINGS_SHOWN]}" for kind, found in vars(self).items() if found]
        return "; ".join(kinds) or "nothing"


def check(ledgers, read, exactly_once=True):
    """Compares what producers were told with all that is in a topic: (partition, offset) -> value.

    Without `exactly_once` a record may be there twice, and out of order: a producer that is not idempotent tries again."""
    found = Findings()
    places = defaultdict(list)
    for place in sorted(read):
        places[read[place]].append(place)
    for ledger in ledgers:
        _check_acks(ledger, places, found, exactly_once)
        if exactly_once:
            _check_order(ledger, read, found)
    if exactly_once:
        found.twice += [(value, at) for value, at in places.items() if len(at) > 1]
    sent = {ledger.producer: len(ledger.sent_at) for ledger in ledgers if ledger.sent_at}
    for value in places:
        producer, sequence = split(value)
        if producer in sent and sequence >= sent[producer]:
            found.invented.append(value)
    return found


def _check_acks(ledger, places, found, exactly_once):
    for sequence, ack in ledger.acked.items():
        value = f"{ledger.producer}.{sequence}"
        at = places.get(value, [])
        if not at:
            found.lost.append((value, ack.partition, ack.offset))
        elif ack.offset is not None and (ack.partition, ack.offset) not in at:
            found.moved.append((value, (ack.partition, ack.offset), at))


def _check_order(ledger, read, found):
    last = {}
    for partition, offset in sorted(read):
        producer, sequence = split(read[partition, offset])
        if producer == ledger.producer:
            if sequence <= last.get(partition, -1):
                found.disordered.append((read[partition, offset], partition, offset, f"after {last[partition]}"))
            last[partition] = sequence


def compare(read, other):
    """Two readings of one topic: what stands at an offset never changes."""
    return Findings(changed=[(place, value, other[place]) for place, value in read.items() if other.get(place, value) != value])


def read_of(read, ledger):
    """What one producer wrote, of all that is in a topic."""
    return {place: value for place, value in read.items() if value.startswith(ledger.producer + ".")}


def check_seen(seen, read):
    """What a consumer was shown while things broke, against what is there in the end: nothing that was shown may go or change."""
    found = Findings()
    for place, value in seen.items():
        if place not in read:
            found.lost.append((value, *place, "was shown to a consumer"))
        elif read[place] != value:
            found.changed.append((place, value, read[place]))
    return found


def split(value):
    producer, _, sequence = value.rpartition(".")
    return producer, int(sequence)
