"""Prices: spot changes from EC2, on-demand and storage rates from the price list. None is ever invented."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from spotguard.cloud.aws.connection import Connection
from spotguard.cloud.aws.devices import VOLUME_TYPE
from spotguard.cloud.aws.errors import read
from spotguard.cloud.aws.instance_views import whole_second
from spotguard.domain.errors import InvalidInput, NeedsPerson
from spotguard.domain.money import parse_price
from spotguard.domain.pools import PRODUCT_SUFFIX, Pool, canonical_product
from spotguard.ports.cloud import PriceChange, StorageRates

_MOST_TYPES = 100  # in one call
_PRICE_LIST_PAGE = 100
_LINUX_SHARED = {  # on demand, nothing installed, no reservation
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "tenancy": "Shared",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}


def spot_history(
    connection: Connection,
    zone_ids: Callable[[], Mapping[str, str]],
    since: datetime,
    instance_types: Iterable[str],
    products: Sequence[str] = tuple(PRODUCT_SUFFIX),
) -> tuple[PriceChange, ...]:
    """Changes from `since` on and each pool's last one before it (EC2 includes it), oldest first, once each (E31)."""
    found: dict[tuple[Pool, datetime], PriceChange] = {}
    for change in _changes(connection, zone_ids, since, list(instance_types), products):
        found.setdefault((change.pool, change.at), change)
    ordered = sorted(found.values(), key=lambda change: (change.at, change.pool))
    return tuple(_from(since, ordered))


def _from(since: datetime, ordered: Sequence[PriceChange]) -> Iterator[PriceChange]:
    last = {change.pool: change for change in ordered if change.at < since}
    return (change for change in ordered if change.at >= since or last[change.pool] is change)


def _changes(
    connection: Connection,
    zone_ids: Callable[[], Mapping[str, str]],
    since: datetime,
    types: Sequence[str],
    products: Sequence[str],
) -> Iterator[PriceChange]:
    spelled = [spelling for product in products for spelling in (product, f"{product} (Amazon VPC)")]
    for start in range(0, max(1, len(types)), _MOST_TYPES):
        batch = types[start : start + _MOST_TYPES]
        asked: dict[str, Any] = {"StartTime": since, "ProductDescriptions": spelled}
        if batch:
            asked["InstanceTypes"] = batch
        for row in connection.pages("describe_spot_price_history", "SpotPriceHistory", **asked):
            change = read(lambda told: price_change(told, zone_ids), row)
            if change is not None:
                yield change


def price_change(row: Mapping[str, Any], zone_ids: Callable[[], Mapping[str, str]]) -> PriceChange | None:
    """None for a price that is none, or a product that we do not know."""
    try:
        price, product = parse_price(row["SpotPrice"]), canonical_product(row["ProductDescription"])
    except InvalidInput:
        return None
    az = row["AvailabilityZone"]
    pool = Pool(row["InstanceType"], az, product, az_id=row.get("AvailabilityZoneId") or zone_ids().get(az))
    return PriceChange(pool, whole_second(row["Timestamp"]), price)


def zone_ids(connection: Connection) -> dict[str, str]:
    """The ids behind this account's zone letters (E32)."""
    zones = connection.look("describe_availability_zones").get("AvailabilityZones", ())
    return {zone["ZoneName"]: zone["ZoneId"] for zone in zones if zone.get("ZoneId")}


def offered_types(connection: Connection) -> list[str]:
    """The names of all types that the region offers."""
    pages = connection.pages(
        "describe_instance_type_offerings", "InstanceTypeOfferings", LocationType="region"
    )
    return sorted({offering["InstanceType"] for offering in pages})


def ondemand(connection: Connection) -> dict[str, Decimal]:
    """USD/h of Linux by instance type, from the price list (the Pricing API)."""
    prices: dict[str, Decimal] = {}
    for product in _price_list(connection, {"productFamily": "Compute Instance", **_LINUX_SHARED}):
        rate = _rate(product, "Hrs")
        name = product["product"]["attributes"].get("instanceType")
        if name and rate is not None and rate > 0:
            prices[name] = parse_price(rate)
    if not prices:
        raise NeedsPerson("NoPriceList", f"the price list names no instance in {connection.account.region}")
    return prices


def storage(connection: Connection) -> StorageRates:
    volume = {"productFamily": "Storage", "volumeApiName": VOLUME_TYPE}
    return StorageRates(
        volume_usd_per_gib_month=_rate_of(connection, volume, f"VolumeUsage.{VOLUME_TYPE}"),
        snapshot_usd_per_gib_month=_rate_of(
            connection, {"productFamily": "Storage Snapshot"}, "SnapshotUsage"
        ),
    )


def _rate_of(connection: Connection, wanted: Mapping[str, str], usage: str) -> Decimal:
    """Of the usage type as the bill names it (`APS3-EBS:SnapshotUsage`): archives and others have their own."""
    for product in _price_list(connection, wanted):
        name: str = product["product"]["attributes"].get("usagetype", "")
        rate = _rate(product, "GB-Mo")
        if name.rpartition("EBS:")[2] == usage and rate is not None and rate > 0:
            return rate
    region = connection.account.region
    raise NeedsPerson("NoPriceList", f"the price list has no {usage} for {region}: the rate is unknown")


def _price_list(connection: Connection, wanted: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    asked = {"regionCode": connection.account.region, **wanted}
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in asked.items()]
    for product in connection.pages(
        "get_products",
        "PriceList",
        service="pricing",
        size=_PRICE_LIST_PAGE,
        ServiceCode="AmazonEC2",
        Filters=filters,
    ):
        yield read(json.loads, product)


def _rate(product: Mapping[str, Any], unit: str) -> Decimal | None:
    """USD of the one on-demand dimension with this unit."""
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            text = dimension.get("pricePerUnit", {}).get("USD")
            if text is not None and dimension.get("unit", "").lower() == unit.lower():
                try:
                    return Decimal(text)
                except InvalidOperation:
                    return None
    return None
