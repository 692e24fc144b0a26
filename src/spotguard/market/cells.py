"""Texts of a market file into values, each distinct text parsed once.

Price files repeat themselves: a thousand pools, some ten thousand prices. The memories are emptied when they grow past
any honest file, so that a hostile one cannot fill the machine.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from spotguard.domain.clock import EARLIEST, LATEST, parse_time
from spotguard.domain.errors import InvalidInput
from spotguard.domain.money import parse_price
from spotguard.domain.pools import PRODUCT_SUFFIX, Pool, canonical_product, parse_pool_id

_MOST = 200_000


class Cells:
    """Parses cells; each method raises `InvalidInput` with the reason. `not_after`: what is later is no time."""

    def __init__(self, not_after: datetime = LATEST) -> None:
        self._not_after = not_after
        self.pools: dict[tuple[str, str, str], Pool] = {}
        self.prices: dict[str, Decimal] = {}

    def pool(self, instance_type: str, az: str, product: str) -> Pool:
        """The pool; a zone without a pool id of ours (local and wavelength zones) is refused."""
        suffix = PRODUCT_SUFFIX[canonical_product(product)]
        pool = parse_pool_id(f"{instance_type}.{az}{suffix}")
        if (pool.instance_type, pool.az) != (instance_type, az):
            raise InvalidInput(f"not a type and a zone: {instance_type[:40]!r}, {az[:40]!r}")
        if len(self.pools) >= _MOST:
            self.pools.clear()
        self.pools[instance_type, az, product] = pool
        return pool

    def price(self, text: str) -> Decimal:
        price = parse_price(text)
        if len(self.prices) >= _MOST:
            self.prices.clear()
        self.prices[text] = price
        return price

    def moment(self, text: str) -> datetime:
        at = moment(text)
        if at > self._not_after:
            raise InvalidInput(f"a time to come: {text[:40]}")
        return at


def moment(text: str) -> datetime:
    """An aware time in UTC; the usual form is taken the short way."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return parse_time(text)
    if at.tzinfo is UTC and EARLIEST <= at <= LATEST:
        return at
    return parse_time(text)
