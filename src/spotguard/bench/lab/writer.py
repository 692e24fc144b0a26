"""The workload's client, a process of its own: sends numbered records to whoever serves and notes each acknowledgement.

    writer.py LAB SECONDS [PORT]    a record every so many seconds, from the number after the last acknowledged one

A record that was not acknowledged is sent again, to whoever serves then. `acks` gets a line `number nanoseconds
instance answer` for each; `missing N` as the answer means that an acknowledged record was not there.

Who serves is where `front` leads. With PORT the client does as a load balancer: `members` names the instances and
their addresses, and it sends to the one whose agent's health endpoint on that port says that it serves.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False  # typing takes longer to load than all the rest
if TYPE_CHECKING:
    from typing import BinaryIO

RETRY_SECONDS = 0.002
ANSWER_SECONDS = 5.0
CHECK_SECONDS = 0.5  # a health check may take
BETWEEN_CHECKS_SECONDS = 0.05


class Client:
    """`number` is the next record; it grows with each acknowledgement, whatever becomes of the line."""

    def __init__(self, lab: str, pause: float, port: int | None) -> None:
        self._lab, self._pause, self._port = lab, pause, port
        self._acks = os.open(os.path.join(lab, "acks"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.number = _last(self._acks) + 1
        self.is_stopped = False

    def stop(self, *_: object) -> None:
        self.is_stopped = True

    def run(self) -> None:
        between = RETRY_SECONDS if self._port is None else BETWEEN_CHECKS_SECONDS
        while not self.is_stopped:
            try:
                self._talk()
            except OSError:  # nobody serves now, or it ended in the middle of a word
                select.select([], [], [], between)

    def _talk(self) -> None:
        path = os.path.join(self._lab, "front") if self._port is None else _who_serves(self._lab, self._port)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_SECONDS)
            line.connect(path)
            file = line.makefile("rb")
            instance = _word(file)
            while not self.is_stopped:
                line.sendall(b"%d\n" % self.number)
                answer = _word(file)
                note = f"{self.number} {time.time_ns()} {instance} {answer}\n"
                os.write(self._acks, note.encode())
                self.number += 1
                select.select([], [], [], self._pause)


def _who_serves(lab: str, port: int) -> str:
    """The socket of the member whose health endpoint says so; `OSError` when none does."""
    with open(os.path.join(lab, "members")) as members:
        listed = [line.split() for line in members]
    for instance, address in reversed(listed):
        if _says_yes(address, port):
            return os.path.join(lab, "i", instance, "sock")
    raise ConnectionError("no member serves")


def _says_yes(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), CHECK_SECONDS) as line:
            line.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return line.recv(64).split()[1:2] == [b"200"]
    except OSError:
        return False


def _word(file: BinaryIO) -> str:
    said = file.readline()
    if not said.endswith(b"\n"):
        raise ConnectionError("the line is dead")
    return said.decode().strip()


def _last(acks: int) -> int:
    size = os.fstat(acks).st_size
    tail = os.pread(acks, 200, max(0, size - 200))
    return int(tail.split(b"\n")[-2].split()[0]) if tail else 0


if __name__ == "__main__":
    client = Client(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else None)  # noqa: PLR2004
    signal.signal(signal.SIGTERM, client.stop)
    client.run()
