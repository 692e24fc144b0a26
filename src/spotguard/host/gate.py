"""`ports.workload.Gate` on the user's own commands; on a systemd unit: `host.systemd_gate`.

Neither may start it at boot: a gate comes up closed, and only the agent opens it. Whatever `stop` runs has
to leave nothing in memory that belongs on the disk; a state volume that moves has to be unmounted by it
(for a unit: `RequiresMountsFor` and a mount unit that stops with it). A state that is copied to standbys has to stay
mounted: the last delta is read after the stop (docs/state-sync.md).

What the user's own `start` and `stop` say goes where the agent's log goes: what they leave running may keep their
output for as long as it lives, and a pipe of ours would keep us waiting for its end, and kill it with ours.

A `start` after which the workload does not run in time has failed, and what it has begun goes on: a workload may need
longer than we wait. It lasts until the gate is closed, by this agent or by one that comes after it; until then the gate
counts as open, and nothing is started beside it. One that says that it has failed is ended, and made again.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from spotguard.domain.errors import GateFailed, StartFailed
from spotguard.domain.instances import GateState
from spotguard.host import commands
from spotguard.host.killing import has_ended, run_within, words_of
from spotguard.host.starts import MARK, Starts, listed
from spotguard.host.write_back import ClosingWriteBack

OPEN_SECONDS = 10.0  # nobody can close while a start is waited for, and a notice leaves two minutes
START_SECONDS = 120.0
STOP_SECONDS = 90.0  # systemd's own default before it kills
PROBE_SECONDS = 10.0
_LOOK_SECONDS = 0.2

Command = Sequence[str]
Run = Callable[[Command, float, Mapping[str, str]], subprocess.CompletedProcess[Any]]
_OUR_STDERR = 2
# a shell's word for a program that it could not run (POSIX, "Exit Status for Commands")
_NOT_ASKED = frozenset({126, 127})


@dataclass(frozen=True)
class GateCommands:
    """Lists of arguments, no shell. `status` succeeds while the workload runs; `probe` while it is healthy."""

    start: Command
    stop: Command
    status: Command
    probe: Command | None = None


class CommandGate:
    """A gate made of commands; each has its time, after which it has failed."""

    def __init__(
        self,
        commands: GateCommands,
        *,
        open_seconds: float = OPEN_SECONDS,
        start_seconds: float = START_SECONDS,
        look_seconds: float = PROBE_SECONDS,
        folder: Path | None = None,
        write_back: ClosingWriteBack | None = None,
    ) -> None:
        """`open_seconds`: how long `open` waits for the workload. `start_seconds`: after which the start command is
        killed, though not what it has begun. `folder`: the agent's own, where a start under way is written down for an
        agent that comes after it. `write_back`: None: of a state that may lie anywhere on this machine.
        """
        self._commands, self._open_seconds, self._start_seconds = commands, open_seconds, start_seconds
        self._look_seconds, self._starts = look_seconds, Starts(folder)
        self._write_back = write_back or ClosingWriteBack(None)
        self._late: list[subprocess.Popen[bytes]] = []  # not waited for yet

    def state(self) -> GateState:
        """Unknown counts as open, and so do a start that goes on and a stop after which the state's disks have not
        answered: whoever must be sure that it is closed is not.
        """
        is_closed = self._look() is False and not self._starts_go_on() and not self._write_back.is_owed
        return GateState.CLOSED if is_closed else GateState.OPEN

    def _look(self) -> bool | None:
        """As `runs`; once it does, what its start has left running is the workload."""
        runs = self.runs()
        if runs:
            self._starts.came_up()
        return runs

    def _starts_go_on(self) -> bool:
        """Also a command of this process of which the system tells nothing."""
        return bool(self._starts.going_on()) or any(child.poll() is None for child in self._late)

    def runs(self) -> bool | None:
        """Whether the workload does; None when that cannot be told."""
        code = commands.run(self._commands.status, self._look_seconds).status
        return None if code is None or code < 0 or code in _NOT_ASKED else code == 0

    def is_up(self) -> bool:
        """It has come up, as far as that can be told."""
        return self._look() is not False

    def open(self, epoch: int, before: Callable[[], None] | None = None) -> None:
        """One look decides: by two that differ `before` would be passed over, or a second one started."""
        runs = self._look()
        if runs or self._starts_go_on():
            self._starts.end_overdue(self._start_seconds)
            self._require_up()
            return
        if runs is None:
            raise GateFailed("whether the workload runs cannot be told: it is not started beside itself")
        if before is not None:
            before()
        self._write_back.forget()
        try:
            self._start({"SPOTGUARD_EPOCH": str(epoch)})
        except GateFailed as error:
            raise StartFailed(str(error)) from error
        self._require_up()

    def close(self) -> None:
        """One that ran and is not seen to have ended may be flushing: what its start has begun is not killed."""
        if self._look() is False:
            self._stop_again()
            if self._starts_go_on():
                self._end_late_starts()
                self._stop_again()  # it may have left its session meanwhile
        else:
            self._stop()
        if self.runs() is not False:
            raise GateFailed("the workload was stopped and still runs")
        self._end_late_starts()
        self._write_back.run()

    def _stop_again(self) -> None:
        """What does not run may be something that `status` does not see; many a `stop` fails where there is nothing."""
        with suppress(GateFailed):
            self._stop()

    def healthy(self) -> bool:
        """Of one that cannot be asked whether it runs the probe alone knows: nobody else has seen it serve."""
        runs = self.runs()
        if runs is False:
            return False
        if self._commands.probe is None:
            return runs is True
        return commands.run(self._commands.probe, self._look_seconds).succeeded

    def _require_up(self) -> None:
        if self.is_up():
            return
        pids = self._starts.going_on()
        told = f" yet: what its start has begun goes on ({listed(pids)})" if pids else ""
        raise StartFailed(f"the workload was started and does not run{told}")

    def _start(self, environment: Mapping[str, str]) -> None:
        require_success(self._run_in_group, self._commands.start, self._open_seconds, environment)

    def _stop(self) -> None:
        require_success(_run_aloud, self._commands.stop, STOP_SECONDS, {})

    def _run_in_group(
        self, command: Command, seconds: float, environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[bytes]:
        """Its own, by which all that it has begun can be ended. A command that leaves the workload in the background
        ends before that runs: it is given the rest of the time.
        """
        until, waiting, mark = time.monotonic() + seconds, threading.Event(), uuid4().hex
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=_OUR_STDERR,
            env={**os.environ, **environment, MARK: mark},
            start_new_session=True,
        )
        self._starts.begun(child.pid, mark)
        try:
            code = child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._late.append(child)
            raise
        if code != 0:
            self._starts.end_all([child.pid])  # by its own word it has failed: it is made again
        while code == 0 and self.runs() is False and time.monotonic() < until:
            waiting.wait(_LOOK_SECONDS)
        return subprocess.CompletedProcess(command, code)

    def _end_late_starts(self) -> None:
        """None starts the workload after the stop: somebody else may serve by then."""
        self._starts.end_all()
        for child in self._late:
            child.kill()
            if not has_ended(child):
                raise GateFailed(f"a late start goes on, and cannot be ended: process {child.pid}")
        self._late.clear()


def run_quietly(
    command: Command, seconds: float, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return run_within(
        command,
        seconds,
        words_of(command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {})},
    )


def _run_aloud(
    command: Command, seconds: float, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """What it says goes where our log goes; of what it leaves running nothing is killed."""
    return run_within(
        command,
        seconds,
        words_of(command),
        stdout=_OUR_STDERR,
        text=True,
        env={**os.environ, **environment},
    )


def require_success(
    how: Run, command: Command, seconds: float, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[Any]:
    """`GateFailed` without it, and with the last words of the command."""
    name = " ".join(command)
    try:
        done = how(command, seconds, environment)
    except subprocess.TimeoutExpired as error:
        raise GateFailed(f"{name}: no end within {seconds:.0f} s") from error
    except OSError as error:
        raise GateFailed(f"{name}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout or "").strip().splitlines()
        raise GateFailed(f"{name}: exit {done.returncode}{': ' + said[-1][:200] if said else ''}")
    return done
