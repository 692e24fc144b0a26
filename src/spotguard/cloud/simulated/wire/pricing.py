"""The price list (`pricing:GetProducts`): instances on demand, volumes and snapshots at the simulator's rates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.wire.exchange import Reply, Request
from spotguard.cloud.simulated.wire.pages import page_of

CONTENT_TYPE = "application/x-amz-json-1.1"
_TARGET = "AWSPriceListService.GetProducts"
_MOST = 100


def answer(ec2: SimulatedEc2, request: Request) -> Reply:
    if request.header("X-Amz-Target") != _TARGET:
        body = json.dumps({"__type": "UnknownOperationException", "message": "only GetProducts is served"})
        return Reply(400, body.encode(), CONTENT_TYPE)
    asked = json.loads(request.body or b"{}")
    wanted = {one["Field"]: one["Value"] for one in asked.get("Filters", ())}
    products = [json.dumps(product) for product in _products(ec2) if _has(product, wanted)]
    shown, token = page_of(products, asked.get("MaxResults"), asked.get("NextToken"), _MOST)
    told = {"FormatVersion": "aws_v1", "PriceList": list(shown)} | ({"NextToken": token} if token else {})
    return Reply(200, json.dumps(told).encode(), CONTENT_TYPE)


def _has(product: dict[str, Any], wanted: dict[str, str]) -> bool:
    facts = {**product["product"]["attributes"], "productFamily": product["product"]["productFamily"]}
    return all(facts.get(field) == value for field, value in wanted.items())


def _products(ec2: SimulatedEc2) -> Iterator[dict[str, Any]]:
    linux = {
        "operatingSystem": "Linux",
        "preInstalledSw": "NA",
        "tenancy": "Shared",
        "capacitystatus": "Used",
        "marketoption": "OnDemand",
    }
    for kind, price in sorted(ec2.ondemand_prices().items()):
        usage = {"usagetype": f"BoxUsage:{kind}", "instanceType": kind}
        yield _product(ec2.region, "Compute Instance", {**linux, **usage}, "Hrs", price)
    rates = ec2.storage_rates()
    volume = {"volumeApiName": "gp3", "usagetype": "EBS:VolumeUsage.gp3"}
    yield _product(ec2.region, "Storage", volume, "GB-Mo", rates.volume_usd_per_gib_month)
    snapshot = {"usagetype": "EBS:SnapshotUsage"}
    yield _product(ec2.region, "Storage Snapshot", snapshot, "GB-Mo", rates.snapshot_usd_per_gib_month)


def _product(region: str, family: str, attributes: dict[str, str], unit: str, usd: Decimal) -> dict[str, Any]:
    dimension = {"unit": unit, "pricePerUnit": {"USD": f"{usd:.10f}"}}
    return {
        "product": {"productFamily": family, "attributes": {"regionCode": region, **attributes}},
        "serviceCode": "AmazonEC2",
        "terms": {"OnDemand": {"1": {"priceDimensions": {"1": dimension}}}},
    }
