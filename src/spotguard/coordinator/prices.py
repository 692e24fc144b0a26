"""Prices that the server fetches itself: once per account and region, not once per agent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator.context import Beat, Context, Row, log
from spotguard.coordinator.turns import Turns
from spotguard.domain.agents import AgentStatus
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import ClientId, PoolId
from spotguard.ports.cloud import Cloud, PriceChange
from spotguard.store import counterfactuals, ondemand, pools, prices, sightings, type_facts
from spotguard.store.tables import agents

FIRST_DAYS = timedelta(days=7)  # what the price charts show
ONDEMAND_SECONDS = 21_600.0

_AGENTS: sa.Select[Any] = sa.select(
    agents.c.client_id, agents.c.region, agents.c.instance_type, agents.c.allowed_instance_types
).where(agents.c.status != AgentStatus.DELETED.value, agents.c.region.is_not(None))


class Prices:
    """Spot changes at EC2's own times; on-demand prices; the present price of every running instance."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.price_seconds)
        self._ondemand_beat = Beat(ONDEMAND_SECONDS)
        self._turns: Turns[Cloud] = Turns(ctx)
        self._fetched: dict[Cloud, datetime] = {}
        self._types: dict[Cloud, frozenset[str]] = {}
        self._learned: dict[Cloud, frozenset[str]] = {}
        self._fixed: dict[Cloud, dict[str, Decimal]] = {}
        self._fleet: list[tuple[Any, ...]] = []

    def run(self, now: datetime, clients: Iterable[ClientId], *, force: bool = False) -> int:
        """Due on its beat, and at once when agents of another type or region have come."""
        due = self._beat.is_due(now) or force
        if not (due or self._turns.left):
            return 0
        rows = list(self.ctx.db.read(lambda tx: tx.execute(_AGENTS).all()))
        if self._ondemand_beat.is_due(now):
            self._fixed.clear()
        items = {item[0]: item for item in self._clouds(clients, rows)}
        asked = list(items) if due else [cloud for cloud in self._turns.left if cloud in items]
        return self.ctx.each("prices", self._turns.of(asked), lambda cloud: self._fetch(now, *items[cloud]))

    def _clouds(
        self, clients: Iterable[ClientId], rows: list[Row]
    ) -> list[tuple[Cloud, frozenset[str], frozenset[ClientId]]]:
        """Each account once, with the instance types that its agents run on or may, and whose it is."""
        found: dict[Cloud, set[str]] = {}
        members: dict[Cloud, set[ClientId]] = {}
        for client_id in clients:
            cloud = self.ctx.clouds(client_id)
            if cloud is None:
                continue
            types = found.setdefault(cloud, set())
            members.setdefault(cloud, set()).add(client_id)
            for row in rows:
                if row.client_id == client_id:
                    types.update(row.allowed_instance_types or (), [row.instance_type])
        return [(cloud, frozenset(types), frozenset(members[cloud])) for cloud, types in found.items()]

    def _fetch(
        self, now: datetime, cloud: Cloud, types: frozenset[str], members: frozenset[ClientId]
    ) -> bool:
        fixed = self._ondemand_of(cloud)
        known = self._types.get(cloud, frozenset())
        since = self._fetched.get(cloud) if types <= known else None
        try:
            changes = cloud.spot_price_history(since or now - FIRST_DAYS, sorted(types))
        except CloudError as error:
            log.warning("prices could not be fetched", code=error.code)
            return False
        wanted = [change for change in changes if change.pool.instance_type in types]
        self.ctx.db.write(lambda tx: _record(tx, now, wanted, fixed, members))
        self._learn_types(now, cloud, types - self._learned.get(cloud, frozenset()))
        self._fetched[cloud] = now
        self._types[cloud] = types
        return True

    def _ondemand_of(self, cloud: Cloud) -> dict[str, Decimal]:
        """Asked again with the next spot prices while the price list does not answer: the rows have what it told."""
        if cloud not in self._fixed:
            try:
                self._fixed[cloud] = dict(cloud.ondemand_prices())
            except CloudError as error:
                log.warning("on-demand prices could not be fetched", code=error.code)
                return {}
        return self._fixed[cloud]

    def _learn_types(self, now: datetime, cloud: Cloud, types: frozenset[str]) -> None:
        """What they are: whether a machine would run on them. Asked again until EC2 has told it."""
        if not types:
            return
        try:
            facts = cloud.describe_instance_types(sorted(types))
        except CloudError as error:
            log.warning("EC2 did not tell what these types are", code=error.code, types=sorted(types))
            return
        self.ctx.db.write(lambda tx: type_facts.record(tx, now, facts))
        self._learned[cloud] = self._learned.get(cloud, frozenset()) | types


def _record(
    tx: sa.Connection,
    now: datetime,
    changes: list[PriceChange],
    fixed: dict[str, Decimal],
    members: frozenset[ClientId],
) -> None:
    newest: dict[str, dict[PoolId, Decimal]] = {}
    for change in changes:  # oldest first
        newest.setdefault(change.pool.region, {})[change.pool.id] = change.usd_per_hour
    strange = {region for region in newest if _names_otherwise(tx, region, changes)}
    prices.record_changes(tx, now, [change for change in changes if change.pool.region not in strange])
    for region, spot in newest.items():
        ondemand.record(tx, now, None, region, fixed)
        sightings.reprice(tx, region, spot, fixed, members if region in strange else None)
        for client_id in members if region in strange else ():
            prices.record_report(tx, now, client_id, now, list(spot.items()))
    # What an account tells is of its own region: the same type costs something else elsewhere.
    for instance_type in counterfactuals.uncompared_types(tx, newest):
        if instance_type in fixed:
            here = agents.c.region.in_(list(newest))
            counterfactuals.compare_with(tx, instance_type, fixed[instance_type], here)


def _names_otherwise(tx: sa.Connection, region: str, changes: list[PriceChange]) -> bool:
    """Letters of zones differ between accounts (ruling S7): what one tells of its own is not everybody's then."""
    known = pools.zones_known(tx, region)
    told = {(change.pool.az, change.pool.az_id) for change in changes if change.pool.az_id is not None}
    return any(known.get(az, az_id) != az_id for az, az_id in told)
