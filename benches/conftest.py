"""Options of the bench, the page that it writes, and the brokers that all tests share."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "benches"))
# What Apache Kafka is given in these runs.
os.environ.setdefault("HEAP_MB", "1024")

FAILED = []


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="fewer rounds and smaller counts")
    parser.addoption("--page", default=str(ROOT / "target/bench"), help="folder for the page and its plots")
    parser.addoption("--json", help="file for all raw values")


def pytest_configure(config):
    if config.getoption("--quick"):
        os.environ["DOHLE_BENCH_QUICK"] = "1"


def pytest_runtest_logreport(report):
    name = report.nodeid.split("::")[-1]
    if report.failed and name not in FAILED:
        FAILED.append(name)


@pytest.fixture(scope="session")
def page(request):
    from page import Page

    whole = Page(request.config.getoption("--page"), request.config.getoption("--json"))
    whole.failed = FAILED
    yield whole
    whole.save()


@pytest.fixture(autouse=True)
def saved(page):
    """What is measured is on disk before the next test begins."""
    yield
    page.save()


@pytest.fixture
def report(page):
    from page import Alone

    return Alone(page.alone)


@pytest.fixture
def comparison(page):
    return page.beside


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    """One for all, warmed by a full run of what is measured."""
    from stage import warm_kafka

    peer = warm_kafka(tmp_path_factory.mktemp("kafka"))
    yield peer
    peer.discard()


@pytest.fixture
def stage(tmp_path, request):
    from stage import Stage

    return Stage(tmp_path, lambda: request.getfixturevalue("kafka"))


@pytest.fixture
def own():
    """Takes note of a peer, so that it ends with the test, whatever happens."""
    made = []

    def note(peer):
        made.append(peer)
        return peer

    yield note
    for peer in made:
        peer.discard()
