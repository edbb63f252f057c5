"""What the members of a group saw, and whether a correct broker could have let them see it. Pure: values in, findings out."""

from collections import Counter, defaultdict
from dataclasses import dataclass


@dataclass(frozen=True)
class Assigned:
    """From here on the member reads `partitions`; those in `begun` from their committed offset, the others from where it was."""

    partitions: frozenset
    begun: frozenset
    generation: int = -1


@dataclass(frozen=True)
class Revoked:
    """From here on the member does not read `partitions`."""

    partitions: frozenset


@dataclass(frozen=True)
class Record:
    """One record that reached the application."""

    partition: int
    offset: int
    value: str


def check(histories, written, exactly_once=False):
    """Every way in which `histories` (member -> events) contradicts `written` ((partition, offset) -> value) and Kafka's promises."""
    found = _check_records(histories, written, exactly_once)
    for member, events in histories.items():
        found += _check_order(member, events)
    return found + _check_owners(histories)


def owners(histories):
    """(generation, partition) -> the members that were assigned it."""
    owned = defaultdict(set)
    for member, events in histories.items():
        for event in events:
            if isinstance(event, Assigned) and event.generation >= 0:
                for partition in event.partitions:
                    owned[event.generation, partition].add(member)
    return owned


def _check_records(histories, written, exactly_once):
    times_read = Counter()
    found = []
    for member, events in histories.items():
        for event in events:
            if isinstance(event, Record):
                place = event.partition, event.offset
                times_read[place] += 1
                if place not in written:
                    found.append(f"{member} read {event}, which was never written")
                elif written[place] != event.value:
                    found.append(f"{member} read {event}, but {written[place]!r} was written")
    missed = [place for place in sorted(written) if not times_read[place]]
    if missed:
        found.append(f"{len(missed)} records were read by nobody, the first is {missed[0]}")
    repeated = [place for place, times in times_read.items() if times > 1]
    if exactly_once and repeated:
        found.append(f"{len(repeated)} records were read more than once, the first is {min(repeated)}")
    return found


def _check_order(member, events):
    """While a member holds a partition it reads it offset by offset; it never reads one that it does not hold."""
    found = []
    held, last = frozenset(), {}
    for event in events:
        if isinstance(event, Assigned):
            held = event.partitions
            last = {partition: offset for partition, offset in last.items() if partition in held - event.begun}
        elif isinstance(event, Revoked):
            held -= event.partitions
        elif event.partition not in held:
            found.append(f"{member} read {event} without holding the partition")
        else:
            before = last.get(event.partition)
            if before is not None and event.offset != before + 1:
                found.append(f"{member} read {event} after offset {before}")
            last[event.partition] = event.offset
    return found


def _check_owners(histories):
    return [
        f"in generation {generation} partition {partition} belongs to {' and '.join(sorted(members))}"
        for (generation, partition), members in sorted(owners(histories).items())
        if len(members) > 1
    ]
