"""The answer of a step that cannot be finished now."""

from __future__ import annotations

from dataclasses import dataclass

from spotguard.execution.move_state import MoveState


@dataclass(frozen=True)
class Wait:
    """Look again in `seconds`. `state`, where the step has come further without being done."""

    seconds: float
    because: str
    state: MoveState | None = None
