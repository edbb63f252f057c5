"""Fixtures of all tests with real clients."""

import itertools
import sys
import pathlib

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.kafka import Kafka  # noqa: E402
from harness.server import make_ours  # noqa: E402

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """A node (or a cluster) that the tests share and none of them stops."""
    shared = make_ours(tmp_path_factory.mktemp("node")).start()
    yield shared
    shared.kill()


@pytest.fixture
def make_node(tmp_path):
    """Makes nodes of a test's own; whatever still runs at its end is killed."""
    made = []

    def make(name="node", **settings):
        made.append(make_ours(tmp_path / name, **settings))
        return made[-1]

    yield make
    for own in made:
        own.kill()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """A real Apache Kafka."""
    real = Kafka(tmp_path_factory.mktemp("kafka")).start()
    yield real
    real.kill()


@pytest.fixture
def topic(request):
    """A topic name nobody else uses."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return f"{name[:100]}-{next(_numbers)}"
