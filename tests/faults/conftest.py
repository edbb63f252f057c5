"""How hard the runs try, and what is ended with a test."""

import pathlib

import pytest

from harness.ledger import end_all


def pytest_addoption(parser):
    parser.addoption("--cycles", type=int, default=30, help="power cuts of one node in each test")
    parser.addoption("--rounds", type=int, default=1, help="faults of each kind in a cluster")
    parser.addoption("--seed", type=int, default=1, help="chooses the victims and the times")


def pytest_collection_modifyitems(config, items):
    """More rounds take longer; whatever hangs is ended."""
    for item in items:
        if pathlib.Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(120 + 180 * config.getoption("--rounds")))


@pytest.fixture
def own():
    """Notes clusters, disks, networks and processes of a test's own, and ends them with it, the last one first."""
    made = []

    def note(thing):
        made.append(thing)
        return thing

    yield note
    for thing in reversed(made):
        thing.kill()


@pytest.fixture(autouse=True)
def ended():
    """Whoever still writes or reads when a test has failed is ended with it."""
    yield
    end_all()
