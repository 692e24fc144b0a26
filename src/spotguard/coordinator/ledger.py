"""The ledger is settled every quarter of an hour, and whenever it is asked for."""

from __future__ import annotations

from datetime import datetime

from spotguard.coordinator.context import Beat, Context
from spotguard.domain.errors import IllegalMove
from spotguard.store import ledger


class Ledger:
    """`planning.metering` reckons, `store.ledger` writes."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.ledger_seconds)

    def is_due(self, now: datetime) -> bool:
        return self._beat.is_due(now)

    def settle(self, now: datetime) -> int:
        """Whoever is overtaken by the news of an end, or of an opening, settles in the next pass."""
        try:
            return self.ctx.db.write(lambda tx: ledger.settle(tx, now))
        except IllegalMove:
            self._beat.hurry()
            return 0
