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


def main(lab, pause):
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    acks = os.open(os.path.join(lab, "acks"), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    while not stopping:
        try:
            _talk(os.path.join(lab, "front"), acks, pause, stopping)
        except OSError:  # nobody serves now, or it ended in the middle of a word
            select.select([], [], [], RETRY_SECONDS)


def _talk(front, acks, pause, stopping):
    number = _last(acks) + 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_SECONDS)
        line.connect(front)
        file = line.makefile("rb")
        instance = _word(file)
        while not stopping:
            line.sendall(b"%d\n" % number)
            answer = _word(file)
            os.write(acks, f"{number} {time.time_ns()} {instance} {answer}\n".encode())
            number += 1
            select.select([], [], [], pause)


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
    main(sys.argv[1], float(sys.argv[2]))
