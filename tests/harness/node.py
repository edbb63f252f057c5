"""One dohle process on loopback: started, stopped, killed and started again on the same data."""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("DOHLE_BINARY", str(ROOT / "target/release/dohle"))
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 30


def free_port():
    """A port nobody listens on now, outside the range the kernel hands to outgoing connections."""
    while True:
        port = 11000 + int.from_bytes(os.urandom(2), "big") % 18000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def answers(port, host="127.0.0.1"):
    """True once a node on the port answers ApiVersions."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            return len(connection.recv(4)) == 4
    except OSError:
        return False


class Node:
    """A broker and controller in one process. `settings` are server properties."""

    def __init__(self, folder, port=None, **settings):
        self.folder = pathlib.Path(folder)
        self.data = self.folder / "data"
        self.port = port or free_port()
        self.settings = settings
        self.process = None
        self.log_path = self.folder / "log"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self, wrapper=()):
        """Starts the process (behind `wrapper`, say strace) and waits until it answers."""
        command = [*wrapper, BINARY, "start", "--data-dir", str(self.data), "--listen", self.address]
        for key, value in self.settings.items():
            command += ["--set", f"{key.replace('_', '.')}={value}"]
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not answers(self.port):
            if self.process.poll() is not None:
                raise AssertionError(f"the node ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the node does not answer:\n{self.log()}")
            time.sleep(0.01)
        return self

    def stop(self):
        """SIGTERM, then the exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_TIMEOUT_S)
        self.process = None
        return status

    def kill(self):
        """SIGKILL: what was not handed to the kernel is gone."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart_after_kill(self):
        self.kill()
        return self.start()

    def log(self):
        return self.log_path.read_text(errors="replace")[-8000:]


def dohle(*arguments, stdin=None, check=True, timeout=120):
    """Runs one of our tools; returns the finished process with text output."""
    finished = subprocess.run(
        [BINARY, *arguments], input=stdin, capture_output=True, timeout=timeout, text=not isinstance(stdin, bytes)
    )
    if check and finished.returncode != 0:
        raise AssertionError(f"dohle {' '.join(arguments)} ended with {finished.returncode}:\n{finished.stdout}\n{finished.stderr}")
    return finished
