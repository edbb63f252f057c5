"""Collects what was measured, and writes the page, its plots and the raw values: after every test, so that no failure loses them."""

import json
import os
import pathlib
import platform
import re
import subprocess

from rounds import DEAR_ROUNDS, FOREIGN_SHARE_MAX, QUICK, ROUNDS, Disturbances
from tables import Goal, Table

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADER = """# Benchmarks

Written by `cargo xtask bench`, which measures everything in one run. Absolute numbers are those of one machine on one day; compare runs, not pages.

Values are medians, with minimum and maximum in brackets. What is compared is measured in turns, A B C A B C, on fresh data, with the page cache warmed just
before. CPU is user and system time of the broker's process alone. The floor is [benches/floor](../benches/floor): one file, no validation, no
index, no groups. Apache Kafka 4 has one node, a heap of 1 GiB, and is warm unless something about its start is measured. Clients: librdkafka and raw
requests, both in [benches/load](../benches/load), and Apache's own performance tools. Where it is not said, Dohle runs with `flush.policy=os`, which
is what Kafka does. The plots show how much of what its goal allows each measure takes: left of the line the goal is met. P1 to P18 are the
names of the measures in `cargo xtask bench --only p7_`.
"""


class Page:
    def __init__(self, folder, raw):
        self.folder, self.raw = pathlib.Path(folder), raw
        self.failed = []
        self.beside = Table("beside", "Beside the floor and Apache Kafka", "Kafka as it comes, Dohle with the same promise.")
        self.synced = Table(
            "synced",
            "Synced before it is acknowledged",
            "`flush.policy=commit`, which is Dohle's default; Kafka with `flush.messages=1`. What the base is, each measure says.",
        )
        self.against = Table("against", "Against itself", "What changes when records are small, compressed, or spread.")
        self.many = Table(
            "many",
            "Start, memory, many partitions, overload",
            "Kafka is asked for 1,000 partitions; it refuses to create 10,000 with one request. Overload (P15): 400 connections write requests of 256 KiB "
            "without ever waiting for an answer, so that the sockets are always full, and 100 ask for 16 MiB at once and take 160 KiB/s. Configured are "
            "64 MiB for requests, 256 MiB for answers and 64 MiB for the ends of logs, beside what an idle node takes. What the base is, each measure says.",
        )
        self.alone = Table("alone", "Groups, and what else has no peer here", "Dohle alone.")
        self.three = Table(
            "three",
            "Three nodes",
            "Three processes on this machine, each broker and controller, three replicas of everything, `min.insync.replicas=2`; Apache Kafka the same way. "
            "Gaps are those that a librdkafka producer with acks=all and short back-offs sees, in the partition that waits longest. What the base is, each "
            "measure says.",
        )
        self.tables = [self.beside, self.synced, self.against, self.three, self.many, self.alone]

    def save(self):
        tables = [table for table in self.tables if table.rows]
        self.folder.mkdir(parents=True, exist_ok=True)
        text = [HEADER, *(table.markdown() for table in tables), self.method()]
        (self.folder / "benchmarks.md").write_text("\n".join(text))
        for table in tables:
            (self.folder / f"benchmarks-{table.name}.svg").write_text(table.plot())
        if self.raw:
            rows = [{"table": table.name, **row.raw()} for table in tables for row in table.rows]
            told = {"rounds": ROUNDS, "quick": QUICK, "failed": self.failed, **vars(Disturbances), "rows": rows}
            told = {name: value for name, value in told.items() if not name.startswith("__")}
            pathlib.Path(self.raw).write_text(json.dumps(told, indent=1) + "\n")

    def method(self):
        done = Disturbances
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        lines = [
            "## This run",
            "",
            f"{ROUNDS} rounds, {DEAR_ROUNDS} of what takes long{' (`--quick`: smaller counts too)' if QUICK else ''}. {done.measured} measurements; "
            f"{done.voided} were voided and made again because others took more than {FOREIGN_SHARE_MAX:.0%} of the machine's processor time, and "
            f"{done.kept} count although others did.",
            "",
            f"Machine: {os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}. Commit {commit}.",
        ]
        if self.failed:
            lines += ["", "Not measured, because it failed: " + ", ".join(f"`{name}`" for name in self.failed) + "."]
        return "\n".join([*lines, ""])


class Alone:
    """The table of what has no peer. A goal says in words what is allowed, or that there is none."""

    def __init__(self, table):
        self.table = table

    def add(self, measure, values, unit, goal):
        limit = re.match(r"(under|at most|at least) ([\d,.]+)", goal)
        goals = [Goal(float(limit[2].replace(",", "")))] if limit else [goal] if goal != "reported" else []
        self.table.add(measure, unit, {"dohle": values}, goals, more_is_better=bool(limit) and limit[1] == "at least")
