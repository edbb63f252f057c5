"""The server under test: our node, or a real Apache Kafka as the control of a suite (`DOHLE_TEST_SERVER=kafka`)."""

import os

from harness.kafka import Kafka
from harness.node import Node

IS_CONTROL = os.environ.get("DOHLE_TEST_SERVER", "dohle") == "kafka"

# Short sessions, and no wait for members that might come; a node with these runs the published suites of clients too.
GROUP_SETTINGS = {"group_min_session_timeout_ms": 1000, "group_initial_rebalance_delay_ms": 0, "num_partitions": 4}


def make_server(folder, **settings):
    """A server that is not started yet; both kinds have the same methods."""
    return Kafka(folder, **settings) if IS_CONTROL else Node(folder, **settings)
