"""The client API's deletion of an agent: what it would leave, and what it left."""

from __future__ import annotations

from spotguard.wire.client import Given, Moment, Usd


class LeftBehindState(Given):
    """What of a deleted agent's goes on. `plan`: what a person does with it. `usdPerMonth` null: not known.

    `madeBySpotguard`: SpotGuard launched or made it; false: its user did, also where a move has carried it along. What
    is made by SpotGuard, or with what it launched, stays in `/leftovers`.
    """

    resource_id: str
    kind: str
    made_by_spotguard: bool
    usd_per_month: Usd | None
    plan: str


class DeletionPreview(Given):
    """`left`: its user's own again, billed, guarded by nobody, and in no figure of SpotGuard's from then on.

    `usdPerMonth`: of what is left, as far as it is known. `standbys`: instances that end with it. `asSeen`: to be given
    with the order, which is then refused where something else would go on or end.
    """

    because: str
    left: list[LeftBehindState]
    usd_per_month: Usd
    standbys: list[str]
    as_seen: str


class DeletedAgent(Given):
    """The same of one that is deleted. `standbys`: those that this order ends."""

    id: str
    logical_agent_id: str
    deleted_at: Moment
    because: str
    left: list[LeftBehindState]
    usd_per_month: Usd
    standbys: list[str]
