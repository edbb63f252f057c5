"""What `acks` means on three nodes, event by event: what may be lost, what must not, and how long nobody is served."""

import time

import pytest
from confluent_kafka import KafkaException

from harness.cluster import IS_CONTROL, DohleCluster
from harness.history import check, check_seen, read_of
from harness.ledger import Watcher, Writer, read_all
from harness.wire import Connection

pytestmark = pytest.mark.timeout(300)

SESSION_S = 9 if IS_CONTROL else 3
# What a busy machine adds; how long it takes on a quiet one is measured in benches/.
SLACK_S = 10
PARTITIONS = 3
NOT_LEADER, TIMED_OUT, NOT_ENOUGH, NOT_ENOUGH_AFTER = 6, 7, 19, 20
FENCED, UNKNOWN_EPOCH = 74, 76
LEVELS = {"0": {"acks": 0}, "1": {"acks": 1}, "all": {"acks": "all", "enable_idempotence": True}}


def writers(cluster, topic, per_second=600):
    """One for each level of acks."""
    return {level: Writer(cluster.bootstrap, topic, range(PARTITIONS), f"acks-{level}", per_second, **how).start() for level, how in LEVELS.items()}


def findings(cluster, topic, ledgers):
    """Level -> what is wrong with it, once all replicas are there again and the same."""
    cluster.wait_in_sync(topic)
    read = read_all(cluster.bootstrap, topic, PARTITIONS)
    cluster.check_identical(topic)
    return {level: check([ledger], read_of(read, ledger), exactly_once=level == "all") for level, ledger in ledgers.items()}, read


def test_a_clean_stop_of_a_leader_loses_nothing_at_acks_all_and_hardly_a_moment(cluster, topic):
    cluster.create(topic, PARTITIONS)
    load = writers(cluster, topic)
    watcher = Watcher(cluster.bootstrap, topic, PARTITIONS).start()
    load["all"].wait_for(300)
    leader = cluster.leader(topic)
    begin = time.monotonic()
    leader.stop()
    load["all"].wait_for(300)
    leader.start()
    load["all"].wait_for(300)
    end = time.monotonic()
    ledgers = {level: writer.stop() for level, writer in load.items()}
    found, read = findings(cluster, topic, ledgers)
    seen = watcher.stop()
    assert not found["all"] and not check_seen(seen, read) and not watcher.findings, (found["all"], watcher.findings)
    assert not ledgers["all"].failed
    assert max(ledgers["all"].longest_silence(begin, end).values()) < SESSION_S, "the leader left in order, so nobody waits for a session to end"


def test_a_killed_follower_costs_nothing_at_any_level(cluster, topic):
    """Each partition has the same leader, which nobody kills."""
    cluster.create(topic, assignment=[[1, 2, 3], [1, 3, 2], [1, 2, 3]])
    load = writers(cluster, topic)
    load["all"].wait_for(300)
    begin = time.monotonic()
    for follower in (2, 3):
        cluster.members[follower].kill()
        load["all"].wait_for(300)
        cluster.members[follower].start()
        cluster.wait_in_sync(topic)
    end = time.monotonic()
    ledgers = {level: writer.stop() for level, writer in load.items()}
    found, _ = findings(cluster, topic, ledgers)
    assert not any(found.values()), {level: str(what) for level, what in found.items()}
    assert not any(ledger.failed for ledger in ledgers.values())
    assert max(ledgers["all"].longest_silence(begin, end).values()) < SESSION_S + SLACK_S


def test_a_zombie_leader_acknowledges_nothing_that_acks_all_relies_on(cluster, topic):
    """The leader sleeps until another leads. What it wakes up with is refused, and what was acknowledged meanwhile stays."""
    cluster.create(topic, 1)
    zombie = cluster.leader(topic)
    others = [number for number in cluster.members if number != zombie.id]
    connections = {acks: Connection(zombie) for acks in (-1, 1)}
    assert connections[-1].produce(topic, 0, b"before.0")[0] == 0
    load = Writer(cluster.bootstrap, topic, [0], "all", 500, **LEVELS["all"]).start()
    load.wait_for(100)
    zombie.pause()
    for acks, connection in connections.items():
        connection.send_produce(topic, 0, b"zombie%d.0" % acks, acks=acks)
    began = time.monotonic()
    cluster.wait("another leads", lambda: cluster.partitions(topic, others)[0].leader in others)
    assert time.monotonic() - began < SESSION_S + SLACK_S
    load.wait_for(200)
    zombie.go_on()
    error, _ = connections[-1].produce_answer()
    assert error in (NOT_LEADER, TIMED_OUT, NOT_ENOUGH, NOT_ENOUGH_AFTER), f"the zombie answered {error} to acks=all"
    error_of_one, _ = connections[1].produce_answer()
    load.wait_for(200)
    ledger = load.stop()
    cluster.wait_in_sync(topic)
    read = read_all(cluster.bootstrap, topic, 1)
    cluster.check_identical(topic)
    assert not (found := check([ledger], read_of(read, ledger))), found
    if error_of_one == 0:
        assert "zombie1.0" not in read.values(), "the zombie's own writes are lost: it follows now, and its tail was cut"


def test_below_the_minimum_acks_all_is_refused_and_acks_1_goes_on(tmp_path, own, topic):
    """Two of three brokers are down; the controllers, which are other processes, are all there."""
    if IS_CONTROL:
        pytest.skip("the script makes combined nodes only")
    cluster = own(DohleCluster(tmp_path, brokers=3, controllers=3)).start()
    cluster.create(topic, 1)
    left, *others = cluster.leader(topic), *(member for member in cluster.members.values() if member != cluster.leader(topic))
    before = Connection(left).produce(topic, 0, b"before.0")
    assert before[0] == 0
    waiting = Connection(left)
    for other in others:
        other.pause()
    waiting.send_produce(topic, 0, b"waiting.0", timeout_ms=20_000)
    for other in others:
        other.kill()
    error, _ = waiting.produce_answer()
    assert error in (NOT_ENOUGH, NOT_ENOUGH_AFTER, TIMED_OUT), f"what was appended with nobody to copy it was answered with {error}"
    cluster.wait("only one is in sync", lambda: cluster.partitions(topic)[0].isr == {left.id})
    end = read_end(left, topic)
    assert Connection(left).produce(topic, 0, b"refused.0")[0] == NOT_ENOUGH
    assert read_end(left, topic) == end, "what is refused is not appended"
    assert Connection(left).produce(topic, 0, b"one.0", acks=1)[0] == 0
    for other in others:
        other.start()
    cluster.wait_in_sync(topic)
    assert Connection(left).produce(topic, 0, b"after.0")[0] == 0
    values = list(read_all(cluster.bootstrap, topic, 1).values())
    assert [value for value in values if value != "waiting.0"] == ["before.0", "one.0", "after.0"]
    cluster.check_identical(topic)


def read_end(leader, topic):
    """Bytes in the leader's log."""
    return sum(segment.stat().st_size for segment in (leader.data / f"{topic}-0").glob("*.log"))


def test_nobody_leads_who_was_not_in_sync(cluster, topic):
    """The last one in sync dies: the partition waits for it, although another replica runs."""
    cluster.create(topic, assignment=[[1, 2]], min_insync_replicas=1)
    cluster.members[2].kill()
    cluster.wait("1 is alone in sync", lambda: cluster.partitions(topic)[0].isr == {1})
    assert Connection(cluster.members[1]).produce(topic, 0, b"alone.0")[0] == 0
    cluster.members[1].pause()
    cluster.members[2].start(wait=False)
    time.sleep(SESSION_S + 2)
    # A client that knows all three may ask the one that sleeps first.
    at = cluster.wait("somebody tells who leads", lambda: cluster.partitions(topic, [3])[0])
    cluster.members[1].go_on()
    assert at.leader in (1, -1), f"{at} leads without what 1 had acknowledged"
    cluster.wait_in_sync(topic)
    assert list(read_all(cluster.bootstrap, topic, 1).values()) == ["alone.0"]


def test_without_a_majority_of_controllers_what_runs_goes_on(cluster, topic):
    """Reads and acks=1 writes are served; a change of the metadata is refused in time, in words that say why."""
    cluster.create(topic, assignment=[[1, 2, 3]])
    assert Connection(cluster.members[1]).produce(topic, 0, b"before.0")[0] == 0
    for number in (2, 3):
        cluster.members[number].kill()
    time.sleep(1)
    assert Connection(cluster.members[1]).produce(topic, 0, b"alone.0", acks=1)[0] == 0
    error, _ = Connection(cluster.members[1]).produce(topic, 0, b"unsafe.0", timeout_ms=2000)
    assert error in (TIMED_OUT, NOT_ENOUGH, NOT_ENOUGH_AFTER), f"acks=all was answered with {error} by one of three"
    found = read_all(cluster.members[1].address, topic, 1)
    assert "before.0" in found.values()
    begin = time.monotonic()
    with pytest.raises((KafkaException, AssertionError)) as refused:
        cluster.create(f"{topic}-later", 1, replicas=1, timeout_s=5)
    assert time.monotonic() - begin < 20
    if not IS_CONTROL:
        assert "majority" in str(refused.value) or "controller" in str(refused.value), refused.value
    for number in (2, 3):
        cluster.members[number].start(wait=False)
    for number in (2, 3):
        cluster.members[number].wait_until_ready()
    cluster.wait_in_sync(topic)
    assert "alone.0" in read_all(cluster.bootstrap, topic, 1).values(), "nobody else was elected, so nothing was cut"
