"""`ports.units.Units` by systemctl."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spotguard.domain.errors import GateFailed
from spotguard.host.gate import require_success, run_quietly

SECONDS = 120.0  # a unit may take its own 90 s to stop
_ESCAPED = re.compile(r"\\x5c(?=x[0-9a-f]{2})")  # systemd before 240 escapes what it shows once more


class Systemctl:
    """The manager of this machine. Every word that fails is a `GateFailed` with the last words of systemctl."""

    def __init__(self, program: str = "systemctl") -> None:
        self._program = program

    def triggered_by(self, unit: str) -> tuple[str, ...]:
        return tuple(self._property(unit, "TriggeredBy").split())

    def reload(self) -> None:
        self._ask("daemon-reload")

    def start(self, unit: str) -> None:
        self._ask("restart", "--", unit)

    def stop(self, unit: str) -> None:
        if self._property(unit, "LoadState") == "loaded":
            self._ask("stop", "--", unit)

    def runs(self, unit: str) -> bool:
        return self._property(unit, "ActiveState") in {"active", "activating", "reloading"}

    def told(
        self, units: Sequence[str], properties: Sequence[str], seconds: float = SECONDS
    ) -> list[dict[str, str]]:
        """What systemd says of each unit; a property that it does not know is empty. No `--value`: it is of 230."""
        answer = self._ask("show", f"--property={','.join(properties)}", "--", *units, seconds=seconds)
        blocks = _ESCAPED.sub(r"\\", answer.strip()).split("\n\n")
        told = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]
        if len(told) != len(units):
            raise GateFailed(f"{self._program} show {' '.join(units)}: {len(told)} answers")
        return [{name: one.get(name, "") for name in properties} for one in told]

    def _property(self, unit: str, name: str) -> str:
        return self.told([unit], [name])[0][name]

    def _ask(self, *words: str, seconds: float = SECONDS) -> str:
        answer: str = require_success(run_quietly, [self._program, *words], seconds, {}).stdout
        return answer
