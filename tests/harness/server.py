"""The server under test: our node; or three of them as one cluster (`DOHLE_NODES=3`), where every topic has three replicas; or a real
Apache Kafka as the control of a suite (`DOHLE_TEST_SERVER=kafka`)."""

import os

from harness.cluster import DohleCluster
from harness.kafka import Kafka
from harness.node import Node

NODES = int(os.environ.get("DOHLE_NODES", "1"))
IS_CONTROL = os.environ.get("DOHLE_TEST_SERVER", "dohle") == "kafka"

# Short sessions, and no wait for members that might come; a node with these runs the published suites of clients too.
GROUP_SETTINGS = {"group_min_session_timeout_ms": 1000, "group_initial_rebalance_delay_ms": 0, "num_partitions": 4}


def make_server(folder, **settings):
    """A server that is not started yet; all kinds have the same methods."""
    return Kafka(folder, **settings) if IS_CONTROL else make_ours(folder, **settings)


def make_ours(folder, **settings):
    return DohleCluster(folder, brokers=NODES, **settings) if NODES > 1 else Node(folder, **settings)
