"""The REST proxy, beside a node and in processes of its own, and the calls that most tests make."""

import json
import subprocess
import time

import requests
from harness.node import BINARY, START_TIMEOUT_S, STOP_TIMEOUT_S, free_port

V2 = {"Content-Type": "application/vnd.kafka.v2+json"}


def embedded(format):
    return f"application/vnd.kafka.{format}.v2+json"


def wait_until_ready(url):
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            requests.get(url + "/healthz", timeout=5)
            return
        except requests.ConnectionError:
            assert time.monotonic() < deadline, f"nobody answers at {url}"
            time.sleep(0.02)


class RestProcess:
    """`dohle rest start`. `settings` are those of the proxy."""

    def __init__(self, address, **settings):
        self.url = f"http://127.0.0.1:{free_port()}"
        command = [BINARY, "rest", "start", "--bootstrap-server", address, "--listeners", self.url]
        for key, value in settings.items():
            command += ["--set", f"{key.replace('_', '.')}={value}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until_ready(self.url)

    def stop(self):
        """SIGTERM, then the exit status."""
        self.process.terminate()
        return self.process.wait(STOP_TIMEOUT_S)

    def kill(self):
        self.process.kill()
        self.process.wait()


def produce(url, topic, format, records):
    answer = requests.post(f"{url}/topics/{topic}", headers={"Content-Type": embedded(format)}, data=json.dumps({"records": records}))
    assert answer.status_code == 200, answer.text
    assert all(offset["error_code"] is None for offset in answer.json()["offsets"]), answer.text


def instance(url, group, format, topics):
    """Makes an instance that begins with the first record, and returns its address."""
    body = {"format": format, "auto.offset.reset": "earliest"}
    created = requests.post(f"{url}/consumers/{group}", headers=V2, data=json.dumps(body)).json()
    assert created["base_uri"] == f"{url}/consumers/{group}/instances/{created['instance_id']}"
    subscribed = requests.post(created["base_uri"] + "/subscription", headers=V2, data=json.dumps({"topics": topics}))
    assert subscribed.status_code == 204, subscribed.text
    return created["base_uri"]


def read_some(uri, format, query="?timeout=5000"):
    answer = requests.get(uri + "/records" + query, headers={"Accept": embedded(format)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def read(uri, format, count, query="?timeout=5000"):
    records = []
    deadline = time.monotonic() + 30
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records"
        records += read_some(uri, format, query)
    return records


def assigned(uri):
    """The numbers of the partitions that an instance has."""
    return {place["partition"] for place in requests.get(uri + "/assignments").json()["partitions"]}
