"""A network namespace with an address of its own for each node, on one bridge; packets from one to another can be made to vanish.

What vanishes is sent to a hardware address that nobody has: no error, no firewall, each direction by itself. Needs root."""

import itertools
import os
import subprocess

CAN_BE_MADE = os.geteuid() == 0
NOBODY = "02:00:00:00:99:99"
# The end of the bridge in the namespace of the tests, where clients live.
CLIENTS = 254
_numbers = itertools.count(os.getpid() % 200)


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True, capture_output=True, text=True)


class Network:
    """Nodes are numbered from 1; number `CLIENTS` is the tests themselves."""

    def __init__(self, count):
        self.number = next(_numbers) % 250
        self.bridge = f"dohle{self.number}"
        self.nodes = range(1, count + 1)
        ip("link", "add", self.bridge, "address", self._hardware(CLIENTS), "type", "bridge")
        ip("address", "add", f"{self.address(CLIENTS)}/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for node in self.nodes:
            self._join(node)
        self.heal()

    def _join(self, node):
        space, outside = self.space(node), f"d{self.number}n{node}"
        ip("netns", "add", space)
        ip("link", "add", outside, "type", "veth", "peer", "name", "eth0", "address", self._hardware(node), "netns", space)
        ip("link", "set", outside, "master", self.bridge, "up")
        ip("-n", space, "address", "add", f"{self.address(node)}/24", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")
        ip("-n", space, "link", "set", "lo", "up")

    def space(self, node):
        return f"dohle{self.number}-{node}"

    def address(self, node):
        return f"10.{100 + self.number % 100}.{self.number}.{node}"

    def _hardware(self, node):
        return f"02:00:00:00:{self.number:02x}:{node:02x}"

    def wrapper(self, node):
        """What stands before a command that is to run in the node's namespace."""
        return ["ip", "netns", "exec", self.space(node)]

    def _send(self, sender, receiver, hardware):
        where = [] if sender == CLIENTS else ["-n", self.space(sender)]
        device = self.bridge if sender == CLIENTS else "eth0"
        ip(*where, "neighbor", "replace", self.address(receiver), "lladdr", hardware, "dev", device, "nud", "permanent")

    def cut(self, sender, receiver):
        """What `sender` sends to `receiver` vanishes; the other way nothing changes."""
        self._send(sender, receiver, NOBODY)

    def part(self, some, others):
        """Nothing passes between two sets of nodes."""
        for one, other in itertools.product(some, others):
            self.cut(one, other)
            self.cut(other, one)

    def isolate(self, node, from_clients=False):
        self.part([node], [*(other for other in self.nodes if other != node), *([CLIENTS] if from_clients else [])])

    def mend(self, sender, receiver):
        self._send(sender, receiver, self._hardware(receiver))

    def heal(self):
        everybody = [*self.nodes, CLIENTS]
        for sender, receiver in itertools.permutations(everybody, 2):
            self.mend(sender, receiver)

    # Under the name that the cleanup of the tests knows.
    def kill(self):
        for node in self.nodes:
            ip("netns", "delete", self.space(node))
        ip("link", "delete", self.bridge)
