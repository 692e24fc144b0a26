"""The engine as production has it where a tenant pays for looks: one at a time, of the greatest worth, from a budget of
the day, by `planning.probes` exactly as shipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from spotguard.backtest.engine import Engine
from spotguard.backtest.policy import ONDEMAND, Sight, View
from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import AgentId, PoolId
from spotguard.domain.pools import Pool
from spotguard.engine import forecast, watching
from spotguard.engine.forecast import Prospect
from spotguard.planning.probes import Lookable, NoProbe, ProbeFacts, plan, watchable

_RUN = AgentId("run")


class PayingEngine(Engine):
    """`usd_per_day`: what its looks may cost in a UTC day. A pool that they cannot watch counts as unwatched."""

    def __init__(self, *, usd_per_day: Decimal, **how: Any) -> None:
        super().__init__(**how)
        self._usd_per_day = usd_per_day
        self._bought: list[tuple[float, int, Decimal]] = []  # when, which pool, what it costs: of this day

    def _prospects(self, view: View, watched: Mapping[PoolId, Prospect]) -> dict[PoolId, Prospect]:
        priced = zip(view.pools, map(_usd, view.usd.tolist()), strict=True)
        paid = watchable(priced, self._usd_per_day, watching.WATCHED_LOOKS_A_DAY)
        return forecast.unwatched(watched, paid)

    def _due(self, view: View) -> tuple[int, ...]:
        ask, known = self._asked
        told = watching.worths([ask], known)
        numbers = {pool.id: number for number, pool in enumerate(view.pools)}
        facts = ProbeFacts(
            now=view.moment,
            usd_per_day=self._usd_per_day,
            spent_usd=self._spent(view),
            kill=KillLevel.NONE,
            frozen=None,
            busy=None,
            throttled=False,
            is_open=False,
            fruitless=None,
            looks_to_prove=watching.LOOKS_TO_PROVE,
            pools=[
                self._lookable(view, numbers[pool_id], worth)
                for pool_id, worth in zip(told.pool_ids, told.usd[0].tolist(), strict=True)
                if worth > 0
            ],
        )
        answer = plan(facts)
        if isinstance(answer, NoProbe):
            return ()
        number = numbers[PoolId(answer.target.pool.id)]
        self._bought.append((view.now, number, answer.usd))
        return (number,)

    def _lookable(self, view: View, number: int, worth: float) -> Lookable:
        pool: Pool = view.pools[number]
        usd, record = _usd(float(view.usd[number])), self._records.get(pool)
        if record is None or usd is None:
            return Lookable(pool, _RUN, usd, worth)
        proof_hours = self._stakes(view).proof_hours(float(usd))
        pause = watching.pause_seconds(record, proof_hours, on_spot=view.at != ONDEMAND)
        due_at = record.seen_at + timedelta(seconds=pause)
        return Lookable(pool, _RUN, usd, worth, seen_at=record.seen_at, due_at=due_at)

    def _spent(self, view: View) -> Decimal:
        """By the looks of this day; one that was refused cost nothing."""
        today = view.moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
        self._bought = [one for one in self._bought if one[0] >= today]
        return sum(
            (usd for at, number, usd in self._bought if not _was_refused(view, number, at)), Decimal(0)
        )


def _was_refused(view: View, number: int, at: float) -> bool:
    looks = view.memory.looks.get(number, ())
    answer = next((look for look in looks if look.at >= at and look.how is Sight.PROBE), None)
    return answer is not None and not answer.up


def _usd(usd: float) -> Decimal | None:
    return None if usd != usd else Decimal(f"{usd:.6f}")  # noqa: PLR0124 - NaN alone differs from itself
