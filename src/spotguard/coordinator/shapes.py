"""What every running instance looks like, so that a clone can be made of it when EC2 shows it no more.

A new instance is looked at once it runs, and what EC2 made otherwise than it was asked is told; later every few hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator.context import Context, Row
from spotguard.coordinator.turns import Turns
from spotguard.domain.errors import CloudError
from spotguard.domain.ids import ClientId, InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.execution.shaping import shape_of
from spotguard.ports.cloud import Cloud
from spotguard.ports.shape import Shape
from spotguard.store import shapes, sightings

AGAIN = timedelta(hours=6)
AFTER_FAILURE = timedelta(minutes=5)
MOST_PER_PASS = 10  # each is three to six calls, and EC2 counts them


class Shapes:
    """When each is due is remembered; after a restart the rows tell."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._turns: Turns[Row] = Turns(ctx)
        self._due: dict[str, datetime] | None = None

    def run(self, now: datetime, machines: Iterable[Row]) -> int:
        """`machines`: those that are not known to have ended, whichever client's."""
        if self._due is None:
            seen = self.ctx.db.read(shapes.seen_at)
            self._due = {instance_id: at + AGAIN for instance_id, at in seen.items()}
        due = [row for row in machines if self._is_due(row, now)]
        self.ctx.each("shapes", self._turns.of(due[:MOST_PER_PASS]), lambda row: self._look(now, row))
        return 0  # nothing that another duty waits for

    def _is_due(self, row: Row, now: datetime) -> bool:
        wanted = row.agent_id is not None and row.ec2_state == InstanceState.RUNNING.value
        return wanted and (self._due or {}).get(row.id, now) <= now

    def _look(self, now: datetime, row: Row) -> None:
        if self._due is None:
            return
        self._due[row.id] = now + AFTER_FAILURE
        cloud = self.ctx.clouds(ClientId(row.client_id))
        if cloud is None:
            return
        found = cloud.describe_shape(InstanceId(row.id))
        self.ctx.db.write(lambda tx: shapes.saw(tx, now, row.id, found))
        self._due[row.id] = now + AGAIN


def shape_for(ctx: Context, now: datetime, cloud: Cloud, source: InstanceId, *, urgent: bool) -> Shape | None:
    """What a clone of `source` has to keep: asked anew while it runs and there is time, else as last seen."""
    known, runs = ctx.db.read(lambda tx: (shapes.of(tx, source), _runs(tx, source)))
    if not runs or (urgent and known is not None):
        return known
    try:
        found = shape_of(cloud, source, urgent=urgent)
    except CloudError:
        if known is None:
            raise
        return known
    if found is None:
        return known
    ctx.db.write(lambda tx: shapes.saw(tx, now, source, found))
    return found


def _runs(tx: sa.Connection, instance_id: InstanceId) -> bool:
    row = sightings.get(tx, instance_id)
    return row is not None and row.ec2_state == InstanceState.RUNNING.value
