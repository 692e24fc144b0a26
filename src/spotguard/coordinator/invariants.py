"""What must always be true is checked every five minutes; a breach is logged and told, never mended in silence."""

from __future__ import annotations

from datetime import datetime

from spotguard.coordinator.context import Beat, Context, log
from spotguard.planning.invariants import INVARIANTS, Breach, check
from spotguard.store import invariant_facts


class Invariants:
    """Keeps the newest outcome for who asks."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.invariants_seconds)
        self.checked = 0
        self.broken: list[Breach] = []

    def run(self, now: datetime) -> int:
        return self.check(now) if self._beat.is_due(now) else 0

    def check(self, now: datetime) -> int:
        """How many breaches there are now."""
        breaches = check(self.ctx.db.read(lambda tx: invariant_facts.gather(tx, now)))
        self.checked += len(INVARIANTS)
        for breach in breaches:
            if self.ctx.news(breach.invariant, breach.what, now):
                self.broken.append(breach)
                log.error("an invariant is broken", invariant=breach.invariant, what=breach.what)
        return len(breaches)
