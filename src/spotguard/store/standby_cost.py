"""What a standing replica costs, told before its switch is turned (ruling B6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId
from spotguard.domain.money import PRICE_STEP, ZERO
from spotguard.store import fleet
from spotguard.store.tables import storage_resources

HOURS_A_MONTH = 730


@dataclass(frozen=True)
class StandbyCost:
    """USD an hour; None: not known. On demand is the instance alone: the standby is never shown cheaper than it is."""

    primary_usd: Decimal | None
    standby_usd: Decimal | None
    storage_usd: Decimal | None  # the disks of both
    on_demand_usd: Decimal | None

    @property
    def total_usd(self) -> Decimal | None:
        parts = (self.primary_usd, self.standby_usd, self.storage_usd)
        return None if None in parts else self._known

    @property
    def dearer_than_on_demand(self) -> bool | None:
        """What is known may already be dearer; that it is not is known only of the whole."""
        if self.on_demand_usd is None:
            return None
        if self._known > self.on_demand_usd:
            return True
        return None if self.total_usd is None else False

    @property
    def _known(self) -> Decimal:
        parts = (self.primary_usd, self.standby_usd, self.storage_usd)
        return sum((part for part in parts if part is not None), ZERO)


def of_agent(
    tx: sa.Connection,
    now: datetime,
    agent: Any,
    *,
    primary: Decimal | None,
    on_demand: Decimal | None,
    live: Any,
) -> StandbyCost:
    """`live`: the standby that there is already, or None: then the place where one would be launched now."""
    if live is not None:
        standby = live.hourly_cost
    else:
        place = next(iter(fleet.places_for_standby(tx, now, agent)), None)
        standby = None if place is None else place.usd_per_hour
    return StandbyCost(primary, standby, _storage(tx, agent, twice=live is None), on_demand)


def _storage(tx: sa.Connection, agent: Any, *, twice: bool) -> Decimal | None:
    """The agent's disks; a standby that is not there yet will have the like of its primary's."""
    s = storage_resources.c
    rows = tx.execute(
        sa.select(s.size_gib, s.usd_per_gib_month, s.attached_to).where(
            s.agent_id == AgentId(agent.id), s.ended_at.is_(None), s.usd_per_gib_month.is_not(None)
        )
    ).all()
    present = [row for row in rows if row.attached_to is not None and row.attached_to == agent.instance_id]
    if not present:
        return None  # the server does not see its disks
    monthly = sum(
        (row.size_gib * row.usd_per_gib_month for row in [*rows, *(present if twice else [])]), ZERO
    )
    return (monthly / HOURS_A_MONTH).quantize(PRICE_STEP)
