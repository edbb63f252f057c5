"""A cluster under load while something is done to it, and the verdict afterwards: what all agree on, and what was lost."""

import random
import time

from harness.history import check, check_seen
from harness.ledger import Watcher, Writer, read_all

PARTITIONS = 6
SESSION_S = 3
# What clients and a busy machine take beside a session.
SLACK_S = 4


class Stand:
    """Two idempotent producers at acks=all, and a consumer. `cluster` runs already."""

    def __init__(self, cluster, topic="t", per_second=400, partitions=PARTITIONS, **config):
        self.cluster, self.topic, self.count = cluster, topic, partitions
        cluster.create(topic, partitions, **config)
        self.writers = [
            Writer(cluster.bootstrap, topic, range(partitions), f"{topic}-p{number}", per_second, enable_idempotence=True).start()
            for number in range(2)
        ]
        self.watcher = Watcher(cluster.bootstrap, topic, partitions).start()
        self.flow()

    def flow(self, count=200, timeout_s=60):
        """Waits until records are taken: of each producer, and by each partition."""
        began = time.monotonic()
        for writer in self.writers:
            writer.wait_for(count, timeout_s)

        def everywhere():
            return all(len(writer.ledger.first_ack_after(began)) == self.count for writer in self.writers)

        self.cluster.wait("every partition takes records", everywhere, timeout_s)

    def gap_since(self, moment):
        """How long it took until every partition took a record that was sent after a moment; `flow` has to have succeeded since."""
        return max(max(writer.ledger.first_ack_after(moment).values()) for writer in self.writers) - moment

    def judge(self, failures=False):
        """Ends the load. Nothing that was acknowledged or shown may be lost; unless `failures` are expected no producer gave up."""
        self.cluster.wait_in_sync(self.topic, 60)
        ledgers = [writer.stop() for writer in self.writers]
        read = read_all(self.cluster.bootstrap, self.topic, self.count)
        seen = self.watcher.stop()
        acked = sum(len(ledger.acked) for ledger in ledgers)
        refused = sum(len(ledger.failed) for ledger in ledgers)
        print(f"{acked} records acknowledged, {refused} not, {len(read)} in the log, {len(seen)} shown to a consumer meanwhile")
        assert not (found := check(ledgers, read)), f"{found}\n{self.cluster.logs()}"
        assert not (found := check_seen(seen, read)) and not self.watcher.findings, (str(found), self.watcher.findings[:3])
        assert failures or not refused, [ledger.failed for ledger in ledgers]
        self.cluster.check_identical(self.topic)
        return acked


def chance(request):
    """The same for the same seed and test."""
    return random.Random(f"{request.config.getoption('--seed')} {request.node.name}")
