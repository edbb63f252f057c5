"""Version 3 of the REST API, used with requests, beside kcat and a group of librdkafka's."""

import json
import subprocess
import time

import pytest
import requests
from confluent_kafka import Consumer
from harness.node import Node, free_port


def clusters(url):
    """Asks until the proxy is there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return requests.get(f"{url}/v3/clusters").json()
        except requests.ConnectionError:
            assert time.monotonic() < deadline, f"nobody answers at {url}"
            time.sleep(0.02)


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    url = f"http://127.0.0.1:{free_port()}"
    node = Node(tmp_path_factory.mktemp("rest"), rest_listeners=url, group_initial_rebalance_delay_ms=0).start()
    node.cluster = clusters(url)["data"][0]["metadata"]["self"]
    assert node.cluster.startswith(f"{url}/v3/clusters/")
    yield node
    node.kill()


def record(partition, key, value):
    return {
        "partition_id": partition,
        "headers": [{"name": "trace", "value": "NDI="}],
        "key": {"type": "STRING", "data": key},
        "value": {"type": "JSON", "data": value},
    }


def produce(rest, topic, records):
    """Sends the records as chunks, and returns what is said of each."""
    chunks = (json.dumps(record).encode() for record in records)
    answer = requests.post(f"{rest.cluster}/topics/{topic}/records", headers={"Content-Type": "application/json"}, data=chunks)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def test_what_v3_creates_and_writes_is_read_by_kcat_and_its_lag_is_known(rest):
    created = requests.post(f"{rest.cluster}/topics", json={"topic_name": "v3", "partitions_count": 2, "replication_factor": 1})
    assert created.status_code == 201, created.text
    answers = produce(rest, "v3", [record(number % 2, f"schlüssel{number}", {"n": number}) for number in range(6)])
    assert [(answer["error_code"], answer["partition_id"], answer["offset"]) for answer in answers] == [
        (200, number % 2, number // 2) for number in range(6)
    ]
    command = ["kcat", "-C", "-b", rest.address, "-t", "v3", "-p", "1", "-e", "-q", "-f", "%k|%h|%s\n"]
    shown = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.decode().splitlines()
    assert shown == [f'schlüssel{number}|trace=42|{{"n":{number}}}' for number in (1, 3, 5)]

    settings = {"bootstrap.servers": rest.address, "group.id": "readers", "auto.offset.reset": "earliest", "client.id": "reader"}
    member = Consumer({**settings, "enable.auto.commit": False})
    member.subscribe(["v3"])
    seen = 0
    deadline = time.monotonic() + 60
    while seen < 6:
        assert time.monotonic() < deadline, f"{seen} of 6 records"
        message = member.poll(1)
        seen += message is not None and message.error() is None
    member.commit(asynchronous=False)
    assert all(answer["error_code"] == 200 for answer in produce(rest, "v3", [record(1, "more", number) for number in range(4)]))

    group = requests.get(f"{rest.cluster}/consumer-groups/readers").json()
    assert (group["state"], group["is_simple"]) == ("STABLE", False)
    [consumer] = requests.get(group["consumers"]["related"]).json()["data"]
    assert consumer["client_id"] == "reader"
    assignments = requests.get(consumer["assignments"]["related"]).json()["data"]
    lags = [requests.get(assignment["lag"]["related"]).json() for assignment in assignments]
    shown = [(lag["partition_id"], lag["current_offset"], lag["log_end_offset"], lag["lag"], lag["consumer_id"]) for lag in lags]
    assert shown == [(0, 3, 3, 0, consumer["consumer_id"]), (1, 3, 7, 4, consumer["consumer_id"])]
    assert requests.get(f"{rest.cluster}/consumer-groups/readers/lags").json()["data"] == lags
    summary = requests.get(group["lag_summary"]["related"]).json()
    assert (summary["total_lag"], summary["max_lag"], summary["max_lag_partition_id"]) == (4, 4, 1)
    member.close()
    assert requests.delete(f"{rest.cluster}/topics/v3").status_code == 204
