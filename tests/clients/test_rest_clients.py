"""The REST proxy between other clients: httpx, Apache's console tools, groups with Java and librdkafka, and several proxies of one cluster."""

import asyncio
import base64
import json
import time

import httpx
import pytest
import requests
from harness import kafka as apache
from harness.group_member import Confluent, Java
from harness.load import Load, create_topic
from harness.node import Node, free_port
from harness.rest import V2, RestProcess, assigned, embedded, instance, produce, read, read_some, wait_until_ready
from harness.server import GROUP_SETTINGS

TIMEOUT_S = 60
LARGE = "x" * 1_000_000


@pytest.fixture(scope="module")
def rest(tmp_path_factory):
    url = f"http://127.0.0.1:{free_port()}"
    node = Node(tmp_path_factory.mktemp("rest"), rest_listeners=url, **GROUP_SETTINGS).start()
    node.url = url
    wait_until_ready(url)
    yield node
    node.kill()


def wait_until(what, condition):
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {TIMEOUT_S} s: {what}"
        time.sleep(0.1)


def console_consumer(server, topic, count, *arguments):
    """Standard output as bytes; `stdin` is what makes it so."""
    return apache.tool(
        "ConsoleConsumer", "--bootstrap-server", server.address, "--topic", topic, "--partition", 0, "--offset", "earliest",
        "--max-messages", count, "--formatter-property", "print.key=true", *arguments, stdin=b"",
    ).stdout  # fmt: skip


def test_httpx_writes_and_reads_within_one_long_poll(rest, topic):
    async def run():
        async with httpx.AsyncClient(base_url=rest.url, timeout=TIMEOUT_S) as client:
            create_topic(rest.address, topic, 1)
            created = (await client.post(f"/consumers/{topic}", headers=V2, json={"format": "json", "auto.offset.reset": "earliest"})).json()
            uri = created["base_uri"]
            assert (await client.post(f"{uri}/subscription", headers=V2, json={"topics": [topic]})).status_code == 204
            reading = asyncio.create_task(client.get(f"{uri}/records?timeout=30000", headers={"Accept": embedded("json")}))
            await asyncio.sleep(0.2)
            begin = time.monotonic()
            headers = {"Content-Type": embedded("json")}
            produced = await client.post(f"/topics/{topic}", headers=headers, json={"records": [{"key": "ä", "value": {"large": LARGE}}]})
            assert produced.json()["offsets"][0]["offset"] == 0
            [record] = (await reading).json()
            assert time.monotonic() - begin < 10, "the read ends with the record, not with its timeout"
            assert (record["key"], record["value"]) == ("ä", {"large": LARGE})
            assert (await client.delete(uri)).status_code == 204

    asyncio.run(run())


def test_apaches_console_consumer_reads_what_rest_wrote(rest, topic):
    create_topic(rest.address, topic, 1)
    produce(rest.url, topic, "text", [{"key": "schlüssel", "value": "größe\t…"}, {"key": "none"}, {"value": LARGE}])
    produce(rest.url, topic, "binary", [{"key": base64.b64encode(b"\xff\x00").decode(), "value": base64.b64encode(bytes(range(14, 256))).decode()}])
    produce(rest.url, topic, "json", [{"key": 1, "value": {"n": [1, "ü"]}}])
    expected = [
        "schlüssel\tgröße\t…".encode(),
        b"none\tnull",
        b"null\t" + LARGE.encode(),
        b"\xff\x00\t" + bytes(range(14, 256)),
        # As it was sent: Python escapes.
        b'1\t{"n":[1,"\\u00fc"]}',
    ]
    assert console_consumer(rest, topic, 5) == b"\n".join(expected) + b"\n"


def test_rest_reads_what_apaches_console_producer_wrote(rest, topic):
    create_topic(rest.address, topic, 1)
    lines = ["schlüssel:größe …", "none:NULL", f"NULL:{LARGE}"]
    apache.tool(
        "ConsoleProducer", "--bootstrap-server", rest.address, "--topic", topic, "--reader-property", "parse.key=true",
        "--reader-property", "key.separator=:", "--reader-property", "null.marker=NULL", stdin="\n".join(lines).encode() + b"\n",
    )  # fmt: skip
    records = read(instance(rest.url, f"text-{topic}", "text", [topic]), "text", 3)
    assert [(record["key"], record["value"]) for record in records] == [("schlüssel", "größe …"), ("none", None), (None, LARGE)]
    binary = read(instance(rest.url, f"binary-{topic}", "binary", [topic]), "binary", 3)
    decoded = [(record["key"], record["value"] and base64.b64decode(record["value"]).decode()) for record in binary]
    assert decoded == [(base64.b64encode(key.encode()).decode() if key else None, value) for key, value in
                       [("schlüssel", "größe …"), ("none", None), (None, LARGE)]]  # fmt: skip


def test_one_group_of_rest_java_and_librdkafka_reads_each_record_once(rest, topic, tmp_path):
    create_topic(rest.address, topic, 6)
    group = f"mixed-{topic}"
    uri = instance(rest.url, group, "text", [topic])
    others = [Java(tmp_path, rest.address, topic, group), Confluent(tmp_path, rest.address, topic, group)]
    try:
        wait_until("each of the three has two partitions", lambda: len(assigned(uri)) == 2 and all(len(member.held()) == 2 for member in others))
        held = [assigned(uri), *(member.held() for member in others)]
        assert sorted(number for partitions in held for number in partitions) == list(range(6)), held
        load = Load(rest.address)
        load.write_all([topic], 6, 20)
        by_rest = read(uri, "text", 40)
        wait_until("the others have read", lambda: all(len(member.records()) == 40 for member in others))
        places = [(record["partition"], record["offset"]) for record in by_rest]
        places += [(record.partition, record.offset) for member in others for record in member.records()]
        assert sorted(places) == [(partition, offset) for partition in range(6) for offset in range(20)]

        assert requests.post(uri + "/offsets").status_code == 200
        for member in others:
            member.end()
        for member in others:
            member.wait()
        wait_until("the one that is left has all", lambda: len(assigned(uri)) == 6)
        load.write_all([topic], 6, 5)
        places = [(record["partition"], record["offset"]) for record in read(uri, "text", 30)]
        assert sorted(places) == [(partition, offset) for partition in range(6) for offset in range(20, 25)]
        assert read_some(uri, "text", "?timeout=500") == []
    finally:
        for member in others:
            member.kill()
    assert [member.fault() for member in others] == [None, None]


def test_several_proxies_of_one_cluster_share_a_group(rest, topic):
    create_topic(rest.address, topic, 4)
    proxies = [RestProcess(rest.address) for _ in range(2)]
    group = f"several-{topic}"
    try:
        uris = [instance(url, group, "json", [topic]) for url in (rest.url, proxies[0].url, proxies[1].url)]
        wait_until("all partitions are shared", lambda: sorted(len(assigned(uri)) for uri in uris) == [1, 1, 2])
        elsewhere = uris[1].replace(proxies[0].url, proxies[1].url)
        answer = requests.get(elsewhere + "/records", headers={"Accept": embedded("json")})
        assert (answer.status_code, answer.json()["error_code"]) == (404, 40403), "an instance lives in one process"
        for number, url in enumerate([rest.url, proxies[0].url, proxies[1].url, rest.url]):
            produce(url, topic, "json", [{"partition": number, "value": number}])
        seen = [record["value"] for uri in uris for record in read(uri, "json", len(assigned(uri)))]
        assert sorted(seen) == [0, 1, 2, 3]
        for uri in uris:
            assert requests.post(uri + "/offsets").status_code == 200
        # A proxy that is told to end takes its instances out of their groups.
        assert proxies[0].stop() == 0
        begin = time.monotonic()
        wait_until("the others have its partitions", lambda: len(assigned(uris[0]) | assigned(uris[2])) == 4)
        assert time.monotonic() - begin < 20, "not only when the session is over"
        produce(proxies[1].url, topic, "json", [{"partition": number, "value": number} for number in range(4)])
        seen = [record["value"] for uri in (uris[0], uris[2]) for record in read(uri, "json", 2)]
        assert sorted(seen) == [0, 1, 2, 3]
    finally:
        for proxy in proxies:
            proxy.kill()


def test_one_session_of_requests_does_all_of_version_2(rest, topic):
    """One connection, kept alive through every kind of request, errors among them."""
    create_topic(rest.address, topic, 1)
    with requests.Session() as session:
        records = {"records": [{"value": number} for number in range(10)]}
        for format in ("json", "text"):
            body = records if format == "json" else {"records": [{"value": str(number)} for number in range(10)]}
            answer = session.post(f"{rest.url}/topics/{topic}", headers={"Content-Type": embedded(format)}, data=json.dumps(body))
            assert answer.status_code == 200, answer.text
        assert session.post(f"{rest.url}/topics/{topic}", headers=V2, data="{}").status_code == 415
        assert session.get(f"{rest.url}/topics/{topic}/partitions/0/offsets").json() == {"beginning_offset": 0, "end_offset": 20}
        created = session.post(f"{rest.url}/consumers/{topic}", headers=V2, data=json.dumps({"format": "json", "auto.offset.reset": "latest"})).json()
        uri = created["base_uri"]
        partitions = {"partitions": [{"topic": topic, "partition": 0}]}
        assert session.post(f"{uri}/positions/beginning", headers=V2, data=json.dumps(partitions)).status_code == 409
        assert session.post(f"{uri}/assignments", headers=V2, data=json.dumps(partitions)).status_code == 204
        assert session.post(f"{uri}/positions/beginning", headers=V2, data=json.dumps(partitions)).status_code == 204
        read_back = session.get(f"{uri}/records?timeout=5000", headers={"Accept": embedded("json")}).json()
        assert [record["value"] for record in read_back] == [*range(10), *range(10)]
        assert session.get(f"{uri}/records", headers={"Accept": embedded("binary")}).json()["error_code"] == 40601
        assert session.post(f"{uri}/offsets").json() == []
        committed = session.request("GET", f"{uri}/offsets", headers=V2, data=json.dumps(partitions)).json()
        assert committed == {"offsets": [{"topic": topic, "partition": 0, "offset": 20, "metadata": ""}]}
        assert session.delete(uri, headers=V2).status_code == 204
