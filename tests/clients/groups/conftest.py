"""The server under test of the group suites, with the settings that make sessions short."""

import pytest

from harness.load import create_topic
from harness.server import GROUP_SETTINGS, make_server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server that the tests share and none of them stops."""
    shared = make_server(tmp_path_factory.mktemp("server"), **GROUP_SETTINGS).start()
    yield shared
    shared.kill()


@pytest.fixture
def group(topic):
    """A group name nobody else uses."""
    return f"group-of-{topic}"


@pytest.fixture
def topic4(server, topic):
    """A topic of four partitions."""
    create_topic(server.address, topic, 4)
    return topic
