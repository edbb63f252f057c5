"""kcat -G: librdkafka 2.0 in a group, from the command line."""

import re
import subprocess

import pytest

from harness.load import Load

TIMEOUT_S = 60


def read(server, group, topic, *arguments):
    """What a member reads until the end of all partitions."""
    command = ["kcat", "-b", server.address, "-X", "auto.offset.reset=earliest", *arguments, "-e", "-q", "-G", group, topic]
    finished = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.split()


@pytest.mark.parametrize("assignor", ["range", "roundrobin", "cooperative-sticky"])
def test_reads_all_once_and_goes_on_where_it_was(server, group, topic4, assignor):
    strategy = ("-X", f"partition.assignment.strategy={assignor}")
    Load(server.address).write_all([topic4], 4, 25)
    assert sorted(map(int, read(server, group, topic4, *strategy))) == list(range(100))
    assert read(server, group, topic4, *strategy) == []
    Load(server.address).write_all([topic4], 4, 1)
    assert len(read(server, group, topic4, *strategy)) == 4


def test_subscribes_by_pattern(server, group, topic4):
    Load(server.address).write_all([topic4], 4, 1)
    assert len(read(server, group, f"^{re.escape(topic4)}$")) == 4


def test_a_static_member_reads(server, group, topic4):
    Load(server.address).write_all([topic4], 4, 1)
    assert len(read(server, group, topic4, "-X", "group.instance.id=one")) == 4
    assert read(server, group, topic4, "-X", "group.instance.id=one") == []
