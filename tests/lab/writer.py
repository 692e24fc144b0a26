"""The workload's client, a process of its own: sends numbered records to whoever serves and notes each acknowledgement.

    writer.py LAB SECONDS    a record every so many seconds, from the number after the last acknowledged one

A record that was not acknowledged is sent again, to whoever serves then. `acks` gets a line `number nanoseconds
instance answer` for each; `missing N` as the answer means that an acknowledged record was not there.
"""

import os
import select
import signal
import socket
import sys
import time

RETRY_SECONDS = 0.002
ANSWER_SECONDS = 5.0


class Client:
    """`number` is the next record; it grows with each acknowledgement, whatever becomes of the line."""

    def __init__(self, lab, pause):
        self._front, self._pause = os.path.join(lab, "front"), pause
        self._acks = os.open(os.path.join(lab, "acks"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self.number = _last(self._acks) + 1
        self.is_stopped = False

    def stop(self, *_):
        self.is_stopped = True

    def run(self):
        while not self.is_stopped:
            try:
                self._talk()
            except OSError:  # nobody serves now, or it ended in the middle of a word
                select.select([], [], [], RETRY_SECONDS)

    def _talk(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_SECONDS)
            line.connect(self._front)
            file = line.makefile("rb")
            instance = _word(file)
            while not self.is_stopped:
                line.sendall(b"%d\n" % self.number)
                answer = _word(file)
                note = f"{self.number} {time.time_ns()} {instance} {answer}\n"
                os.write(self._acks, note.encode())
                self.number += 1
                select.select([], [], [], self._pause)


def _word(file):
    said = file.readline()
    if not said.endswith(b"\n"):
        raise ConnectionError("the line is dead")
    return said.decode().strip()


def _last(acks):
    size = os.fstat(acks).st_size
    tail = os.pread(acks, 200, max(0, size - 200))
    return int(tail.split(b"\n")[-2].split()[0]) if tail else 0


if __name__ == "__main__":
    client = Client(sys.argv[1], float(sys.argv[2]))
    signal.signal(signal.SIGTERM, client.stop)
    client.run()
