"""What is wrong about a cluster, and what people are told: rows C2, C3, G2, W20, and those of several nodes in docs/bad-input.md."""

import json
import re
import shutil
import socket
import time

import pytest

from harness.cluster import DohleCluster
from harness.node import BINARY, dohle
from harness.wire import Connection

UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC = 3, 17
END_TIMEOUT_S = 20


def refused(cluster, *arguments):
    """What a tool says that ends with an error."""
    finished = dohle(arguments[0], "--bootstrap-server", cluster.bootstrap, *map(str, arguments[1:]), check=False)
    said = finished.stdout + finished.stderr
    assert finished.returncode != 0, said
    assert "panicked" not in said and "backtrace" not in said
    return said


def ended(member):
    """How a process that should not run ends, with all that it says."""
    status = member.process.wait(END_TIMEOUT_S)
    return status, member.log()


def test_c2_more_replicas_than_brokers(cluster, topic):
    said = refused(cluster, "topics", "--create", "--topic", topic, "--partitions", 1, "--replication-factor", 4)
    assert "replication factor of 4" in said and "3 broker" in said, said


def test_c3_partitions_only_grow(cluster, topic):
    cluster.create(topic, 3)
    said = refused(cluster, "topics", "--alter", "--topic", topic, "--partitions", 1)
    assert "would not be an increase" in said, said


def test_a_reassignment_to_brokers_that_are_not_there(cluster, topic, tmp_path):
    cluster.create(topic, 1)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"version": 1, "partitions": [{"topic": topic, "partition": 0, "replicas": [1, 2, 77]}]}))
    said = refused(cluster, "reassign-partitions", "--reassignment-json-file", plan, "--execute")
    assert "77" in said, said
    assert set(cluster.partitions(topic)[0].replicas) == set(cluster.members)


def test_w20_partitions_that_are_none_and_the_topic_of_the_groups(cluster, topic):
    cluster.create(topic, 1)
    member = cluster.leader(topic)
    for partition in (-1, 999_999):
        assert Connection(member).produce(topic, partition, b"v")[0] == UNKNOWN_TOPIC_OR_PARTITION
    assert Connection(member).produce("__consumer_offsets", 0, b"v")[0] in (INVALID_TOPIC, UNKNOWN_TOPIC_OR_PARTITION)


def copy_of(cluster, number, folder):
    """A process that was given another one's configuration, with ports and data of its own."""
    like = cluster.members[number]
    twin = cluster.member(number, like.roles)
    twin.folder, twin.data = folder, folder / "data"
    twin.command = [BINARY, "start", folder / "server.properties"]
    return twin


def test_a_controller_that_its_list_of_voters_does_not_name(tmp_path, own):
    cluster = own(DohleCluster(tmp_path / "cluster"))
    stranger = own(copy_of(cluster, 1, tmp_path / "stranger"))
    cluster.write_properties(stranger, node_id=4)
    stranger.start(wait=False)
    status, said = ended(stranger)
    assert status != 0 and "4" in said and "controller.quorum.voters" in said, said


def test_an_even_number_of_controllers_is_explained(tmp_path, own):
    cluster = own(DohleCluster(tmp_path, brokers=2)).start()
    assert re.search(r"even|2 (controllers|voters)", cluster.members[1].log()), cluster.members[1].log()


def test_a_node_that_waits_for_a_majority_says_so(tmp_path, own):
    cluster = own(DohleCluster(tmp_path))
    cluster.members[1].start(wait=False)
    cluster.wait("it says what it waits for", lambda: "majority" in cluster.members[1].log(), timeout_s=15)
    with socket.create_connection((cluster.members[1].host, cluster.members[1].port), timeout=10) as client:
        assert client.recv(1) == b"", "whoever asks a node that does not know yet can ask another at once"
    for number in (2, 3):
        cluster.members[number].start(wait=False)
    for member in cluster.members.values():
        member.wait_until_ready()


def test_g2_a_second_broker_with_the_id_of_one_that_runs(tmp_path, own, topic):
    cluster = own(DohleCluster(tmp_path / "cluster", brokers=3, controllers=1)).start()
    cluster.create(topic, 1)
    taken = max(cluster.members)
    twin = own(copy_of(cluster, taken, tmp_path / "twin"))
    cluster.write_properties(twin)
    twin.start(wait=False)
    status, said = ended(twin)
    assert status != 0 and str(taken) in said, said
    assert re.search(r"id|registered|DUPLICATE_BROKER", said), said
    assert Connection(cluster.leader(topic)).produce(topic, 0, b"v")[0] == 0


def test_g2_a_directory_of_another_cluster(tmp_path, own):
    home = own(DohleCluster(tmp_path / "home", brokers=1, controllers=1)).start()
    other = own(DohleCluster(tmp_path / "other", brokers=2, controllers=1)).start()
    guest = other.members[3]
    guest.kill()
    native = max(home.members)
    home.members[native].kill()
    shutil.rmtree(guest.data)
    shutil.copytree(home.members[native].data, guest.data)
    meta = guest.data / "meta.properties"
    meta.write_text(re.sub(r"node\.id=\d+", f"node.id={guest.id}", meta.read_text()))
    guest.start(wait=False)
    status, said = ended(guest)
    assert status != 0 and "cluster" in said, said
    assert other.members[2].runs


def test_the_data_of_another_node_is_refused(tmp_path, own):
    cluster = own(DohleCluster(tmp_path / "cluster")).start()
    first, second = cluster.members[1], cluster.members[2]
    first.kill()
    second.kill()
    first.data = second.data
    cluster.write_properties(first)
    first.start(wait=False)
    status, said = ended(first)
    assert status != 0 and "node.id" in said, said


def test_all_stop_within_seconds_when_all_are_told_to(tmp_path, own, topic):
    cluster = own(DohleCluster(tmp_path)).start()
    cluster.create(topic, 6)
    took = cluster.stop()
    assert took < 5, f"the last was gone after {took:.1f} s"
    begin = time.monotonic()
    cluster.start()
    cluster.wait_for_leaders(topic)
    assert time.monotonic() - begin < 10
