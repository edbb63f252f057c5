"""The REST proxy in a process of its own: what records and requests cost it, how soon a record is read, and what idle instances take."""

import http.client
import json
import subprocess
import threading
import time

import pytest

from harness.rest import RestProcess, embedded, instance
from peers import Dohle, cpu_s, resident_mib
from rounds import ROUNDS, measured

CONNECTIONS = 32
SECONDS = 5
INSTANCES = 1000
SETTLE_S = 20
# What wrk sends, and how it reports.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "{content_type}"
wrk.body = '{body}'
done = function(summary, latency, requests)
  io.write(string.format('\\n{{"requests": %d, "refused": %d, "broken": %d}}\\n', summary.requests, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


class Proxy:
    name = "rest"

    def __init__(self, address):
        self.rest = RestProcess(address)
        self.url = self.rest.url
        self.pid = self.rest.process.pid


@pytest.fixture
def node(tmp_path):
    peer = Dohle(tmp_path / "node", group_initial_rebalance_delay_ms=0).start()
    yield peer
    peer.kill()


@pytest.fixture
def proxy(node):
    proxy = Proxy(node.address)
    yield proxy
    proxy.rest.kill()


def write(url, topic, records, script):
    """Posts `records` records of 100 bytes of JSON per request for a while."""
    value = json.dumps({"text": "x" * 89}, separators=(",", ":"))
    assert len(value) == 100
    body = '{"records":[' + ",".join([f'{{"value":{value}}}'] * records) + "]}"
    script.write_text(SCRIPT.format(content_type=embedded("json"), body=body))
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script), f"{url}/topics/{topic}"]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    report = json.loads(finished.stdout.splitlines()[-1])
    assert report["refused"] == report["broken"] == 0, finished.stdout
    return report


@pytest.mark.parametrize("records, measure, goal", [(100, "records", 200_000), (1, "requests", 15_000)])
def test_writing(node, proxy, tmp_path, report, records, measure, goal):
    node.create("t", 4)
    write(proxy.url, "t", records, tmp_path / "warm.lua")
    rates = []
    for _ in range(ROUNDS):
        done = measured(proxy, lambda: write(proxy.url, "t", records, tmp_path / "load.lua"))
        rates.append(done["requests"] * (records if measure == "records" else 1) / done["broker_cpu_s"])
    report.add(f"REST: {measure} per CPU second, {records} of 100 B as JSON per request", rates, "/s", f"at least {goal:,}/s")


def test_a_record_reaches_an_open_long_poll(node, proxy, report):
    node.create("latency")
    uri = instance(proxy.url, "latency", "json", ["latency"])
    host = proxy.url.removeprefix("http://")
    path = uri.removeprefix(proxy.url) + "/records?timeout=30000"
    count, warm_up = 600, 100
    taken = []

    def read():
        connection = http.client.HTTPConnection(host)
        while len(taken) < count:
            connection.request("GET", path, headers={"Accept": embedded("json")})
            records = json.loads(connection.getresponse().read())
            now = time.monotonic_ns()
            taken.extend((now - record["value"]) / 1e6 for record in records)

    reader = threading.Thread(target=read)
    reader.start()
    writer = http.client.HTTPConnection(host)
    for _ in range(count):
        body = json.dumps({"records": [{"value": time.monotonic_ns()}]})
        writer.request("POST", "/topics/latency", body, {"Content-Type": embedded("json")})
        assert writer.getresponse().read().startswith(b'{"offsets"')
        time.sleep(0.01)
    reader.join(60)
    ordered = sorted(taken[warm_up:])
    report.add("REST: from a produce request to an open long poll: median", [ordered[len(ordered) // 2]], "ms", "under 5 ms")
    report.add("the same, 99th percentile", [ordered[len(ordered) * 99 // 100]], "ms", "reported")


def test_idle_instances(node, proxy, report):
    """Created, subscribed, each member of a group with its partition, and then left alone."""
    node.create("idle")
    before = resident_mib(proxy.pid)
    uris = [instance(proxy.url, f"g{number}", "json", ["idle"]) for number in range(INSTANCES)]
    for uri in (uris[0], uris[-1]):
        connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"))
        deadline = time.monotonic() + 60
        assigned = {"partitions": []}
        while not assigned["partitions"]:
            assert time.monotonic() < deadline
            connection.request("GET", uri.removeprefix(proxy.url) + "/assignments")
            assigned = json.loads(connection.getresponse().read())
    time.sleep(SETTLE_S)
    report.add("REST: memory of a proxy with 1,000 idle consumer instances", [resident_mib(proxy.pid)], "MiB", "under 60 MiB")
    report.add("the same before they were made", [before], "MiB", "reported")
    begin, cpu = time.monotonic(), cpu_s(proxy.pid)
    time.sleep(SETTLE_S)
    report.add("its CPU, mostly heartbeats", [(cpu_s(proxy.pid) - cpu) / (time.monotonic() - begin) * 100], "% of a core", "reported")
