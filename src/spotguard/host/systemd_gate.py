"""`ports.workload.Gate` on a systemd unit. It counts as stopped with all that systemd stops with it.

`systemctl stop` of one unit returns when that one has ended: a database that is `PartOf=` it may flush for a while yet,
a mount be busy.
And a unit is inactive although processes of it go on, where `KillMode=` or `SendSIGKILL=` say so (systemd.kill(5)).
Either may write what no image and no last pass holds.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spotguard.domain.errors import GateFailed
from spotguard.host.gate import (
    OPEN_SECONDS,
    PROBE_SECONDS,
    STOP_SECONDS,
    Command,
    CommandGate,
    GateCommands,
    require_success,
    run_quietly,
)
from spotguard.host.starts import listed
from spotguard.host.systemctl import Systemctl
from spotguard.host.write_back import ClosingWriteBack

END_SECONDS = 10.0  # for what a stop has left running, once it was asked to end
_LOOK_SECONDS = 0.1
_ENDED = frozenset({"inactive", "failed"})
_UP = frozenset({"active", "reloading", "refreshing"})
_NOBODYS = frozenset({errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP})
"""A group that has ended meanwhile, and one of threads, whose processes are told above it (cgroups(7))."""
_HIERARCHIES = ("", "systemd", "unified")  # cgroup v2; v1; both (systemd.io, "Control Group APIs")


class SystemdGate(CommandGate):
    """A gate on one unit. A unit that is still deactivating counts as open: it may write."""

    def __init__(
        self,
        unit: str,
        probe: Command | None = None,
        *,
        systemctl: str = "systemctl",
        groups: Path = Path("/sys/fs/cgroup"),
        open_seconds: float = OPEN_SECONDS,
        end_seconds: float = END_SECONDS,
        write_back: ClosingWriteBack | None = None,
    ) -> None:
        """`groups`: where the kernel shows control groups. `write_back`: as of a `CommandGate`."""
        self._unit, self._systemctl, self._groups, self._end_seconds = unit, systemctl, groups, end_seconds
        self._manager = Systemctl(systemctl, PROBE_SECONDS)
        super().__init__(
            GateCommands(
                start=[systemctl, "start", "--", unit],
                stop=[systemctl, "stop", "--", unit],
                status=[systemctl, "status", "--", unit],
                probe=probe,
            ),
            open_seconds=open_seconds,
            write_back=write_back,
        )

    def runs(self) -> bool | None:
        answer = self._active_state()
        return answer not in _ENDED if answer else None

    def healthy(self) -> bool:
        """Without a probe: it has started. One that is started again and again is activating for most of the time."""
        if self._commands.probe is not None:
            return super().healthy()
        return self._active_state() in _UP

    def is_up(self) -> bool:
        state = self._active_state()
        return not state or state in _UP

    def _active_state(self) -> str | None:
        """One that waits for another to start is inactive for systemd: its job will start it."""
        try:
            told = self._manager.told([self._unit], ["ActiveState", "Job"])[0]
        except GateFailed:
            return None
        waits = told["ActiveState"] in _ENDED and told["Job"] not in {"", "0"}
        return "activating" if waits else told["ActiveState"]

    def _start(self, environment: Mapping[str, str]) -> None:
        """As a child it leaves nothing running, and its last words tell why. What it has asked for goes on without it
        until a stop takes its place.
        """
        require_success(run_quietly, self._commands.start, self._open_seconds, environment)

    def _stop(self) -> None:
        """The others are named too: systemctl waits for those that are. Whether it says that it could stop them, or
        that nobody may, matters less than whether they have ended.
        """
        units, failure = [self._unit], None
        try:
            units += self._manager.stopped_with(self._unit)
        except GateFailed as error:
            failure = error  # the workload is stopped all the same
        require_success(run_quietly, self._commands.stop, STOP_SECONDS, {})
        if units[1:]:
            with suppress(GateFailed):
                require_success(run_quietly, [self._systemctl, "stop", "--", *units[1:]], STOP_SECONDS, {})
        self._end_what_is_left(units)
        if failure is not None:
            raise failure

    def _stop_again(self) -> None:
        self._stop()  # what stops with it may go on

    def _end_what_is_left(self, units: Sequence[str]) -> None:
        """Asked once, not killed: `SendSIGKILL=no` is what a unit says whose writes must not be cut off."""
        left = self._left(units)
        for unit in left:
            with suppress(GateFailed):  # it may have ended meanwhile: what is left then says
                require_success(run_quietly, [self._systemctl, "kill", "--", unit], PROBE_SECONDS, {})
        waiting, until = threading.Event(), time.monotonic() + self._end_seconds
        while left and time.monotonic() < until:
            waiting.wait(_LOOK_SECONDS)
            left = self._left(left)
        if left:
            told = "; ".join(f"{unit}: {listed(pids)}" for unit, pids in left.items())
            raise GateFailed(
                f"the workload was stopped, and processes of it go on ({told}): end them; "
                "KillMode= and SendSIGKILL= of the unit say what its stop ends (systemd.kill(5))"
            )

    def _left(self, units: Sequence[str] | Mapping[str, object]) -> dict[str, list[int]]:
        """The processes of each that has any. One that has not ended is systemd's to end: `GateFailed`."""
        found = {}
        for unit, told in zip(
            units, self._manager.told(list(units), ("ActiveState", "ControlGroup")), strict=True
        ):
            if told["ActiveState"] not in _ENDED:
                state = told["ActiveState"] or "in no known state"
                raise GateFailed(f"{unit} was stopped and is {state} (systemctl status {unit} says why)")
            pids = self._processes_in(told["ControlGroup"])
            if pids:
                found[unit] = pids
        return found

    def _processes_in(self, group: str) -> list[int]:
        """Of it and of the groups below."""
        name = group.strip("/")
        if not name:
            return []  # systemd has taken it away
        pids: set[int] = set()
        for hierarchy in _HIERARCHIES:
            for folder, _, _ in os.walk(self._groups / hierarchy / name):
                try:
                    pids.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
                except OSError as error:
                    if error.errno not in _NOBODYS:
                        raise GateFailed(f"it cannot be seen what runs in {group}: {error}") from error
        return sorted(pids)
