"""Three members of each client over twelve partitions, and a group of three languages: first a clean run, then a storm under load in
which one member is killed, one is stopped for longer than its session, two are added, and the broker is killed and started again.

All clients share the node and the storm, each with a topic and a group of its own, so that the whole takes the time of the slowest."""

import time

import pytest

from harness.group_history import check, owners
from harness.group_member import Aiokafka, Confluent, Java, KafkaPython, Kafkajs, Kcat
from harness.load import Load, create_topic, read_back
from harness.server import GROUP_SETTINGS, make_server

pytestmark = pytest.mark.timeout(600)

PARTITIONS = 12
SESSION_MS = 3000
CLEAN_RECORDS_EACH = 50
RECORDS_PER_SECOND = 240
PHASE_TIMEOUT_S = 60
# What a rebalance takes beside the session of the member that is gone: heartbeats and joins on a busy machine.
TAKEOVER_SLACK_S = 6

# Who is there at first (killed, stopped, left alone), who comes later, and the assignor if it is not the client's default.
LANES = {
    "confluent": ([Confluent] * 3, [Confluent] * 2, "cooperative-sticky"),
    "kafka-python": ([KafkaPython] * 3, [KafkaPython] * 2, None),
    "aiokafka": ([Aiokafka] * 3, [Aiokafka] * 2, None),
    "kafkajs": ([Kafkajs] * 3, [Kafkajs] * 2, None),
    "kcat": ([Kcat] * 3, [Kcat] * 2, None),
    "java": ([Java] * 3, [Java] * 2, "CooperativeStickyAssignor"),
    "mixed": ([Confluent, KafkaPython, Java], [KafkaPython, Confluent], None),
}


class Lane:
    """One group on its way through the storm, and what was found about it."""

    def __init__(self, name, folder, address):
        self.first, self.later, self.assignor = LANES[name]
        self.topic, self.group = f"storm-{name}", f"group-{name}"
        self.folder, self.address = folder, address
        self.members, self.awake = [], []
        self.clean_findings, self.findings = [], []
        self.takeover_s = None
        create_topic(address, self.topic, PARTITIONS)

    def start(self, kinds):
        for kind in kinds:
            member = kind(self.folder, self.address, self.topic, self.group, SESSION_MS, self.assignor)
            self.members.append(member)
            self.awake.append(member)

    def shares_all(self):
        """Every member that is awake holds something, and together they hold every partition once."""
        held = [member.held() for member in self.awake]
        return all(held) and sum(map(len, held)) == PARTITIONS and frozenset().union(*held) == frozenset(range(PARTITIONS))

    def held(self):
        return [(member.name, sorted(member.held())) for member in self.awake]

    def histories(self):
        return {member.name: list(member.events()) for member in self.members}

    def has_read(self, count):
        return len({(record.partition, record.offset) for member in self.members for record in member.records()}) >= count

    def written(self):
        return read_back(self.address, self.topic, PARTITIONS)


class Storm:
    """All lanes go through each phase together; a lane that does not come to the end of a phase says so in its findings."""

    def __init__(self, folder):
        self.server = make_server(folder / "server", **GROUP_SETTINGS).start()
        self.lanes = {name: Lane(name, folder, self.server.address) for name in LANES}
        self.load = Load(self.server.address)

    def each(self, act):
        for lane in self.lanes.values():
            act(lane)

    def wait_for(self, what, reached):
        """Waits until all lanes have reached something; returns the time that each took. Nobody waits again for a lane that did not."""
        begin, took = time.monotonic(), {}
        waiting = {name: lane for name, lane in self.lanes.items() if not lane.findings}
        while waiting:
            for name, lane in list(waiting.items()):
                took_s = time.monotonic() - begin
                lane.findings += [member.fault() for member in lane.awake if member.fault()]
                if reached(lane):
                    took[name] = took_s
                elif took_s > PHASE_TIMEOUT_S:
                    lane.findings.append(f"{what}: not within {PHASE_TIMEOUT_S} s; held: {lane.held()}")
                if name in took or lane.findings:
                    del waiting[name]
            time.sleep(0.1)
        print(f"{what}: {', '.join(f'{name} {took_s:.1f} s' for name, took_s in took.items())}")
        return took

    def run_clean(self):
        self.each(lambda lane: lane.start(lane.first))
        self.wait_for("three members share the partitions", Lane.shares_all)
        self.load.write_all([lane.topic for lane in self.lanes.values()], PARTITIONS, CLEAN_RECORDS_EACH)
        self.wait_for("the first records are read", lambda lane: lane.has_read(PARTITIONS * CLEAN_RECORDS_EACH))
        time.sleep(1)  # Whatever is read twice had its time.
        for lane in self.lanes.values():
            lane.clean_findings = lane.findings + check(lane.histories(), lane.written(), exactly_once=True)

    def run_storm(self):
        self.load.begin([lane.topic for lane in self.lanes.values()], PARTITIONS, RECORDS_PER_SECOND)
        self.each(lambda lane: lane.awake.pop(0).kill())
        for name, took_s in self.wait_for("the others take over from the killed member", Lane.shares_all).items():
            self.lanes[name].takeover_s = took_s
        self.each(lambda lane: lane.awake.pop(0).stop())
        self.wait_for("the others take over from the stopped member", Lane.shares_all)
        self.each(lambda lane: lane.start(lane.later))
        self.wait_for("two more members get their share", Lane.shares_all)
        self.server.restart_after_kill()
        self.each(self.wake_the_stopped_member)
        self.wait_for("all share again after the broker was killed", Lane.shares_all)
        self.load.end()
        for lane in self.lanes.values():
            lane.count = sum(1 for topic, _, _ in self.load.acked if topic == lane.topic)
        self.wait_for("all records are read", lambda lane: lane.has_read(lane.count))
        self.check()

    def wake_the_stopped_member(self, lane):
        stopped = lane.members[1]
        stopped.go_on()
        lane.awake.append(stopped)

    def check(self):
        lanes = [lane for lane in self.lanes.values() if not lane.findings]
        for lane in lanes:
            for member in lane.awake:
                member.end()
        for lane in lanes:
            for member in lane.awake:
                member.wait()
                lane.findings += filter(None, [member.fault()])
            written = lane.written()
            acked = {(partition, offset): value for (topic, partition, offset), value in self.load.acked.items() if topic == lane.topic}
            if acked != written:
                lane.findings.append(f"{len(acked)} records were acknowledged and {len(written)} are there")
            lane.findings += check(lane.histories(), written)

    def kill(self):
        for lane in self.lanes.values():
            for member in lane.members:
                member.kill()
        self.server.kill()


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    run = Storm(tmp_path_factory.mktemp("storm"))
    try:
        run.run_clean()
        run.run_storm()
        yield run
    finally:
        run.kill()


@pytest.mark.parametrize("client", LANES)
def test_a_clean_run_reads_each_record_exactly_once(storm, client):
    assert storm.lanes[client].clean_findings == []


@pytest.mark.parametrize("client", LANES)
def test_a_storm_loses_nothing_and_every_partition_has_one_reader(storm, client):
    lane = storm.lanes[client]
    assert lane.findings == []
    generations = {generation for generation, _ in owners(lane.histories())}
    assert len(generations) >= 4, f"the storm made only the generations {sorted(generations)}"


@pytest.mark.parametrize("client", LANES)
def test_the_others_take_over_from_a_killed_member_within_its_session(storm, client):
    assert storm.lanes[client].takeover_s < SESSION_MS / 1000 + TAKEOVER_SLACK_S
