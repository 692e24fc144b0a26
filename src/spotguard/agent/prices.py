"""Duty `prices`: tell the server what the pools of this type cost, every minute, or as often as a look is cheap.

What the server did not hear is kept only while it is away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from spotguard.agent.desk import OK, Desk, NotEnrolled
from spotguard.agent.files import Document
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import CloudError, ServerAway
from spotguard.domain.money import usd_text
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import Cloud, PriceChange
from spotguard.telemetry import get_logger

SAMPLE = timedelta(minutes=10)  # of what is kept while the server is away
MOST_SAMPLES = 144  # 24 h of them; older ones give way
ONDEMAND_FOR = timedelta(hours=1)  # list prices change by the year
MOST_POOLS = 200  # of one report (contract: POST pricing-report)

log = get_logger("agent")


class Prices:
    """Reads prices through the `Cloud` port; without one there is nothing to report."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._document = Document(desk.ports.disk, "prices")
        self._kept: list[dict[str, Any]] = list(self._document.read_or([]))
        self._ondemand_at: datetime | None = None

    def run(self, now: datetime) -> datetime | None:
        cloud = self._desk.ports.cloud
        if cloud is None:
            return None
        rhythm = max(self._desk.intervals.pricing_seconds, self._desk.settings.price_look_seconds)
        again = now + timedelta(seconds=rhythm)
        if not self._desk.is_enrolled:
            return None  # presence rings when it is
        servers = self._desk.server_now(
            now
        )  # what was seen when is told, and asked of EC2, by a clock that is right
        try:
            self._look(cloud, servers)
        except CloudError as error:
            log.warning("prices", because=str(error))
            return again
        if not self._desk.prices:
            return again
        body = self._body(servers)
        try:
            self._send_kept()
            self._send(body)
        except (ServerAway, NotEnrolled):
            self._keep(body, servers)
        return again

    def _look(self, cloud: Cloud, now: datetime) -> None:
        desk = self._desk
        types = {desk.me.instance_type, *(desk.config.get("allowed_instance_types") or ())}
        desk.prices = current_prices(cloud.spot_price_history(now, sorted(types)), types)
        if self._ondemand_at is None or now - self._ondemand_at > ONDEMAND_FOR:
            desk.ondemand = cloud.ondemand_prices().get(desk.me.instance_type)
            self._ondemand_at = now

    def _body(self, now: datetime) -> dict[str, Any]:
        told = [
            {"id": pool.id, "price": usd_text(price)} | ({"az_id": pool.az_id} if pool.az_id else {})
            for pool, price in self._desk.prices.items()
        ]
        return {
            "pools": told[:MOST_POOLS],
            "on_demand_price": None if self._desk.ondemand is None else usd_text(self._desk.ondemand),
            "observed_at": rfc3339(now),
        }

    def _send(self, body: Mapping[str, Any]) -> None:
        reply = self._desk.call("POST", "pricing-report", body)
        if reply.status not in OK:
            log.warning(
                "prices refused", status=reply.status, because=str(reply.body.get("detail", ""))[:300]
            )

    def _send_kept(self) -> None:
        if not self._kept:
            return
        while self._kept:
            self._send(self._kept[0])
            self._kept.pop(0)
        self._document.remove()

    def _keep(self, body: dict[str, Any], now: datetime) -> None:
        newest = datetime.fromisoformat(self._kept[-1]["observed_at"]) if self._kept else None
        if newest is None or now - newest >= SAMPLE:
            self._kept = [*self._kept, body][-MOST_SAMPLES:]
            self._document.write(self._kept)


def current_prices(changes: Iterable[PriceChange], types: set[str]) -> dict[Pool, Decimal]:
    """The newest price of each pool of these types; changes come oldest first."""
    return {c.pool: c.usd_per_hour for c in changes if c.pool.instance_type in types}
