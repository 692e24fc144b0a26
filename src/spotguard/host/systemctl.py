"""`ports.units.Units` by systemctl."""

from __future__ import annotations

import subprocess

from spotguard.domain.errors import GateFailed

SECONDS = 120.0  # a unit may take its own 90 s to stop


class Systemctl:
    """The manager of this machine."""

    def __init__(self, program: str = "systemctl") -> None:
        self._program = program

    def triggered_by(self, unit: str) -> tuple[str, ...]:
        return tuple(self._ask("show", "--property=TriggeredBy", "--value", "--", unit).split())

    def reload(self) -> None:
        self._ask("daemon-reload")

    def start(self, unit: str) -> None:
        self._ask("restart", "--", unit)

    def stop(self, unit: str) -> None:
        if self._ask("show", "--property=LoadState", "--value", "--", unit).strip() == "loaded":
            self._ask("stop", "--", unit)

    def runs(self, unit: str) -> bool:
        state = self._ask("show", "--property=ActiveState", "--value", "--", unit).strip()
        return state in {"active", "activating", "reloading"}

    def _ask(self, *words: str) -> str:
        try:
            done = subprocess.run(
                [self._program, *words],
                timeout=SECONDS,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise GateFailed(f"{self._program} {words[0]}: {error}") from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise GateFailed(f"{self._program} {words[0]}: {said[-1][:200] if said else done.returncode}")
        return done.stdout
