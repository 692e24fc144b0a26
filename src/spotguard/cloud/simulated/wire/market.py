"""What the market tells: spot prices, the types and where they are offered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult

from spotguard.cloud.simulated.wire.answers import Answers
from spotguard.cloud.simulated.wire.errors import WireError
from spotguard.cloud.simulated.wire.filters import Reader, passing
from spotguard.cloud.simulated.wire.xml import Told
from spotguard.domain.pools import Pool
from spotguard.ports.cloud import PriceChange

_VPC = " (Amazon VPC)"
_OF_PRICES: Mapping[str, Reader] = {
    "availability-zone": lambda change: [change.pool.az],
    "instance-type": lambda change: [change.pool.instance_type],
    "product-description": lambda change: [change.pool.product, change.pool.product + _VPC],
    "spot-price": lambda change: [f"{change.usd_per_hour:f}"],
}
_OF_OFFERINGS: Mapping[str, Reader] = {
    "instance-type": lambda offering: [offering["InstanceType"]],
    "location": lambda offering: [offering["Location"]],
}


class MarketAnswers(Answers):
    """DescribeSpotPriceHistory, DescribeInstanceTypes, DescribeInstanceTypeOfferings."""

    def describe_spot_price_history(self) -> Told:
        """Newest first, the last change before the start included; pages keep the end of the first one (E31)."""
        self.error_on_dryrun()
        now = self.ec2.world.now
        since, until = self._moment("StartTime", now), self._moment("EndTime", now)
        changes = [
            change
            for change in self.ec2.spot_price_history(since, self.items("InstanceTypes"))
            if change.at <= until
        ]
        given = {
            "availability-zone": [self._get_param("AvailabilityZone")],
            "product-description": self.items("ProductDescriptions"),
        }
        wanted = {**self.filters(), **{name: values for name, values in given.items() if any(values)}}
        found = passing(changes, wanted, _OF_PRICES, lambda _: {})
        newest_first = sorted(found, key=lambda change: (-change.at.timestamp(), change.pool))
        answer = self.page("SpotPriceHistory", newest_first)
        zone_ids = self.ec2.zone_ids()
        answer["SpotPriceHistory"] = [_price(change, zone_ids) for change in answer["SpotPriceHistory"]]
        answer["NextToken"] = answer["NextToken"] or ""  # here EC2 ends with an empty token
        return Told(answer)

    def _moment(self, name: str, otherwise: datetime) -> datetime:
        given = self._get_param(name)
        return otherwise if given is None else given.replace(tzinfo=UTC)

    def describe_instance_types(self) -> ActionResult:
        """The types of this market; their facts are moto's, taken from EC2."""
        self.error_on_dryrun()
        market = {pool.instance_type for pool in self.ec2.pools()}
        asked = self.items("InstanceTypes")
        if not market.issuperset(asked):
            unknown = ", ".join(sorted(set(asked) - market))
            raise WireError(
                "InvalidInstanceType", f"The following supplied instance types do not exist: [{unknown}]"
            )
        filters = self._filters_from_querystring()
        facts = [
            fact
            for fact in self.account.moto.describe_instance_types([], filters)
            if fact["InstanceType"] in (asked or market)
        ]
        return ActionResult(self.page("InstanceTypes", facts))

    def describe_instance_type_offerings(self) -> Told:
        """Only pools that have a price are offered."""
        self.error_on_dryrun()
        by = self._get_param("LocationType") or "region"
        zone_ids = self.ec2.zone_ids()
        places: dict[str, Callable[[Pool], str]] = {
            "region": lambda pool: pool.region,
            "availability-zone": lambda pool: pool.az,
            "availability-zone-id": lambda pool: zone_ids[pool.az],
        }
        if by not in places:
            raise WireError("InvalidParameterValue", f"'{by}' is not a location type")
        offered = dict.fromkeys(
            (pool.instance_type, places[by](pool))
            for pool in self.ec2.pools()
            if self.ec2.price_now(pool) is not None
        )
        offerings = [
            {"InstanceType": kind, "LocationType": by, "Location": location} for kind, location in offered
        ]
        found = passing(offerings, self.filters(), _OF_OFFERINGS, lambda _: {})
        return Told(self.page("InstanceTypeOfferings", found))


def _price(change: PriceChange, zone_ids: Mapping[str, str]) -> dict[str, Any]:
    return {
        "InstanceType": change.pool.instance_type,
        "ProductDescription": change.pool.product,
        "SpotPrice": f"{change.usd_per_hour:.6f}",
        "Timestamp": change.at,
        "AvailabilityZone": change.pool.az,
        "AvailabilityZoneId": zone_ids[change.pool.az],
    }
