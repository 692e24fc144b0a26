"""A disk that stalls, for real: its bytes lie in a file of a file system that is frozen.

`python -m tests.host.frozen FOLDER SCENE` says what came of it as JSON. In a mount namespace of its own: each gate of
this machine would ask it.
"""

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.commands import run
from spotguard.host.gate import CommandGate, GateCommands
from spotguard.host.write_back import ClosingWriteBack
from tests.host.disks import ext4_in, mounted

STATE_SECONDS, OTHERS_SECONDS = 4.0, 2.0


@contextmanager
def frozen(folder):
    subprocess.run(["fsfreeze", "-f", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "-u", str(folder)], check=True)


@contextmanager
def stalling_disk(tmp_path):
    """Where it is mounted, and the file system below."""
    below, disk, outer = tmp_path / "below", tmp_path / "disk", tmp_path / "outer.img"
    below.mkdir()
    disk.mkdir()
    ext4_in(outer)
    with mounted(outer, below):
        inner = below / "inner.img"
        with inner.open("wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["mkfs.ext4", "-q", str(inner)], check=True)
        with mounted(inner, disk):
            yield disk, below


def _close(gate):
    begun = time.monotonic()
    try:
        gate.close()
    except GateFailed as error:
        said = str(error)
    else:
        said = "closed"
    return {"said": said, "state": gate.state(), "seconds": time.monotonic() - begun}


def gate_closes(tmp_path, state):
    """Once while the disk stalls, and once it answers."""
    write_back = ClosingWriteBack(state, state_seconds=STATE_SECONDS, others_seconds=OTHERS_SECONDS)
    gate = CommandGate(GateCommands(["true"], ["true"], ["false"]), write_back=write_back)
    with stalling_disk(tmp_path) as (disk, below):
        with frozen(below):
            (disk / "log").write_bytes(b"x" * 40960)  # in the page cache alone
            stalled = _close(gate)
        return {"stalled": stalled, "answering": _close(gate)}


def command_hangs(tmp_path):
    """Twice while the disk stalls, and once it answers."""
    stalls, disk = tmp_path / "stalls", tmp_path / "disk.img"
    stalls.mkdir()
    ext4_in(disk)
    told, command = [], ["touch", f"{stalls}/probed"]
    with mounted(disk, stalls):
        with frozen(stalls):
            for _ in range(2):
                begun = time.monotonic()
                ran = run(command, 1)
                told.append([ran.status, ran.output, time.monotonic() - begun])
        until = time.monotonic() + 10
        while (ran := run(command, 10)).status is None and time.monotonic() < until:
            subprocess.run(["sync", "-f", str(stalls)], check=True)
    return {"stalled": told, "answering": ran.status}


def main(folder, scene):
    if scene == "beside":
        return gate_closes(folder, folder / "state")
    if scene == "state":
        return gate_closes(folder, folder / "disk")
    return command_hangs(folder)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), sys.argv[2])) + "\n")
