"""Whoever kills a long measurement kills its worker processes too."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="counts processes in /proc")
PATIENCE = 60.0


def workers_of(pid):
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if int(parent) == pid and b"spawn_main" in command:
            found.append(int(process.name))
    return found


def lives(pid):
    return Path(f"/proc/{pid}").exists() and ") Z " not in Path(f"/proc/{pid}/stat").read_text()


def until(happened):
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.1)


@pytest.mark.long
def test_workers_end_with_the_command_however_it_is_ended():
    run = "from spotguard.cli.entry import main; main()"
    command = [sys.executable, "-c", run, "simulate", "--seeds", "50", "--workers", "2"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as main:
        until(lambda: len(workers_of(main.pid)) == 2)
        workers = workers_of(main.pid)
        os.kill(main.pid, signal.SIGKILL)
    until(lambda: not any(map(lives, workers)))


@pytest.mark.long
def test_who_interrupts_a_simulation_is_told_what_was_finished():
    """Ctrl-C reaches the whole group, workers too. What a shell starts in its background is deaf to it (POSIX, "&")."""
    hears = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    run = f"{hears}; from spotguard.cli.entry import main; main()"
    command = [sys.executable, "-c", run, "simulate", "--seeds", "50", "--workers", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, **pipes, start_new_session=True) as main:
        try:
            until(lambda: len(workers_of(main.pid)) == 2)
            os.killpg(main.pid, signal.SIGINT)
            said, _ = main.communicate(timeout=PATIENCE)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(main.pid, signal.SIGKILL)
    assert main.returncode == 128 + signal.SIGINT
    assert said.startswith(
        "interrupted: the figures are those of the schedules that were finished\nschedules "
    )
