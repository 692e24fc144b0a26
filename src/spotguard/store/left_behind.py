"""What of a deleted agent's goes on: its user's own again, billed, and guarded by nobody.

It is told in the answer to the deletion, in its event, and in the list of leftovers for as long as it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId
from spotguard.domain.instances import Mode
from spotguard.planning.cleaning import released_plan, usd_per_month
from spotguard.store import leftover_rows
from spotguard.store.tables import agents, epoch_grants, instances, storage_resources

Row = sa.Row[Any]
_a, _i, _s = agents.c, instances.c, storage_resources.c

MOST_NAMED = 20  # in one event


@dataclass(frozen=True)
class LeftBehind:
    """`is_made`: by SpotGuard. `is_ours`: or it carries it with what it launched. `usd_per_month` None: not known."""

    row: Row
    kind: str
    is_ours: bool
    is_made: bool
    plan: str
    usd_per_month: Decimal | None


def of_agent(tx: sa.Connection, agent_id: AgentId) -> list[LeftBehind]:
    """Of one that was deleted; without what the clean-up will delete. Instances first."""
    cleaned = {row.id for row in leftover_rows.unreferenced_of(tx, agent_id)}
    return [one for one in _of(tx, _a.id == agent_id) if one.row.id not in cleaned]


def ours_of_all(tx: sa.Connection) -> list[LeftBehind]:
    """Of every tenant's deleted agents."""
    return [one for one in _of(tx, sa.true()) if one.is_ours]


def told_of(found: Sequence[LeftBehind]) -> str:
    """For the event of the deletion."""
    if not found:
        return "nothing of it goes on"
    named = ", ".join(one.row.id for one in found[:MOST_NAMED])
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    return f"its user's own again, billed and guarded by nobody: {named}{more}"


def _of(tx: sa.Connection, whose: sa.ColumnElement[bool]) -> list[LeftBehind]:
    deleted = _a.deleted_at.is_not(None), whose
    machines = tx.execute(_MACHINES.where(*deleted).order_by(_i.created_at, _i.id)).all()
    things = tx.execute(_THINGS.where(*deleted).order_by(_s.created_at, _s.id)).all()
    return [*map(_machine, machines), *map(_thing, things)]


# one that we launched and that never served is ended with its standby or its move, unless nobody served
_IS_LEFT = sa.or_(
    _i.intention_token.is_(None),
    sa.exists().where(epoch_grants.c.instance_id == _i.id),
    leftover_rows.may_be_last_copy(_a.id, _i.id),
)
_MACHINES = sa.select(instances).join(agents, agents.c.id == _i.agent_id).where(_i.is_active, _IS_LEFT)
# the state itself, on its way to one that never served: that one ends, and the volume stays
_IS_CARRIED = sa.exists().where(epoch_grants.c.instance_id == _s.moved_from)
_BESIDE = _i.id == sa.func.coalesce(_s.attached_to, _s.last_attached_to)
_THINGS = (
    sa.select(storage_resources, _a.region, _i.intention_token)
    .select_from(storage_resources.join(agents, _a.id == _s.agent_id).outerjoin(instances, _BESIDE))
    .where(_s.ended_at.is_(None), sa.or_(_s.kind != "volume", _IS_LEFT, _IS_CARRIED))
)


def _machine(row: Row) -> LeftBehind:
    hourly = row.spot_price if row.current_mode == Mode.SPOT else row.ondemand_price
    plan = released_plan("instance", row.id, row.region)
    launched = row.intention_token is not None
    return LeftBehind(row, "instance", launched, launched, plan, usd_per_month(hourly))


def _thing(row: Row) -> LeftBehind:
    is_ours = row.is_ours or row.intention_token is not None
    usd = None if row.usd_per_gib_month is None else row.size_gib * row.usd_per_gib_month
    return LeftBehind(row, row.kind, is_ours, row.is_ours, released_plan(row.kind, row.id, row.region), usd)
