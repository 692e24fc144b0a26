"""The client API's pools: the market's price, and what this tenant has met there."""

from __future__ import annotations

from spotguard.wire.client import Given, Moment, Usd


class PoolState(Given):
    """A spot capacity pool and its present price, as this tenant sees it.

    `quarantinedUntil`: null while it may be used; `strikes` and `struckBecause` of its last trouble, null without one.
    `interruptions`, `launched`: of this tenant's instances that were seen there on spot.
    """

    id: str
    name: str | None
    instance_type: str
    region: str
    az: str
    az_id: str | None
    product: str
    price: Usd | None
    captured_at: Moment | None
    quarantined_until: Moment | None
    strikes: int | None
    struck_because: str | None
    interruptions: int
    launched: int
