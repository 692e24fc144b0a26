"""`ports.units.Units` by systemctl."""

from __future__ import annotations

import re
from collections.abc import Sequence

from spotguard.domain.errors import GateFailed
from spotguard.host.gate import require_success, run_quietly

SECONDS = 120.0  # a unit may take its own 90 s to stop
_STOPS_WITH = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo")
"""systemd.unit(5), "Mapping of unit properties to their inverses"; the last one is of systemd 249."""
_ESCAPED = re.compile(r"\\x5c(?=x[0-9a-f]{2})")  # systemd before 240 escapes what it shows once more


class Systemctl:
    """The manager of this machine. Every word that fails is a `GateFailed` with the last words of systemctl."""

    def __init__(self, program: str = "systemctl", seconds: float = SECONDS) -> None:
        """`seconds`: for each word to it."""
        self._program, self._seconds = program, seconds

    def triggered_by(self, unit: str) -> tuple[str, ...]:
        return tuple(self._property(unit, "TriggeredBy").split())

    def stopped_with(self, unit: str) -> tuple[str, ...]:
        found, asked = [unit], 0
        while asked < len(found):
            told = self.told(found[asked:], _STOPS_WITH)
            asked = len(found)
            others = [name for one in told for names in one.values() for name in names.split()]
            found += [name for name in dict.fromkeys(others) if name not in found]
        return tuple(found[1:])

    def reload(self) -> None:
        self._ask("daemon-reload")

    def start(self, unit: str) -> None:
        self._ask("restart", "--", unit)

    def stop(self, unit: str) -> None:
        if self._property(unit, "LoadState") == "loaded":
            self._ask("stop", "--", unit)

    def runs(self, unit: str) -> bool:
        return self._property(unit, "ActiveState") in {"active", "activating", "reloading"}

    def told(self, units: Sequence[str], properties: Sequence[str]) -> list[dict[str, str]]:
        """What systemd says of each unit; a property that it does not know is empty. No `--value`: it is of 230."""
        answer = self._ask("show", f"--property={','.join(properties)}", "--", *units)
        blocks = _ESCAPED.sub(r"\\", answer.strip()).split("\n\n")
        told = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]
        if len(told) != len(units):
            raise GateFailed(f"{self._program} show {' '.join(units)}: {len(told)} answers")
        return [{name: one.get(name, "") for name in properties} for one in told]

    def _property(self, unit: str, name: str) -> str:
        return self.told([unit], [name])[0][name]

    def _ask(self, *words: str) -> str:
        answer: str = require_success(run_quietly, [self._program, *words], self._seconds, {}).stdout
        return answer
