"""The REST proxy, used with curl, Python's requests and node's fetch, beside kcat and librdkafka on the same topics and groups."""

import base64
import json
import subprocess
import time

import pytest
import requests
from confluent_kafka import Consumer
from harness.node import Node, free_port
from harness.rest import embedded, instance, produce, read, wait_until_ready
from openapi_spec_validator import validate

@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    url = f"http://127.0.0.1:{free_port()}"
    node = Node(tmp_path_factory.mktemp("rest"), rest_listeners=url, group_initial_rebalance_delay_ms=0, num_partitions=2).start()
    node.url = url
    wait_until_ready(url)
    yield node
    node.kill()


def run(*command, stdin=None):
    finished = subprocess.run(command, input=stdin, capture_output=True, timeout=60)
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout


def test_curl_follows_the_quickstart(rest, topic):
    def curl(*arguments):
        return run("curl", "-sS", "-w", "\n%{http_code}", *arguments).decode().rsplit("\n", 1)

    produced, _ = curl(
        "-X", "POST", "-H", f"Content-Type: {embedded('json')}", "--data", '{"records":[{"value":{"foo":"bar"}}]}', f"{rest.url}/topics/{topic}"
    )
    assert json.loads(produced)["offsets"][0]["offset"] == 0
    body = '{"name": "my_consumer_instance", "format": "json", "auto.offset.reset": "earliest"}'
    created, _ = curl("-X", "POST", "-H", "Content-Type: application/vnd.kafka.v2+json", "--data", body, f"{rest.url}/consumers/curl")
    uri = json.loads(created)["base_uri"]
    kafka = "Content-Type: application/vnd.kafka.v2+json"
    assert curl("-X", "POST", "-H", kafka, "--data", json.dumps({"topics": [topic]}), f"{uri}/subscription") == ["", "204"]
    records, _ = curl("-X", "GET", "-H", f"Accept: {embedded('json')}", f"{uri}/records")
    assert [record["value"] for record in json.loads(records)] == [{"foo": "bar"}]
    assert curl("-X", "DELETE", "-H", kafka, uri) == ["", "204"]


def test_kcat_reads_what_rest_wrote(rest, topic):
    produce(rest.url, topic, "text", [{"key": "schlüssel", "value": "größe\t…"}, {"value": "x" * 1_000_000}])
    produce(rest.url, topic, "binary", [{"key": base64.b64encode(b"\xff\x00").decode(), "value": None}])
    shown = run("kcat", "-C", "-b", rest.address, "-t", topic, "-e", "-q", "-f", "%k|%S|%s\n").split(b"\n")
    assert sorted(shown) == sorted(["schlüssel|11|größe\t…".encode(), b"|1000000|" + b"x" * 1_000_000, b"\xff\x00|-1|", b""])


def test_rest_reads_what_kcat_wrote(rest, topic):
    run("kcat", "-P", "-b", rest.address, "-t", topic, "-p", "0", "-K", ":", "-H", "trace=42", stdin="k:größe\n".encode())
    run("kcat", "-P", "-b", rest.address, "-t", topic, "-p", "0", "-K", ":", "-Z", stdin=b"k:\n")
    records = read(instance(rest.url, "from-kcat", "text", [topic]), "text", 2, "?timeout=5000&include=headers,timestamp")
    assert [(record["key"], record["value"]) for record in records] == [("k", "größe"), ("k", None)]
    assert records[0]["headers"] == [{"key": "trace", "value": base64.b64encode(b"42").decode()}]
    assert records[0]["timestamp"] > 1_600_000_000_000


def test_a_group_is_shared_with_librdkafka(rest, topic):
    produce(rest.url, topic, "text", [{"partition": 0, "value": "first"}, {"partition": 1, "value": "first"}])
    uri = instance(rest.url, f"shared-{topic}", "text", [topic])
    assert len(read(uri, "text", 2)) == 2
    # What was sent and not acknowledged would be read again after the rebalance.
    assert requests.post(uri + "/offsets").status_code == 200
    member = Consumer({"bootstrap.servers": rest.address, "group.id": f"shared-{topic}", "auto.offset.reset": "earliest"})
    member.subscribe([topic])
    deadline = time.monotonic() + 20
    while not (len(member.assignment()) == 1 and len(requests.get(uri + "/assignments").json()["partitions"]) == 1):
        assert time.monotonic() < deadline
        member.poll(0.1)
    produce(rest.url, topic, "text", [{"partition": partition, "value": f"p{partition}"} for partition in (0, 1)])
    by_rest = [record["value"] for record in read(uri, "text", 1)]
    by_member = member.poll(10).value().decode()
    assert sorted([*by_rest, by_member]) == ["p0", "p1"]
    member.close()
    requests.delete(uri)


def test_fetch_of_node_writes_and_reads(rest, topic):
    script = """
    const [url, topic] = process.argv.slice(1);
    const call = async (method, path, headers, body) => {
      const answer = await fetch(path.startsWith('http') ? path : url + path, { method, headers, body: body && JSON.stringify(body) });
      const text = await answer.text();
      return text && JSON.parse(text);
    };
    const v2 = { 'Content-Type': 'application/vnd.kafka.v2+json' };
    const json = 'application/vnd.kafka.json.v2+json';
    await call('POST', `/topics/${topic}`, { 'Content-Type': json }, { records: [{ value: { n: 1 } }] });
    const { base_uri } = await call('POST', '/consumers/fetch', v2, { format: 'json', 'auto.offset.reset': 'earliest' });
    await call('POST', base_uri + '/subscription', v2, { topics: [topic] });
    const records = await call('GET', base_uri + '/records', { Accept: json });
    await call('DELETE', base_uri, v2);
    console.log(JSON.stringify(records.map(record => record.value)));
    """
    assert json.loads(run("node", "--input-type=module", "-e", script, rest.url, topic)) == [{"n": 1}]


def test_a_body_that_is_too_large_is_answered(rest, topic):
    answer = requests.post(f"{rest.url}/topics/{topic}", headers={"Content-Type": embedded("text")}, data=b"x" * 70_000_000, timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (413, 413)


def test_the_openapi_document_is_valid(rest):
    validate(requests.get(f"{rest.url}/openapi.json").json())
