"""Duty `health`: look every few seconds at gate and probe, so that the health endpoint answers from memory."""

from __future__ import annotations

from datetime import datetime, timedelta

from spotguard.agent.desk import Desk
from spotguard.domain.instances import GateState


class Health:
    """Runs the user's probe; only where a health endpoint is configured."""

    def __init__(self, desk: Desk, every_seconds: float) -> None:
        self._desk, self._every = desk, timedelta(seconds=every_seconds)

    def run(self, now: datetime) -> datetime | None:
        primacy, serving = self._desk.primacy, self._desk.serving
        turn = serving.turn
        holds = primacy.held is not None and not primacy.paused
        well = holds and primacy.gate_state() is GateState.OPEN and primacy.healthy()
        serving.looked(turn, well=well)
        return now + self._every
