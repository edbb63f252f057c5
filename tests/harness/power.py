"""An ext4 image whose power can be cut: it is shut down without flushing its journal, so that all that was not synced is gone.

`kill -9` cannot show a missing sync, since the page cache survives it. Needs root, for the loop device."""

import fcntl
import os
import struct
import subprocess

CAN_BE_CUT = os.geteuid() == 0
EXT4_IOC_SHUTDOWN = 0x8004587D
NO_LOG_FLUSH = 2
IMAGE_BYTES = 512 << 20


class PowerCutDisk:
    """A mounted ext4 image in a folder of its own."""

    def __init__(self, folder, size=IMAGE_BYTES):
        folder.mkdir(parents=True, exist_ok=True)
        self.image = folder / "image"
        self.mount_point = folder / "mnt"
        self.mount_point.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(self.image)], check=True)

    def mount(self):
        subprocess.run(["mount", "-o", "loop", str(self.image), str(self.mount_point)], check=True)
        return self

    def cut(self):
        descriptor = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def unmount(self):
        subprocess.run(["umount", str(self.mount_point)], check=True)

    def remount(self):
        self.unmount()
        self.mount()

    def is_mounted(self):
        return os.path.ismount(self.mount_point)

    def fill(self):
        """Takes all the room there is; returns the file that holds it."""
        path = self.mount_point / "full"
        with open(path, "wb", buffering=0) as file:
            block = b"\0" * (1 << 20)
            while len(block) >= 512:
                try:
                    file.write(block)
                except OSError:
                    block = block[: len(block) // 2]
        return path

    # Under the name that the tests' cleanup knows.
    def kill(self):
        if self.is_mounted():
            self.unmount()
