"""Apache Kafka's own tools around groups, in their newest version."""

import csv
import io
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import kafka as apache
from harness.group_member import Java
from harness.load import Load

TIMEOUT_S = 30
OFFSETS_FORMATTER = "org.apache.kafka.tools.consumer.OffsetsMessageFormatter"
GROUPS_FORMATTER = "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter"


@pytest.fixture
def groups(server):
    """Runs ConsumerGroupCommand."""

    def run(*arguments, check=True):
        return apache.tool("ConsumerGroupCommand", "--bootstrap-server", server.address, *arguments, check=check)

    return run


def consume(server, topic, group, count):
    """Reads `count` records in a group; its offsets are committed when the tool ends."""
    return apache.tool(
        "ConsoleConsumer", "--bootstrap-server", server.address, "--topic", topic, "--group", group, "--from-beginning",
        "--max-messages", count, "--timeout-ms", TIMEOUT_S * 1000,
    ).stdout.split()  # fmt: skip


def table(shown):
    """The rows of a table that the tool printed, each as column -> cell."""
    lines = [line.split() for line in shown.splitlines() if line.strip()]
    head = next(number for number, line in enumerate(lines) if line[0] in ("GROUP", "TOPIC"))
    columns = " ".join(lines[head]).replace("COORDINATOR (ID)", "COORDINATOR").split()
    return [dict(zip(columns, [cell for cell in line if not re.fullmatch(r"\(\d+\)", cell)])) for line in lines[head + 1 :]]


def test_console_consumer_reads_in_a_group_and_goes_on_where_it_was(server, topic4, group):
    Load(server.address).write_all([topic4], 4, 25)
    assert sorted(map(int, consume(server, topic4, group, 100))) == list(range(100))
    Load(server.address).write_all([topic4], 4, 1)
    assert len(consume(server, topic4, group, 4)) == 4


def test_an_empty_group_from_list_to_delete(server, groups, topic4, group):
    Load(server.address).write_all([topic4], 4, 10)
    consume(server, topic4, group, 40)
    Load(server.address).write_all([topic4], 4, 2)
    listed = {row["GROUP"]: row["STATE"] for row in table(groups("--list", "--state").stdout)}
    assert listed[group] == "Empty"
    rows = table(groups("--describe", "--group", group).stdout)
    assert [(row["CURRENT-OFFSET"], row["LOG-END-OFFSET"], row["LAG"]) for row in rows] == [("10", "12", "2")] * 4
    members = groups("--describe", "--group", group, "--members")
    assert "has no active members" in members.stdout + members.stderr

    reset = ("--reset-offsets", "--group", group, "--topic", topic4)
    dry = groups(*reset, "--to-earliest", "--dry-run").stdout
    assert {row["NEW-OFFSET"] for row in table(dry)} == {"0"}
    exported = groups(*reset, "--to-current", "--export", "--dry-run").stdout
    assert sorted(tuple(row) for row in csv.reader(io.StringIO(exported)) if row) == [(topic4, str(number), "10") for number in range(4)]
    for how, wanted in ((("--shift-by", "-3"), "7"), (("--to-latest",), "12")):
        done = groups(*reset, *how, "--execute").stdout
        assert {row["NEW-OFFSET"] for row in table(done)} == {wanted}

    deleted = groups("--delete-offsets", "--group", group, "--topic", f"{topic4}:1").stdout
    assert "Successful" in deleted
    rows = table(groups("--describe", "--group", group).stdout)
    assert [(row["PARTITION"], row["CURRENT-OFFSET"]) for row in rows if row["CURRENT-OFFSET"] != "-"] == [("0", "12"), ("2", "12"), ("3", "12")]
    assert "successful" in groups("--delete", "--group", group).stdout
    unknown = groups("--describe", "--group", group, check=False)
    assert f"Group {group} not found." in unknown.stdout + unknown.stderr


def test_a_group_with_members(server, groups, topic4, group, tmp_path):
    Load(server.address).write_all([topic4], 4, 10)
    members = [Java(tmp_path, server.address, topic4, group) for _ in range(2)]
    try:
        deadline = time.monotonic() + TIMEOUT_S
        while not (all(len(member.held()) == 2 for member in members) and sum(len(member.records()) for member in members) >= 40):
            assert time.monotonic() < deadline, [member.errors.tail() for member in members]
            time.sleep(0.1)
        rows = table(groups("--describe", "--group", group).stdout)
        assert sorted((row["PARTITION"], row["LAG"]) for row in rows) == [(str(number), "0") for number in range(4)]
        assert len({row["CONSUMER-ID"] for row in rows}) == 2 and {row["HOST"] for row in rows} == {"/127.0.0.1"}
        shown = table(groups("--describe", "--group", group, "--members").stdout)
        assert [row["#PARTITIONS"] for row in shown] == ["2", "2"]
        state = table(groups("--describe", "--group", group, "--state").stdout)[0]
        assert (state["ASSIGNMENT-STRATEGY"], state["STATE"], state["#MEMBERS"]) == ("range", "Stable", "2")
        refused = groups("--delete", "--group", group, check=False)
        assert "GroupNotEmptyException" in refused.stdout + refused.stderr
        reset = groups("--reset-offsets", "--group", group, "--topic", topic4, "--to-earliest", "--execute", check=False)
        assert f"can only be reset if the group '{group}' is inactive, but the current state is Stable" in reset.stdout + reset.stderr
    finally:
        for member in members:
            member.end()
        for member in members:
            member.wait()
    assert [member.fault() for member in members] == [None, None]


def test_consumer_performance_counts_every_record(server, topic4, group):
    Load(server.address).write_all([topic4], 4, 2500)
    run = apache.tool(
        "ConsumerPerformance", "--bootstrap-server", server.address, "--topic", topic4, "--group", group, "--num-records", 10_000,
        "--timeout", TIMEOUT_S * 1000,
    )  # fmt: skip
    rows = list(csv.reader(io.StringIO(run.stdout), skipinitialspace=True))
    head = next(number for number, row in enumerate(rows) if row and row[0] == "start.time")
    counts = [int(cell) for name, cell in zip(rows[head], rows[head + 1]) if name in ("data.consumed.in.nMsg", "records.consumed", "data.consumed.in.nRecords")]
    assert counts == [10_000], rows


def formatted(server, formatter, group):
    """What a formatter makes of the records about a group, in the order of the log. It puts no newline between them."""
    text = apache.tool(
        "ConsoleConsumer", "--bootstrap-server", server.address, "--topic", "__consumer_offsets", "--from-beginning",
        "--timeout-ms", 4000, "--formatter", formatter, check=False,
    ).stdout  # fmt: skip
    found, decoder = [], json.JSONDecoder()
    while text := text.lstrip():
        record, end = decoder.raw_decode(text)
        text = text[end:]
        if record["key"]["data"]["group"] == group:
            found.append((record["key"]["data"], record["value"] and record["value"]["data"]))
    return found


def test_apache_reads_our_offsets_topic(server, topic4, group):
    """Its formatters over the wire, and its segment dump from the disk."""
    Load(server.address).write_all([topic4], 4, 10)
    consume(server, topic4, group, 40)
    with ThreadPoolExecutor() as threads:
        commits, generations = threads.map(lambda formatter: formatted(server, formatter, group), (OFFSETS_FORMATTER, GROUPS_FORMATTER))
    offsets = {(key["topic"], key["partition"]): value["offset"] for key, value in commits}
    assert offsets == {(topic4, number): 10 for number in range(4)}
    states = [value for _, value in generations]
    assert any(state["protocol"] == "range" and [member["clientId"] for member in state["members"]] == ["console-consumer"] for state in states)
    assert states[-1]["members"] == [], "the last record of the group says that it is empty"

    logs = [path for path in sorted(server.data.glob("__consumer_offsets-*/*.log")) if path.stat().st_size]
    dumped = apache.tool("DumpLogSegments", "--offsets-decoder", "--files", ",".join(map(str, logs))).stdout
    assert re.search(rf'"group":"{group}".*"topic":"{topic4}".*"partition":2', dumped), dumped[-2000:]
    assert re.search(rf'"group":"{group}".*"protocolType":"consumer"', dumped), dumped[-2000:]
