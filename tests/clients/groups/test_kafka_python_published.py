"""The integration tests that kafka-python publishes with its source, all but the two files that start a broker of their own for TLS and SASL."""

import os
import pathlib
import re
import subprocess
import sys
import tarfile

from harness.node import ROOT
from harness.server import GROUP_SETTINGS, IS_CONTROL, make_server

HERE = pathlib.Path(__file__).parent
SDIST = ROOT / "target/clients-venv/sdist"
# The newest version that the client knows: it then asks for everything.
KAFKA_VERSION = "4.3"
TIMEOUT_S = 280
# The control's only node is number 1, and the test wants a number 0.
CONTROL_DESELECTED = ["test_admin_integration.py::test_create_partitions"]


def unpack(folder):
    """The tests; the source leaves out the module that starts and stops services, of which only the name is needed here."""
    (archive,) = SDIST.glob("kafka_python-*.tar.gz")
    with tarfile.open(archive) as source:
        root = source.getnames()[0]
        source.extractall(folder, [member for member in source if member.name.startswith(f"{root}/test/")], filter="data")
    tests = folder / root / "test"
    (tests / "__init__.py").touch()
    (tests / "service.py").write_text(
        "class ExternalService:\n    def __init__(self, host, port):\n        pass\n    def open(self):\n        pass\n    stop = open\n\n\n"
        "class SpawnedService:\n    pass\n"
    )
    return folder / root


def deselected():
    lines = (HERE / "kafka_python_deselected.txt").read_text().splitlines()
    names = [line.split()[0] for line in lines if line and not line.startswith("#")]
    return names + (CONTROL_DESELECTED if IS_CONTROL else [])


def test_published_integration_tests(tmp_path):
    server = make_server(tmp_path / "server", **GROUP_SETTINGS)
    if not IS_CONTROL:
        server.settings |= {"node.id": 0, "advertised.listeners": f"PLAINTEXT://{server.address}"}
    command = [sys.executable, "-m", "pytest", "test/integration", "-q", "--timeout", "60", "-p", "no:cacheprovider", "-o", "log_level=ERROR"]
    for name in ("ssl", "sasl"):
        command.append(f"--ignore=test/integration/test_{name}_integration.py")
    for name in deselected():
        command.append(f"--deselect=test/integration/{name}")
    environment = {**os.environ, "KAFKA_VERSION": KAFKA_VERSION, "KAFKA_ROOT": "/", "KAFKA_URI": f"kafka://{server.address}"}
    source = unpack(tmp_path)
    server.start()
    try:
        run = subprocess.run(command, cwd=source, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    finally:
        server.kill()
    assert run.returncode == 0, run.stdout[-20_000:]
    passed = int(re.search(r"(\d+) passed", run.stdout)[1])
    assert passed >= 47, run.stdout[-2000:]
