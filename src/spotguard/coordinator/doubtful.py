"""Launches whose answer never came and that nobody waits for any more: what came of them has no role and is ended.

Whoever wished for one carries it on by its token (`execution.launching`). When the wish is over first, the intention
would stay open, keep its machine from the clean-up, and reserve its share of a spend cap for ever.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from spotguard.coordinator.context import Context
from spotguard.domain.ids import ClientId
from spotguard.execution.launching import find
from spotguard.ports.cloud import Cloud
from spotguard.ports.intentions import Intention, IntentionStatus, Outcome
from spotguard.store import intentions, sightings

UNSEEN_FOR = timedelta(minutes=10)
"""EC2 shows what a lost answer has made within minutes (eventual consistency)."""


def settle(
    ctx: Context, now: datetime, cloud: Cloud, client_id: ClientId, opened: Iterable[Intention]
) -> bool:
    """What came of each has a row from now on; True while one may still come."""
    waiting = [one for one in opened if _may_come(ctx, now, cloud, client_id, one)]
    return bool(waiting)


def _may_come(ctx: Context, now: datetime, cloud: Cloud, client_id: ClientId, one: Intention) -> bool:
    view = find(cloud, one.token)
    if view is not None:
        ctx.db.write(lambda tx: sightings.saw(tx, now, client_id, [view]))
        outcome = Outcome(IntentionStatus.DONE, resource_id=view.instance_id)
    elif now - one.opened_at > UNSEEN_FOR:
        outcome = Outcome(IntentionStatus.FAILED, error_code="NeverSeen")
    else:
        return True
    ctx.db.write(lambda tx: intentions.close_intention(tx, now, one.token, outcome))
    return False
