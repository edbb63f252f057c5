"""Apache Kafka's tools and ours against three nodes: elections, reassignments, the quorum, what `topics --describe` picks out."""

import json
import os
import re
import time

import pytest
from confluent_kafka import Producer

from harness import kafka as apache
from harness.cluster import IS_CONTROL, WAIT_S
from harness.node import dohle

ELECTION = "org.apache.kafka.tools.LeaderElectionCommand"
REASSIGN = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
QUORUM = "org.apache.kafka.tools.MetadataQuorumCommand"
CLUSTER_TOOL = "org.apache.kafka.tools.ClusterTool"


class Ours:
    """Our tools under the names that Apache's have."""

    NAMES = {ELECTION: "leader-election", REASSIGN: "reassign-partitions", QUORUM: "metadata-quorum", CLUSTER_TOOL: "cluster", "TopicCommand": "topics"}

    @classmethod
    def tool(cls, name, *arguments, check=True):
        return dohle(cls.NAMES[name], *map(str, arguments), check=check)


@pytest.fixture(params=["apache", "ours"])
def tools(request):
    return apache if request.param == "apache" else Ours


@pytest.fixture
def lead_by(cluster):
    """Kills the leader, so that the next replica leads, and starts it again."""

    def move(topic):
        leader = cluster.leader(topic)
        leader.kill()
        cluster.wait_for_leaders(topic, set(cluster.members) - {leader.id})
        leader.start()
        cluster.wait_in_sync(topic)
        return leader

    return move


def plan(path, topic, replicas):
    partitions = [{"topic": topic, "partition": number, "replicas": list(of_one)} for number, of_one in enumerate(replicas)]
    path.write_text(json.dumps({"version": 1, "partitions": partitions}))
    return path


def settled(cluster, topic, replicas):
    """Until the partitions have these replicas, in this order, and all of them are in sync."""

    def reached():
        found = cluster.partitions(topic)
        return all(found[number].replicas == tuple(of_one) and found[number].isr == set(of_one) for number, of_one in enumerate(replicas))

    cluster.wait(f"{topic} has the replicas {replicas}", reached)


def test_preferred_leaders_are_elected(cluster, topic, tools, lead_by):
    cluster.create(topic, assignment=[[1, 2, 3]])
    moved = lead_by(topic)
    server = ("--bootstrap-server", cluster.bootstrap, "--election-type", "preferred")
    if cluster.leader(topic) is not moved:  # it may be back by itself
        done = tools.tool(ELECTION, *server, "--topic", topic, "--partition", 0)
        expected = {f"Successfully completed leader election (PREFERRED) for partitions {topic}-0", f"Valid replica already elected for partitions {topic}-0"}
        assert expected & set(done.stdout.splitlines())
    cluster.wait("the preferred replica leads", lambda: cluster.leader(topic) is moved)
    again = tools.tool(ELECTION, *server, "--topic", topic, "--partition", 0)
    assert f"Valid replica already elected for partitions {topic}-0" in again.stdout
    assert tools.tool(ELECTION, *server, "--all-topic-partitions").returncode == 0


def test_elections_that_cannot_be_are_errors(cluster, topic, tools):
    cluster.create(topic, assignment=[[1, 2, 3]])
    member = cluster.members[1]
    member.kill()
    cluster.wait_for_leaders(topic, {2, 3})
    server = ("--bootstrap-server", cluster.bootstrap)
    done = tools.tool(ELECTION, *server, "--election-type", "preferred", "--topic", topic, "--partition", 0, check=False)
    assert done.returncode == 1
    assert f"Error completing leader election (PREFERRED) for partition: {topic}-0" in done.stdout
    assert "1 replica(s) could not be elected" in done.stderr


def test_an_unclean_election_makes_a_lagging_replica_lead(cluster, topic, tools):
    cluster.create(topic, assignment=[[1, 2]], min_insync_replicas=1)
    second = cluster.members[2]
    second.kill()
    cluster.wait("the second replica is out of sync", lambda: cluster.partitions(topic)[0].isr == {1})
    produce(cluster, topic, [b"one"])
    cluster.members[1].kill()
    second.start()
    cluster.wait("nobody leads", lambda: cluster.partitions(topic, [3])[0].leader == -1)
    server = ("--bootstrap-server", cluster.members[3].address)
    done = tools.tool(ELECTION, *server, "--election-type", "unclean", "--topic", topic, "--partition", 0)
    assert f"Successfully completed leader election (UNCLEAN) for partitions {topic}-0" in done.stdout
    cluster.wait_for_leaders(topic, {2})


def produce(cluster, topic, values):
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "1"})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(WAIT_S) == 0


def test_replicas_are_moved_watched_and_throttled(cluster, topic, tools, tmp_path):
    cluster.create(topic, assignment=[[1], [2]], min_insync_replicas=1)
    server = ("--bootstrap-server", cluster.bootstrap)
    target = [[2, 3], [3]]
    file = plan(tmp_path / "plan.json", topic, target)
    started = tools.tool(REASSIGN, *server, "--execute", "--reassignment-json-file", file, "--throttle", 10_000_000).stdout
    before = json.loads(next(line for line in started.splitlines() if line.startswith("{")))
    assert sorted((partition["partition"], partition["replicas"]) for partition in before["partitions"]) == [(0, [1]), (1, [2])]
    assert f"Successfully started partition reassignments for {topic}-0,{topic}-1" in started
    settled(cluster, topic, target)
    shown = cluster.wait("the tool says so", lambda: completed(tools, server, file, topic))
    assert "Clearing broker-level throttles on brokers 1,2,3" in shown and f"Clearing topic-level throttles on topic {topic}" in shown
    assert tools.tool(REASSIGN, *server, "--list").stdout == "No partition reassignments found.\n"
    settings = dohle("configs", *server, "--describe", "--topic", topic).stdout
    assert "replication.throttled" not in settings
    cluster.wait("the data of the former replica is gone", lambda: not (cluster.members[1].data / f"{topic}-0").exists())


def test_what_is_throttled_takes_its_time(cluster, topic, tmp_path):
    cluster.create(topic, assignment=[[1]], min_insync_replicas=1)
    produce(cluster, topic, [os.urandom(100_000)] * 60)
    server = ("--bootstrap-server", cluster.bootstrap)
    file = plan(tmp_path / "plan.json", topic, [[1, 2]])
    dohle("reassign-partitions", *server, "--execute", "--reassignment-json-file", str(file), "--throttle", "2000000")
    begun = time.monotonic()
    settled(cluster, topic, [[1, 2]])
    # The first second's worth comes at once, and the last answer is not waited for.
    assert 1 < time.monotonic() - begun < 20
    dohle("reassign-partitions", *server, "--verify", "--reassignment-json-file", str(file))


def completed(tools, server, file, topic):
    shown = tools.tool(REASSIGN, *server, "--verify", "--reassignment-json-file", file).stdout
    return shown if all(f"Reassignment of partition {topic}-{number} is completed." in shown for number in (0, 1)) else None


def test_a_reassignment_to_a_dead_broker_goes_on_until_it_is_cancelled(cluster, topic, tools, tmp_path):
    cluster.create(topic, assignment=[[1, 2]], min_insync_replicas=1)
    gone = cluster.members[3]
    server = ("--bootstrap-server", ",".join(cluster.members[number].address for number in (1, 2)))
    file = plan(tmp_path / "plan.json", topic, [[1, 3]])
    gone.pause()  # the controller takes a while to notice: until then the broker counts as alive
    try:
        started = tools.tool(REASSIGN, *server, "--execute", "--reassignment-json-file", file, check=False)
        if "Unknown broker id 3" in started.stdout:
            pytest.skip("the tool was slower than the controller")
        listed = tools.tool(REASSIGN, *server, "--list").stdout
        assert re.search(rf"{topic}-0: replicas: 1,3,2\. adding: 3\. removing: 2\.", listed), listed
        refused = tools.tool(REASSIGN, *server, "--execute", "--reassignment-json-file", file, check=False)
        assert refused.returncode == 1 and "there is an existing partition assignment" in refused.stdout
        described = tools.tool("TopicCommand", *server, "--describe", "--topic", topic).stdout
        assert "ReplicationFactor: 2" in described and "\tAdding Replicas: " in described
        cancelled = tools.tool(REASSIGN, *server, "--cancel", "--reassignment-json-file", file, "--preserve-throttles").stdout
        assert f"Successfully cancelled partition reassignment for: {topic}-0" in cancelled
        settled(cluster, topic, [[1, 2]])
    finally:
        gone.go_on()


def test_reassignments_that_cannot_be_are_refused(cluster, topic, tools, tmp_path):
    cluster.create(topic)
    server = ("--bootstrap-server", cluster.bootstrap)
    for replicas, reason in [([9], "Unknown broker id 9"), ([1, 1], "duplicate entries")]:
        file = plan(tmp_path / "plan.json", topic, [replicas])
        refused = tools.tool(REASSIGN, *server, "--execute", "--reassignment-json-file", file, check=False)
        assert refused.returncode == 1 and reason in refused.stdout
    missing = plan(tmp_path / "plan.json", f"{topic}-missing", [[1]])
    assert tools.tool(REASSIGN, *server, "--execute", "--reassignment-json-file", missing, check=False).returncode == 1


def test_a_plan_is_proposed_for_other_brokers(cluster, topic, tools, tmp_path):
    cluster.create(topic, assignment=[[1, 2], [1, 2], [1, 2], [1, 2]], min_insync_replicas=1)
    file = tmp_path / "topics.json"
    file.write_text(json.dumps({"topics": [{"topic": topic}], "version": 1}))
    server = ("--bootstrap-server", cluster.bootstrap)
    shown = tools.tool(REASSIGN, *server, "--generate", "--topics-to-move-json-file", file, "--broker-list", "2,3").stdout
    proposed = json.loads(shown.split("Proposed partition reassignment configuration\n")[1])
    replicas = [partition["replicas"] for partition in proposed["partitions"]]
    assert [sorted(of_one) for of_one in replicas] == [[2, 3]] * 4
    assert sorted(of_one[0] for of_one in replicas) == [2, 2, 3, 3]


def test_partitions_in_trouble_are_picked_out(cluster, topic, tools):
    cluster.create(f"{topic}-wide", assignment=[[1, 2, 3]], min_insync_replicas=3)
    cluster.create(f"{topic}-exact", assignment=[[1, 2, 3]], min_insync_replicas=2)
    cluster.create(f"{topic}-lone", assignment=[[3]], min_insync_replicas=1)
    cluster.members[3].kill()
    server = ("--bootstrap-server", cluster.members[1].address + "," + cluster.members[2].address)
    cluster.wait("two replicas are left", lambda: cluster.partitions(f"{topic}-wide", [1])[0].isr == {1, 2})
    cluster.wait("nobody leads", lambda: cluster.partitions(f"{topic}-lone", [1])[0].leader == -1)

    def shown(flag):
        found = tools.tool("TopicCommand", *server, "--describe", flag).stdout
        return {name.removeprefix(f"{topic}-") for name in re.findall(rf"Topic: ({topic}-\w+)", found)}

    assert shown("--under-replicated-partitions") == {"wide", "exact"}
    assert shown("--unavailable-partitions") == {"lone"}
    assert shown("--under-min-isr-partitions") == {"wide", "lone"}
    assert shown("--at-min-isr-partitions") >= {"exact"}


def test_the_quorum_is_described_by_brokers_and_by_controllers(cluster, tools):
    ways = [("--bootstrap-server", cluster.bootstrap)]
    if not IS_CONTROL:
        ways.append(("--bootstrap-controller", ",".join(voter.split("@")[1] for voter in cluster.voters.split(","))))
    for way in ways:
        status = tools.tool(QUORUM, *way, "describe", "--status").stdout
        assert f"LeaderId:               {cluster.controller()}" in status
        voters = re.search(r"CurrentVoters: +(.*)", status)[1]
        assert sorted(voter["id"] for voter in json.loads(voters)) == [1, 2, 3]
        table = tools.tool(QUORUM, *way, "describe", "--replication").stdout
        assert sorted(re.findall(r"(Leader|Follower|Observer)\s*$", table, re.M)) == ["Follower", "Follower", "Leader"]
    ids = {tools.tool(CLUSTER_TOOL, "cluster-id", *way).stdout for way in ways}
    assert len(ids) == 1 and next(iter(ids)).startswith("Cluster ID: ")


def test_a_controller_is_removed_and_added_again(own, tmp_path, tools):
    from harness.cluster import make_cluster

    if IS_CONTROL:
        pytest.skip("the script's Kafka has a static list of voters")
    cluster = own(make_cluster(tmp_path)).start()
    server = ("--bootstrap-server", cluster.bootstrap)
    removed = next(number for number in cluster.members if number != cluster.controller())
    nil = "AAAAAAAAAAAAAAAAAAAAAA"
    done = tools.tool(QUORUM, *server, "remove-controller", "--controller-id", removed, "--controller-directory-id", nil).stdout
    assert f"Removed  KRaft controller {removed} with directory id {nil}" in done

    def voters():
        status = dohle("metadata-quorum", *server, "describe", "--status").stdout
        return sorted(voter["id"] for voter in json.loads(re.search(r"CurrentVoters: +(.*)", status)[1]))

    assert cluster.wait("two voters are left", lambda: voters() if len(voters()) == 2 else None) == sorted(set(cluster.members) - {removed})
    # A controller that is to be added waits, and serves nobody before: it has an empty directory, and no voters in its configuration.
    member = cluster.members[removed]
    assert member.stop() in (0, 143)
    member.data = member.folder / "data-again"
    cluster.write_properties(member, controller_quorum_voters="", controller_quorum_bootstrap_servers=",".join(
        voter.split("@")[1] for voter in cluster.voters.split(",") if not voter.startswith(f"{removed}@")
    ))  # fmt: skip
    # Apache's tool wants to know the directory.
    cluster_id = dohle("cluster", "cluster-id", *server).stdout.split()[-1]
    dohle("storage", "format", "--config", str(member.folder / "server.properties"), "--cluster-id", cluster_id, "--no-initial-controllers")
    member.start(wait=False)
    arguments = (*server, "--command-config", member.folder / "server.properties", "add-controller")
    assert f"Added controller {removed} with directory id " in tools.tool(QUORUM, *arguments).stdout
    cluster.wait("three voters are back", lambda: voters() == [1, 2, 3])
    member.wait_until_ready()


def test_a_broker_that_is_gone_is_unregistered(own, tmp_path, tools):
    from harness.cluster import make_cluster

    cluster = own(make_cluster(tmp_path)).start()
    cluster.create("kept", assignment=[[1, 2, 3]])
    gone = next(number for number in (3, 2) if number != cluster.controller())
    cluster.members[gone].kill()
    left = [member.address for member in cluster.running]
    done = tools.tool(CLUSTER_TOOL, "unregister", "--bootstrap-server", ",".join(left), "--id", gone)
    assert f"Broker {gone} is no longer registered." in done.stdout
    unknown = tools.tool(CLUSTER_TOOL, "unregister", "--bootstrap-server", left[0], "--id", 9, check=False)
    assert unknown.returncode == 1 and "Broker ID 9 is not currently registered" in unknown.stderr
    cluster.wait("it is in sync nowhere", lambda: gone not in cluster.partitions("kept")[0].isr)
