"""`/pools` and `/savings`: the market as this tenant sees it, and what it paid."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Path, Query, Response
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AskedFor, AtDesk, Days, Desk, router
from spotguard.api.csv_text import csv_response
from spotguard.api.problems import invalid
from spotguard.domain.clock import parse_time
from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import parse_pool_id
from spotguard.store import prices, views_market, views_pools, views_savings
from spotguard.store.views_savings import GroupBy, Spent
from spotguard.wire.client import Listed
from spotguard.wire.client_controls import PriceSeries, Savings, SpendingGroup
from spotguard.wire.client_pools import PoolState

routes = router()
Time = Annotated[str | None, Query(max_length=64, description="RFC 3339 with a zone")]
From = Annotated[str | None, Query(alias="from", max_length=64, description="RFC 3339 with a zone")]


@routes.get("/pools")
async def pools(
    desk: AtDesk,
    asked: AskedFor,
    region: Annotated[str | None, Query(max_length=32)] = None,
    instance_type: Annotated[str | None, Query(alias="instanceType", max_length=32)] = None,
) -> Listed[PoolState]:
    """Pools of AWS by id, with the newest price of the last hour that this tenant may see."""

    def work(tx: Connection) -> Listed[PoolState]:
        page = views_market.pools(
            tx, desk.now, desk.client_id, asked, region=region, instance_type=instance_type
        )
        met = views_pools.met(tx, desk.now, desk.client_id, [one["id"] for one in page.rows])
        items = [PoolState.model_validate({**one, **met[one["id"]]}) for one in page.rows]
        return Listed(items=items, next_cursor=page.next_cursor)

    return await desk.read(work)


@routes.get("/pools/{poolId}/prices")
async def pool_prices(
    desk: AtDesk, pool_id: Annotated[str, Path(alias="poolId", max_length=128)], days: Days = 7
) -> PriceSeries:
    def work(tx: Connection) -> PriceSeries:
        known = views_market.known_pool(tx, desk.client_id, parse_pool_id(pool_id).id)
        steps = prices.price_steps(tx, desk.client_id, [known], desk.now - timedelta(days=days), desk.now)
        return PriceSeries(id=known, points=steps.get(known, []))

    return await desk.read(work)


def _span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    parsed: list[datetime | None] = []
    for name, text in (("from", since), ("to", until)):
        try:
            parsed.append(None if text is None else parse_time(text))
        except InvalidInput as error:
            raise invalid(f"/query/{name}", str(error)) from error
    first, last = parsed
    if first is not None and last is not None and first >= last:
        raise invalid("/query/to", "must lie after from")
    return first, last


def _money(spent: Spent) -> dict[str, Any]:
    return {
        "on_demand_usd": spent.on_demand,
        "compute_usd": spent.of("compute"),
        "replica_usd": spent.of("replica"),
        "overlap_usd": spent.of("overlap"),
        "probe_usd": spent.of("probe"),
        "storage_usd": spent.of("storage"),
        "waived_usd": spent.of("waived"),
        "saved_usd": spent.saved,
        "saved_percent": spent.saved_percent,
        "unpriced_seconds": spent.unpriced_seconds,
    }


@routes.get("/savings")
async def savings(desk: AtDesk, since: From = None, to: Time = None, group: GroupBy | None = None) -> Savings:
    """Metered, to the second; the newest minutes follow with the next settling."""
    first, last = _span(since, to)

    def work(tx: Connection) -> Savings:
        return Savings(
            since=first,
            until=last,
            group=group.value if group else None,
            **_money(views_savings.total(tx, desk.client_id, first, last)),
            groups=_groups(tx, desk, first, last, group) if group else [],
        )

    return await desk.read(work)


def _groups(
    tx: Connection, desk: Desk, first: datetime | None, last: datetime | None, group: GroupBy
) -> list[SpendingGroup]:
    found = views_savings.groups(tx, desk.client_id, first, last, group)
    return [SpendingGroup(key=one.key, label=one.label, **_money(one.spent)) for one in found]


@routes.get("/savings.csv", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def savings_csv(
    desk: AtDesk, since: From = None, to: Time = None, group: GroupBy = GroupBy.DAY
) -> Response:
    first, last = _span(since, to)
    found = await desk.read(lambda tx: _groups(tx, desk, first, last, group))
    columns = list(SpendingGroup.model_fields)
    return csv_response("savings.csv", columns, ([getattr(one, name) for name in columns] for one in found))
