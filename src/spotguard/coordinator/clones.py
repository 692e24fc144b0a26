"""What is launched only to be looked at, a drill's clone or a probe's instance: shut in, and ended with its volumes.

Nothing is believed to be gone before EC2 shows it; a launch whose answer never came is waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from spotguard.coordinator import doubtful, leftovers
from spotguard.coordinator.context import Context, Row
from spotguard.domain.errors import NotVisible
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.execution.ending import look_before_end
from spotguard.ports.cloud import Cloud
from spotguard.ports.intentions import IntentionStatus
from spotguard.ports.shape import Shape
from spotguard.store import intentions
from spotguard.store.tables import instances, storage_resources

SOON_SECONDS = 5
_OVER = (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)


@dataclass(frozen=True)
class SetApart:
    """What is to be cleared: all that was launched for `seed`. `mine`: which rows of `instances` that is."""

    client_id: ClientId
    agent_id: AgentId
    seed: str
    purpose: str
    mine: sa.ColumnElement[bool]
    because: str  # its volumes are deleted


def in_quarantine(shape: Shape, group: str | None) -> Shape:
    """No public address, no rights in the account, none of its owner's tags; its own group if one is configured."""
    groups = shape.security_groups if group is None else (group,)
    return replace(shape, security_groups=groups, public_ip=False, instance_profile=None, owner_tags={})


def clear(ctx: Context, now: datetime, cloud: Cloud, what: SetApart) -> bool:
    """End and delete it; True when EC2 shows none of it."""
    waits = _settle_doubtful(ctx, now, cloud, what)
    machines, volumes = ctx.db.read(lambda tx: _made(tx, what))
    for machine in machines:
        _end(ctx, cloud, what, machine)
    left = [row for row in volumes if not leftovers.delete(ctx, now, row, what.because)]
    if waits or machines or left:
        ctx.soon(now, SOON_SECONDS)
        return False
    return True


def _settle_doubtful(ctx: Context, now: datetime, cloud: Cloud, what: SetApart) -> bool:
    """Launches without an answer: what came of them has a row and is ended; True while one may still come."""
    former = ctx.db.read(lambda tx: intentions.of_seed(tx, what.seed))
    opened = [one for one in former if one.status is IntentionStatus.OPEN]
    return doubtful.settle(ctx, now, cloud, what.client_id, opened)


def _end(ctx: Context, cloud: Cloud, what: SetApart, machine: Row) -> None:
    try:
        shown = look_before_end(cloud, InstanceId(machine.id), what.agent_id, ctx.maker(what.client_id))
        if shown is not None and shown.state not in _OVER:
            cloud.terminate_instance(shown.instance_id)
    except NotVisible:
        return  # looked for again in the next pass


def _made(tx: sa.Connection, what: SetApart) -> tuple[list[Row], Sequence[Row]]:
    """Its machines that EC2 has not shown ended, and the volumes that they have or had."""
    s = storage_resources.c
    machines = tx.execute(sa.select(instances).where(what.mine)).all()
    volumes = sa.select(storage_resources).where(
        s.kind == "volume",
        s.is_ours,
        s.purpose == what.purpose,
        s.agent_id == what.agent_id,
        s.ended_at.is_(None),
        s.last_attached_to.in_([row.id for row in machines]),
    )
    return [row for row in machines if row.is_active], tx.execute(volumes).all()
