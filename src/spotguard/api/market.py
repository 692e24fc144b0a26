"""What is plausible on the market, remembered for minutes: the yardstick for reported prices (invariant 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from sqlalchemy.engine import Connection

from spotguard.domain.ids import ClientId, PoolId
from spotguard.store import ondemand, prices

WINDOW = timedelta(hours=24)
KEPT = timedelta(minutes=10)
_MOST = 50_000  # pools
_MOST_QUESTIONS = 500  # each as long as its report: agents of one kind ask the same one

HIGHEST_OF_ONDEMAND = Decimal(
    "1.5"
)  # since 2017 AWS keeps spot prices below on-demand; older history may exceed it
LOWEST_OF_MEDIAN, HIGHEST_OF_MEDIAN = Decimal("0.1"), Decimal(10)


@dataclass
class MarketMemory:
    """Medians by tenant and pool, on-demand prices by tenant and region. A yardstick, never a truth: losing it
    or having an old one changes no stored row, and several processes need not agree.
    """

    _medians: dict[tuple[ClientId, PoolId], tuple[datetime, Decimal | None]] = field(default_factory=dict)
    _ondemand: dict[tuple[ClientId, str, frozenset[str]], tuple[datetime, dict[str, Decimal]]] = field(
        default_factory=dict
    )

    def medians(
        self, tx: Connection, now: datetime, client_id: ClientId, pool_ids: Sequence[PoolId]
    ) -> dict[PoolId, Decimal | None]:
        """Of each pool the price that held for half of the last 24 hours; None where nothing is known."""
        stale = [p for p in pool_ids if not _fresh(self._medians.get((client_id, p)), now)]
        if stale:
            if len(self._medians) > _MOST:
                self._medians.clear()
            steps = prices.price_steps(tx, client_id, stale, now - WINDOW, now)
            for pool_id in stale:
                self._medians[client_id, pool_id] = (
                    now,
                    time_median(steps.get(pool_id, []), now - WINDOW, now),
                )
        return {pool_id: self._medians[client_id, pool_id][1] for pool_id in pool_ids}

    def ondemand(
        self, tx: Connection, now: datetime, client_id: ClientId, region: str, types: frozenset[str]
    ) -> dict[str, Decimal]:
        """USD per hour by instance type, of these types where they are known."""
        known = self._ondemand.get((client_id, region, types))
        if known is None or not _fresh(known, now):
            if len(self._ondemand) >= _MOST_QUESTIONS:
                self._ondemand.clear()
            known = now, ondemand.prices_of(tx, client_id, region, instance_types=types)
            self._ondemand[client_id, region, types] = known
        return known[1]


def _fresh(known: tuple[datetime, object] | None, now: datetime) -> bool:
    return known is not None and timedelta(0) <= now - known[0] < KEPT


def time_median(
    steps: Sequence[tuple[datetime, Decimal | None]], since: datetime, until: datetime
) -> Decimal | None:
    """The price below which a step function spent half of its known time between `since` and `until`."""
    clipped = [(max(at, since), price) for at, price in steps if at < until]
    ends = [*clipped, (until, None)]
    held = sorted((price, end - at) for (at, price), (end, _) in pairwise(ends) if price is not None)
    left = sum((span for _, span in held), timedelta(0)) / 2
    for price, span in held:
        left -= span
        if left <= timedelta(0):
            return price
    return None


def implausible(price: Decimal, median: Decimal | None, on_demand: Decimal | None) -> str | None:
    """Why a price is not believed, or None."""
    if on_demand is not None and price > on_demand * HIGHEST_OF_ONDEMAND:
        return f"more than {HIGHEST_OF_ONDEMAND} times the on-demand price {on_demand}"
    if median is not None and not median * LOWEST_OF_MEDIAN <= price <= median * HIGHEST_OF_MEDIAN:
        return f"outside {LOWEST_OF_MEDIAN} to {HIGHEST_OF_MEDIAN} times the median {median} of the last 24 hours"
    return None
