"""`ports.workload.Gate` on a systemd unit or on the user's own commands.

The unit must not be enabled at boot: a gate comes up closed, and only the agent opens it. Whatever `stop` runs has
to leave nothing in memory that belongs on the disk; a state volume that moves has to be unmounted by it
(for a unit: `RequiresMountsFor` and a mount unit that stops with it).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from spotguard.domain.errors import GateFailed
from spotguard.domain.instances import GateState

START_SECONDS = 120.0
STOP_SECONDS = 90.0  # systemd's own default before it kills
PROBE_SECONDS = 10.0

Command = Sequence[str]


@dataclass(frozen=True)
class GateCommands:
    """Lists of arguments, no shell. `status` succeeds while the workload runs; `probe` while it is healthy."""

    start: Command
    stop: Command
    status: Command
    probe: Command | None = None


class CommandGate:
    """A gate made of commands; each has its time, after which it has failed."""

    def __init__(self, commands: GateCommands) -> None:
        self._commands = commands

    def state(self) -> GateState:
        try:
            runs = _run(self._commands.status, PROBE_SECONDS).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return GateState.OPEN  # unknown: whoever must be sure that it is closed is not
        return GateState.OPEN if runs else GateState.CLOSED

    def open(self, epoch: int) -> None:
        if self.state() is GateState.OPEN:
            return
        _require(self._commands.start, START_SECONDS, {"SPOTGUARD_EPOCH": str(epoch)})
        if self.state() is not GateState.OPEN:
            raise GateFailed("the workload was started and does not run")

    def close(self) -> None:
        _require(self._commands.stop, STOP_SECONDS)
        if self.state() is not GateState.CLOSED:
            raise GateFailed("the workload was stopped and still runs")
        os.sync()

    def healthy(self) -> bool:
        if self.state() is not GateState.OPEN:
            return False
        if self._commands.probe is None:
            return True
        try:
            return _run(self._commands.probe, PROBE_SECONDS).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False


class SystemdGate(CommandGate):
    """A gate on one unit. A unit that is still deactivating counts as open: it may write."""

    def __init__(self, unit: str, probe: Command | None = None, *, systemctl: str = "systemctl") -> None:
        self._show = [systemctl, "show", "--property=ActiveState", "--value", "--", unit]
        super().__init__(
            GateCommands(
                start=[systemctl, "start", "--", unit],
                stop=[systemctl, "stop", "--", unit],
                status=self._show,
                probe=probe,
            )
        )

    def state(self) -> GateState:
        try:
            answer = _run(self._show, PROBE_SECONDS).stdout.strip()
        except (OSError, subprocess.TimeoutExpired):
            return GateState.OPEN  # unknown: whoever must be sure that it is closed is not
        return GateState.CLOSED if answer in {"inactive", "failed"} else GateState.OPEN


def _run(
    command: Command, seconds: float, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(command),
        timeout=seconds,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )


def _require(command: Command, seconds: float, environment: dict[str, str] | None = None) -> None:
    name = " ".join(command)
    try:
        done = _run(command, seconds, environment)
    except subprocess.TimeoutExpired as error:
        raise GateFailed(f"{name}: no end within {seconds:.0f} s") from error
    except OSError as error:
        raise GateFailed(f"{name}: {error}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise GateFailed(f"{name}: exit {done.returncode}{': ' + said[-1][:200] if said else ''}")
