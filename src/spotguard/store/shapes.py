"""What EC2 shows of each instance's shape: kept for the day on which EC2 shows the instance no more (ports.shape)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.ports.shape import Shape, differences
from spotguard.store import events
from spotguard.store.intentions import shape_in
from spotguard.store.tables import agent_events, instance_shapes, instances, intentions
from spotguard.store.upserts import insert_or_update

MADE_OTHERWISE = "made_otherwise"
MOST_REMARKS = 20
MOST_SAID = 4000  # characters of all of them, as of any sentence of an agent's


def of(tx: Connection, instance_id: InstanceId | str) -> Shape | None:
    """As it was last seen."""
    found = sa.select(instance_shapes.c.shape).where(instance_shapes.c.instance_id == instance_id)
    told = tx.execute(found).scalar_one_or_none()
    return None if told is None else msgspec.convert(told, Shape)


def seen_at(tx: Connection) -> dict[str, datetime]:
    """When each shape was looked at last, of the instances that are not known to have ended."""
    found = sa.select(instance_shapes.c.instance_id, instance_shapes.c.seen_at)
    alive = found.join(instances, instances.c.id == instance_shapes.c.instance_id).where(
        instances.c.is_active
    )
    return {row.instance_id: row.seen_at for row in tx.execute(alive)}


def saw(tx: Connection, now: datetime, instance_id: InstanceId | str, found: Shape) -> None:
    """Kept; at the first look what EC2 made otherwise than the launch asked is told (failures, "lies")."""
    wanted = _asked_of_new(tx, instance_id)
    row = {"instance_id": instance_id, "shape": msgspec.to_builtins(found), "seen_at": now}
    insert_or_update(tx, instance_shapes, [row], ("shape", "seen_at"))
    if wanted is None:
        return
    owner = sa.select(instances.c.client_id, instances.c.agent_id).where(instances.c.id == instance_id)
    client_id, agent_id = tx.execute(owner).one()
    if agent_id is not None:
        tell(tx, now, ClientId(client_id), AgentId(agent_id), instance_id, differences(wanted, found))


def tell(
    tx: Connection,
    now: datetime,
    client_id: ClientId,
    agent_id: AgentId,
    instance_id: InstanceId | str,
    remarks: Sequence[str],
) -> None:
    """One event for an instance, whoever noticed it and however often it is said."""
    if not remarks:
        return
    told = sa.select(agent_events.c.detail).where(
        agent_events.c.agent_id == agent_id, agent_events.c.kind == MADE_OTHERWISE
    )
    if any(detail.get("instance_id") == instance_id for detail in tx.scalars(told)):
        return
    said = "; ".join(remarks[:MOST_REMARKS])[:MOST_SAID]
    message = f"{instance_id} is not as it was asked for: {said}"
    events.append(tx, now, client_id, agent_id, MADE_OTHERWISE, message, {"instance_id": instance_id})


def _asked_of_new(tx: Connection, instance_id: InstanceId | str) -> Shape | None:
    """What its launch asked for; None for one that we did not launch, or whose shape was seen before."""
    known = sa.select(instance_shapes.c.instance_id).where(instance_shapes.c.instance_id == instance_id)
    if tx.execute(known).first() is not None:
        return None
    request = tx.execute(
        sa.select(intentions.c.request)
        .join(instances, instances.c.intention_token == intentions.c.token)
        .where(instances.c.id == instance_id)
    ).scalar_one_or_none()
    return None if request is None else shape_in(request)
