"""Collects what was measured and writes docs/benchmarks.md, with a plot beside it, at the end of a run that measured everything."""

import os
import pathlib
import platform
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
sys.path.insert(0, str(ROOT / "benches"))
# What Apache Kafka is given in these runs.
os.environ.setdefault("HEAP_MB", "1024")

from harness.node import Node  # noqa: E402
from plot import ratios  # noqa: E402

PAGE = ROOT / "docs/benchmarks.md"
PLOT = ROOT / "docs/benchmarks.svg"
HEADER = """# Benchmarks

Measured by `cargo xtask bench`, which rewrites this page. Absolute numbers are those of one machine on one day; compare runs, not pages.
CPU is user and system time of the node's process alone.

## Beside the floor and Apache Kafka

Medians of interleaved rounds, minimum and maximum in brackets. The floor is [benches/floor](../benches/floor): one file, no validation, no index, no
groups. Apache Kafka 4 has a heap of 1 GiB and is warm. Clients: librdkafka through [benches/load](../benches/load), and Apache's own performance tools. Where it is not said, Dohle
runs with `flush.policy=os`, which is what Kafka does.

![Dohle's cost as a share of Apache Kafka's](benches-plot)

| measure | unit | floor | Dohle | Kafka 4 | Dohle / floor | Dohle / Kafka |
|---|---|---|---|---|---|---|
""".replace("benches-plot", "benchmarks.svg")
ALONE = """
## Alone

"Goal" is the number this project holds itself to.

| measure | median | range | goal |
|---|---|---|---|
"""


def median(values):
    return sorted(values)[len(values) // 2]


class Report:
    """What is measured of Dohle alone."""

    def __init__(self):
        self.rows = []

    def add(self, measure, values, unit, goal):
        ordered = sorted(values)
        row = f"| {measure} | {median(values):.3g} {unit} | {ordered[0]:.3g} to {ordered[-1]:.3g}, n={len(ordered)} | {goal} |"
        print(row)
        self.rows.append(row)


class Comparison:
    """What is measured of several brokers in turn."""

    def __init__(self):
        self.rows = []
        self.of_kafka = []

    def add(self, measure, unit, values, more_is_better=False):
        def cell(name):
            of_peer = sorted(values[name])
            return f"{median(of_peer):.3g} [{of_peer[0]:.3g}-{of_peer[-1]:.3g}]" if of_peer else ""

        def ratio(name):
            return median(values["dohle"]) / median(values[name]) if values[name] and median(values[name]) else None

        shown = [f"{ratio(name):.2f}" if ratio(name) else "" for name in ("floor", "kafka")]
        note = " (more is better)" if more_is_better else ""
        row = f"| {measure}{note} | {unit} | {cell('floor')} | {cell('dohle')} | {cell('kafka')} | {shown[0]} | {shown[1]} |"
        print(row)
        self.rows.append(row)
        if ratio("kafka") and not more_is_better:
            self.of_kafka.append((measure, ratio("kafka")))


class Page:
    def __init__(self):
        self.alone = Report()
        self.beside = Comparison()


@pytest.fixture(scope="session")
def page(request):
    collected = Page()
    yield collected
    if not request.config.getoption("-k") and not request.session.testsfailed:
        machine = f"\nMachine: {os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}.\n"
        PAGE.write_text(HEADER + "\n".join(collected.beside.rows) + "\n" + ALONE + "\n".join(collected.alone.rows) + "\n" + machine)
        PLOT.write_text(ratios("Cost as a share of Apache Kafka's", collected.beside.of_kafka))


@pytest.fixture
def report(page):
    return page.alone


@pytest.fixture
def comparison(page):
    return page.beside


@pytest.fixture
def make_node(tmp_path):
    made = []

    def make(**settings):
        made.append(Node(tmp_path / f"node{len(made)}", **settings))
        return made[-1]

    yield make
    for own in made:
        own.kill()
