"""kafkajs: its tests are written in JavaScript (`tests/clients/node`) and run by Node's own runner."""

import os
import subprocess

from harness.group_member import NODE_MODULES
from harness.node import ROOT

TIMEOUT_S = 180


def test_kafkajs(server):
    environment = {**os.environ, "NODE_PATH": str(NODE_MODULES), "BOOTSTRAP": server.address}
    command = ["node", "--test", "tests/clients/node/groups.test.js"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 3" in run.stdout
