"""What a foundling costs a month: an instance by its market, storage by its size; None where nobody knows the price."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from spotguard.coordinator.context import Context, log
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.planning.cleaning import usd_per_month
from spotguard.ports.cloud import Caller, Cloud, StorageRates
from spotguard.store import ondemand, prices
from spotguard.store.foundlings import Tagged

RATES_FOR = timedelta(days=1)


class FoundlingCosts:
    """Asks the price list once a day and account, and only where there is storage to be priced."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._rates: dict[Caller, tuple[datetime, StorageRates]] = {}

    def priced(self, now: datetime, account: Caller, cloud: Cloud, found: list[Tagged]) -> list[Tagged]:
        return [replace(one, usd_per_month=self._cost(now, account, cloud, one)) for one in found]

    def _cost(self, now: datetime, account: Caller, cloud: Cloud, one: Tagged) -> Decimal | None:
        if one.place is not None:
            pool, mode = one.place
            return usd_per_month(self.ctx.db.read(lambda tx: _hourly(tx, now, one.client_id, pool, mode)))
        if one.gib is None:
            return None
        rates = self._rates_of(now, account, cloud)
        if rates is None:
            return None
        of_volume = one.kind == "volume"
        return one.gib * (rates.volume_usd_per_gib_month if of_volume else rates.snapshot_usd_per_gib_month)

    def _rates_of(self, now: datetime, account: Caller, cloud: Cloud) -> StorageRates | None:
        at, rates = self._rates.get(account, (None, None))
        if at is None or now - at >= RATES_FOR:
            try:
                rates = cloud.storage_rates()
            except CloudError as error:
                log.warning("no storage rates", code=error.code)
                return rates
            self._rates[account] = now, rates
        return rates


def _hourly(
    tx: sa.Connection, now: datetime, client_id: ClientId | None, pool: Pool, mode: Mode
) -> Decimal | None:
    """Of a nobody's the server's own prices alone: what a tenant has reported is for that tenant."""
    if mode is Mode.ONDEMAND:
        return ondemand.price_of(tx, client_id, pool.region, pool.instance_type, pool.product)
    known = prices.current_prices(tx, now, client_id, [pool.instance_type], pool.region, product=pool.product)
    return next((one.price for one in known if one.pool.id == pool.id), None)
