"""The checker is not blind: each kind of finding is found, and what is allowed is not."""

from array import array

import pytest

from harness.history import Ack, Ledger, check, check_seen, compare


def ledger(*acked, sent=3):
    """Acknowledged are (sequence, partition, offset)."""
    return Ledger("p", array("d", range(sent)), {sequence: Ack(partition, offset, sequence + 0.5) for sequence, partition, offset in acked})


GOOD = {(0, 0): "p.0", (0, 1): "p.1", (0, 2): "p.2"}


def test_what_is_as_it_was_told_is_good():
    assert not check([ledger((0, 0, 0), (1, 0, 1), (2, 0, 2))], GOOD)
    assert not check([ledger((0, 0, 0))], GOOD), "records that nobody vouched for may be there"
    assert not check([ledger((0, 0, 0))], {(0, 0): "p.0"}), "or not"
    assert not check([ledger((0, 0, None))], GOOD), "without acks nobody tells an offset"


@pytest.mark.parametrize(
    "kind, read",
    [
        ("lost", {(0, 0): "p.0", (0, 2): "p.2"}),
        ("moved", {(0, 0): "p.0", (0, 1): "p.2", (0, 2): "p.1"}),
        ("twice", {**GOOD, (0, 3): "p.1"}),
        ("disordered", {(0, 0): "p.0", (0, 1): "p.1", (0, 2): "p.2", (0, 3): "p.0"}),
        ("invented", {**GOOD, (0, 3): "p.3"}),
    ],
)
def test_each_kind_is_found(kind, read):
    assert vars(check([ledger((0, 0, 0), (1, 0, 1), (2, 0, 2))], read))[kind]


def test_a_producer_that_tries_again_may_write_twice_but_not_lose():
    read = {**GOOD, (0, 3): "p.1"}
    assert not check([ledger((1, 0, 3))], read, exactly_once=False)
    assert check([ledger((1, 0, 3))], {(0, 0): "p.0"}, exactly_once=False).lost


def test_what_was_shown_stays():
    assert not check_seen({(0, 0): "p.0"}, GOOD)
    assert check_seen({(0, 3): "p.3"}, GOOD).lost
    assert check_seen({(0, 0): "p.1"}, GOOD).changed
    assert compare(GOOD, {(0, 1): "p.2"}).changed and not compare(GOOD, {(1, 0): "p.9"})


def test_gaps_are_measured_for_each_partition():
    own = ledger((0, 0, 0), (1, 1, 0), (2, 0, 1))
    assert own.first_ack_after(0.2) == {1: 1.5, 0: 2.5}
    assert own.longest_silence(0, 3) == {0: 2.0, 1: 1.5}
