"""`ports.workload.Quiesce` on the user's own commands."""

from __future__ import annotations

from collections.abc import Sequence

from spotguard.domain.errors import QuiesceFailed
from spotguard.host.commands import run
from spotguard.telemetry import get_logger

log = get_logger("quiesce")


class CommandQuiesce:
    """Two commands, each with `seconds` to end. What they said is logged, its end at most."""

    def __init__(self, quiesce: Sequence[str], thaw: Sequence[str], seconds: float) -> None:
        self._quiesce, self._thaw, self._seconds = quiesce, thaw, seconds

    def freeze(self) -> None:
        self._require(self._quiesce)

    def thaw(self) -> None:
        self._require(self._thaw)

    def _require(self, command: Sequence[str]) -> None:
        ran = run(command, self._seconds)
        log.info("hook", command=list(command), status=ran.status, output=ran.output)
        if not ran.succeeded:
            last = ran.output.splitlines()[-1:] or [f"exit {ran.status}"]
            raise QuiesceFailed(f"{' '.join(command)[:200]}: {last[0][:200]}")
