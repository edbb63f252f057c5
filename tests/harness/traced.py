"""Faults of system calls of a process that runs: strace answers for the kernel."""

import signal
import subprocess
import time

ATTACH_S = 10


class Injected:
    """From now on calls fail or are slow, such as `fdatasync:error=EIO` or `fdatasync:delay_enter=200000`; `paths` restricts them."""

    def __init__(self, pid, *faults, paths=()):
        words = [word for fault in faults for word in ("-e", f"inject={fault}")]
        calls = ",".join(sorted({call for fault in faults for call in fault.split(":")[0].split(",")}))
        words += [word for path in paths for word in ("-P", str(path))]
        command = ["strace", "-f", "-p", str(pid), "-e", f"trace={calls}", "-o", "/dev/null", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + ATTACH_S
        while not self._is_traced(pid):
            assert self.process.poll() is None and time.monotonic() < deadline, self.process.stderr.read()
            time.sleep(0.01)

    @staticmethod
    def _is_traced(pid):
        return "TracerPid:\t0" not in open(f"/proc/{pid}/status").read()

    def kill(self):
        """Lets go of the process."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()
