"""The cluster that the tests of a file share, and how hard they try."""

import pytest

from harness.cluster import make_cluster
from harness.ledger import end_all


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=10, help="leaders that are killed with -9 in a run")


@pytest.fixture(scope="module")
def shared(tmp_path_factory, request):
    """Settings are those that the file names in CLUSTER."""
    made = make_cluster(tmp_path_factory.mktemp("cluster"), **getattr(request.module, "CLUSTER", {}))
    try:
        yield made.start()
    finally:
        made.kill()


@pytest.fixture
def cluster(shared):
    """The shared cluster with all of its nodes running, whatever the test before did to it."""
    shared.recover()
    yield shared


@pytest.fixture
def own(tmp_path):
    """Notes clusters, writers and processes of a test's own, and kills them at its end."""
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
