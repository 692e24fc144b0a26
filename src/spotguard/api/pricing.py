"""POST pricing-report: items judged one by one, the good ones kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import credentials
from spotguard.api.context import Api, reply
from spotguard.api.market import implausible
from spotguard.api.moments import past_moment
from spotguard.api.problems import invalid
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import ClientId, PoolId
from spotguard.domain.money import parse_price
from spotguard.domain.pools import LINUX, Pool, parse_pool_id
from spotguard.store import agents, ondemand, prices
from spotguard.wire.agent import PricingReply, PricingReport, RejectedPrice

OLDEST_PRICE = timedelta(days=7)
_DECODER = msgspec.json.Decoder(PricingReport)


@dataclass(frozen=True)
class Item:
    """One item that can be understood."""

    index: int
    pool: Pool
    price: Decimal


async def pricing_report(api: Api, request: Request) -> Response:
    report = await api.body(request, _DECODER)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> PricingReply:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        observed_at = (
            now if report.observed_at is None else past_moment(report.observed_at, now, "/observed_at")
        )
        on_demand = _ondemand(report.on_demand_price)
        items, rejected = _understood(report.pools, caller, too_old=observed_at < now - OLDEST_PRICE)
        believed, doubted = _believed(api, tx, now, caller, items, on_demand)
        _store(tx, now, caller, observed_at, believed, on_demand)
        return PricingReply(len(believed), sorted(rejected + doubted, key=lambda one: one.index))

    return reply(await api.write(work))


def _ondemand(told: object) -> Decimal | None:
    try:
        return None if told is None else parse_price(told)
    except InvalidInput as error:
        raise invalid("/on_demand_price", str(error)) from error


def _understood(pools: list[Any], caller: Any, *, too_old: bool) -> tuple[list[Item], list[RejectedPrice]]:
    items: list[Item] = []
    rejected: list[RejectedPrice] = []
    seen: set[PoolId] = set()
    product = parse_pool_id(caller.current_pool_id).product if caller.current_pool_id else LINUX
    for index, one in enumerate(pools):
        told = one.get("id") if isinstance(one, dict) else None
        name = told[:128] if isinstance(told, str) else None
        try:
            if too_old:
                raise InvalidInput(f"observed more than {OLDEST_PRICE.days} days ago")
            item = _item(index, one, caller.region, product)
            if item.pool.id in seen:
                raise InvalidInput("this pool was named before in the same report")
            seen.add(item.pool.id)
            items.append(item)
        except InvalidInput as error:
            rejected.append(RejectedPrice(index, name, str(error)))
    return items, rejected


def _item(index: int, one: object, region: str | None, product: str) -> Item:
    if not isinstance(one, dict) or not isinstance(one.get("id"), str):
        raise InvalidInput("an item is an object with id and price")
    pool = parse_pool_id(one["id"])
    if region is not None and pool.region != region:
        raise InvalidInput(f"this agent reports prices of {region}")
    if pool.product != product:
        raise InvalidInput(f"this agent's workload runs on {product}")
    return Item(index, pool, parse_price(one.get("price")))


def _believed(
    api: Api, tx: Connection, now: datetime, caller: Any, items: list[Item], on_demand: Decimal | None
) -> tuple[list[Item], list[RejectedPrice]]:
    client_id = ClientId(caller.client_id)
    medians = api.market.medians(tx, now, client_id, [item.pool.id for item in items])
    types = frozenset(item.pool.instance_type for item in items)
    known = dict(api.market.ondemand(tx, now, client_id, caller.region, types)) if caller.region else {}
    if on_demand is not None:
        known.setdefault(caller.instance_type, on_demand)
    believed: list[Item] = []
    doubted: list[RejectedPrice] = []
    for item in items:
        why = implausible(item.price, medians[item.pool.id], known.get(item.pool.instance_type))
        if why is None:
            believed.append(item)
        else:
            doubted.append(RejectedPrice(item.index, item.pool.id, why))
    return believed, doubted


def _store(
    tx: Connection,
    now: datetime,
    caller: Any,
    observed_at: datetime,
    items: list[Item],
    on_demand: Decimal | None,
) -> None:
    client_id = ClientId(caller.client_id)
    if items:
        told = [(item.pool.id, item.price) for item in items]
        prices.record_report(tx, now, client_id, min(observed_at, now), told)
    if on_demand is not None and caller.region and on_demand != caller.ondemand_price:
        ondemand.record(tx, now, client_id, caller.region, {caller.instance_type: on_demand})
    own = next(
        (i.price for i in items if (i.pool.instance_type, i.pool.az) == (caller.instance_type, caller.az)),
        None,
    )
    agents.serving_prices(
        tx, now, caller, spot=own if own is not None else caller.spot_price, ondemand=on_demand
    )
