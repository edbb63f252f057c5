"""The checker of group histories accepts what may happen and finds what may not: one forged history for each of its rules."""

from harness.group_history import Assigned, Record, Revoked, check


def assigned(generation, *partitions, begun=None):
    return Assigned(frozenset(partitions), frozenset(partitions if begun is None else begun), generation)


def records(partition, *offsets):
    return [Record(partition, offset, f"{partition}-{offset}") for offset in offsets]


def written(**counts):
    """`p0=2`: two records in partition 0."""
    return {(int(name[1:]), offset): f"{name[1:]}-{offset}" for name, count in counts.items() for offset in range(count)}


TWO_MEMBERS = {
    "a": [assigned(1, 0), *records(0, 0, 1, 2)],
    "b": [assigned(1, 1), *records(1, 0, 1)],
}


def test_each_partition_read_once_is_clean():
    assert check(TWO_MEMBERS, written(p0=3, p1=2), exactly_once=True) == []


def test_a_repeat_after_a_rebalance_is_allowed_at_least_once_only():
    histories = {
        "a": [assigned(1, 0, 1), *records(0, 0, 1, 2), *records(1, 0)],
        "b": [assigned(2, 0), *records(0, 1, 2), assigned(3, 0), *records(0, 2, 3)],
        "c": [assigned(2, 1), *records(1, 0, 1)],
    }
    assert check(histories, written(p0=4, p1=2)) == []
    found = check(histories, written(p0=4, p1=2), exactly_once=True)
    assert found == ["3 records were read more than once, the first is (0, 1)"]


def test_a_record_that_nobody_read_is_found():
    assert check(TWO_MEMBERS, written(p0=3, p1=4)) == ["2 records were read by nobody, the first is (1, 2)"]


def test_a_record_that_was_never_written_is_found():
    found = check(TWO_MEMBERS, written(p0=2, p1=2))
    assert len(found) == 1 and "never written" in found[0]


def test_a_changed_value_is_found():
    found = check(TWO_MEMBERS, written(p0=3, p1=2) | {(1, 1): "other"})
    assert len(found) == 1 and "'other' was written" in found[0]


def test_records_out_of_order_are_found():
    found = check({"a": [assigned(1, 0), *records(0, 0, 2, 1)]}, written(p0=3))
    assert [line.split(" after ")[1] for line in found] == ["offset 0", "offset 2"]


def test_a_record_twice_in_one_assignment_is_found():
    found = check({"a": [assigned(1, 0), *records(0, 0, 1, 1)]}, written(p0=2))
    assert len(found) == 1 and "after offset 1" in found[0]


def test_a_skipped_record_is_found_even_if_another_member_read_it():
    histories = {"a": [assigned(1, 0), *records(0, 0, 2)], "b": [assigned(2, 0), *records(0, 1)]}
    assert len(check(histories, written(p0=3))) == 1


def test_a_partition_that_a_cooperative_rebalance_left_alone_must_go_on_where_it_was():
    kept = assigned(2, 0, 1, begun=[1])
    assert check({"a": [assigned(1, 0), *records(0, 0), kept, *records(0, 1), *records(1, 0)]}, written(p0=2, p1=1)) == []
    found = check({"a": [assigned(1, 0), *records(0, 0), kept, *records(0, 0), *records(1, 0)]}, written(p0=1, p1=1))
    assert len(found) == 1 and "after offset 0" in found[0]


def test_a_read_without_the_partition_is_found():
    never = {"a": [assigned(1, 0), *records(0, 0), *records(1, 0)]}
    revoked = {"a": [assigned(1, 0, 1), *records(0, 0), Revoked(frozenset([1])), *records(1, 0)]}
    for histories in (never, revoked):
        found = check(histories, written(p0=1, p1=1))
        assert len(found) == 1 and "without holding" in found[0]


def test_two_owners_in_one_generation_are_found():
    histories = {"a": [assigned(1, 0), *records(0, 0)], "b": [assigned(1, 0, 1), *records(1, 0)]}
    assert check(histories, written(p0=1, p1=1)) == ["in generation 1 partition 0 belongs to a and b"]
