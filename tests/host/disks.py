"""Disks in files, as EC2 attaches volumes: a copy of the file is what a crash at that moment leaves."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

_NEEDED = ("mkfs.ext4", "losetup", "mount")
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_HAS_DISKS = (
    os.geteuid() == 0
    and all(shutil.which(name, path=_PATH) for name in _NEEDED)
    and Path("/dev/loop-control").exists()
)
needs_a_disk = pytest.mark.skipif(not _HAS_DISKS, reason="needs root, mkfs.ext4, losetup and loop devices")


def ext4_in(disk):
    """64 MiB, empty."""
    with disk.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    _run("mkfs.ext4", "-q", disk)


@contextmanager
def attached(disk):
    """Its device."""
    device = _run("losetup", "--find", "--show", disk)
    try:
        yield Path(device)
    finally:
        _run("losetup", "--detach", device)


@contextmanager
def mounted(disk, folder, options="rw"):
    with attached(disk) as device:
        _run("mount", "-o", options, device, folder)
        try:
            yield
        finally:
            _run("umount", folder)


def _run(*command):
    done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return done.stdout.strip()
