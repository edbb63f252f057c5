"""Collects what was measured and writes docs/benchmarks.md at the end of a run that measured everything."""

import os
import pathlib
import platform
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from harness.node import Node  # noqa: E402

PAGE = ROOT / "docs/benchmarks.md"
HEADER = """# Benchmarks

Measured by `cargo xtask bench`, which rewrites this page. Absolute numbers are those of one machine on one day; compare runs, not pages.
CPU is user and system time of the node's process alone. "Goal" is the number this project holds itself to.

| measure | median | range | goal |
|---|---|---|---|
"""


class Report:
    def __init__(self):
        self.rows = []

    def add(self, measure, values, unit, goal):
        ordered = sorted(values)
        median = ordered[len(ordered) // 2]
        row = f"| {measure} | {median:.3g} {unit} | {ordered[0]:.3g} to {ordered[-1]:.3g}, n={len(ordered)} | {goal} |"
        print(row)
        self.rows.append(row)


@pytest.fixture(scope="session")
def report(request):
    collected = Report()
    yield collected
    if not request.config.getoption("-k") and not request.session.testsfailed:
        machine = f"\nMachine: {os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}.\n"
        PAGE.write_text(HEADER + "\n".join(collected.rows) + "\n" + machine)


@pytest.fixture
def make_node(tmp_path):
    made = []

    def make(**settings):
        made.append(Node(tmp_path / f"node{len(made)}", **settings))
        return made[-1]

    yield make
    for own in made:
        own.kill()
