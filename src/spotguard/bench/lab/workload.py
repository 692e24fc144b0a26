"""The lab's workload, a process of its own: takes numbered records over a socket and writes them on its state volume.

    workload.py HOME    what a gate's `start` runs: returns when it serves, or fails and says why; SIGTERM ends it

HOME is the instance's folder: `vol` is where its state volume is mounted. Beside the instances lie `serving.lock`,
which only one workload can hold, whatever SpotGuard believes; `overlaps`, one line for each that found it held;
`front`, the address of whoever serves; `sessions`, who served when. Standard library alone: it starts in no time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # typing takes longer to load than all the rest
if TYPE_CHECKING:
    from typing import IO, NoReturn


def main(home: str) -> None:
    if not os.path.isdir(os.path.join(home, "vol")):
        sys.exit("no state volume is mounted")
    ready, told = os.pipe()
    if os.fork() == 0:
        os.close(ready)
        os.setsid()
        if os.fork() == 0:
            _live(home, told)
        os._exit(0)
    os.close(told)
    said = os.read(ready, 1000).decode()
    if said != "serving":
        sys.exit(said or "it ended at once")


def _live(home: str, told: int) -> NoReturn:
    try:
        _serve(home, told)
    except Exception as error:  # noqa: BLE001 - whoever started it must hear why, whatever it is
        os.write(told, f"{type(error).__name__}: {error}".encode()[:900])
    os._exit(0)


def _serve(home: str, told: int) -> None:
    lab = os.path.dirname(os.path.dirname(home))
    name = os.path.basename(home)
    own = open(os.path.join(home, "running.lock"), "a")  # held until the process ends
    fcntl.flock(own, fcntl.LOCK_EX)
    witness = open(os.path.join(lab, "serving.lock"), "a")
    if not _lock(witness):
        _append(os.path.join(lab, "overlaps"), f"{name} opened while another one served\n")
        raise RuntimeError("another one serves")
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    _replace(os.path.join(home, "pid"), str(os.getpid()))
    state = os.path.join(home, "vol", "state")
    os.makedirs(state, exist_ok=True)
    records = os.open(os.path.join(state, "records"), os.O_RDWR | os.O_CREAT | os.O_APPEND)
    listening = _listen(home, lab)
    epoch = os.environ.get("SPOTGUARD_EPOCH", "0")
    _append(os.path.join(lab, "sessions"), f"opened {name} {epoch} {time.time_ns()}\n")
    for number in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), number)
    os.write(told, b"serving")
    os.close(told)
    while not stopping:
        _hear(listening, records, name, stopping)
    listening.close()
    os.fsync(records)
    os.unlink(os.path.join(home, "pid"))
    _append(os.path.join(lab, "sessions"), f"closed {name} {epoch} {time.time_ns()}\n")


def _listen(home: str, lab: str) -> socket.socket:
    path = os.path.join(home, "sock")
    if os.path.exists(path):
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(path)
    listening.listen(4)
    fresh = os.path.join(home, "front.new")
    if os.path.lexists(fresh):
        os.unlink(fresh)
    os.symlink(path, fresh)
    os.rename(fresh, os.path.join(lab, "front"))
    return listening


def _hear(listening: socket.socket, records: int, name: str, stopping: list[bool]) -> None:
    """One client after the other, until it goes or the workload ends."""
    if not _wait(listening):
        return
    client, _ = listening.accept()
    with client:
        last = _last(records)
        client.sendall(f"{name}\n".encode())
        pending = b""
        while not stopping:
            if not _wait(client):
                continue
            heard = client.recv(4096)
            if not heard:
                return
            *lines, pending = (pending + heard).split(b"\n")
            for line in lines:
                last = _take(records, int(line), last, client)


def _take(records: int, number: int, last: int, client: socket.socket) -> int:
    """Written before it is acknowledged. A record that is there already is acknowledged again, not written again."""
    answer = "taken" if number == last + 1 else "known" if number <= last else f"missing {last}"
    if number > last:
        os.write(records, b"%d\n" % number)
        last = number
    client.sendall(f"{answer}\n".encode())
    return last


def _last(records: int) -> int:
    size = os.fstat(records).st_size
    tail = os.pread(records, 64, max(0, size - 64))
    return int(tail.split(b"\n")[-2]) if tail else 0


def _wait(readable: socket.socket) -> bool:
    try:
        return bool(select.select([readable], [], [], 0.2)[0])
    except OSError as error:
        if error.errno != errno.EINTR:
            raise
        return False


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _append(path: str, line: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(handle, line.encode())
    os.close(handle)


def _replace(path: str, text: str) -> None:
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)


if __name__ == "__main__":
    main(sys.argv[1])
