"""Rolling restore points: an image of the serving instance every so often, the old ones deleted.

Made with the workload running: without a quiesce hook their file system is as after a power cut (EC2 user guide,
NoReboot). They are the last resort of a recovery, and what a rehearsal boots.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from spotguard.coordinator import leftovers, refusals
from spotguard.coordinator.context import Beat, Context, Row
from spotguard.coordinator.turns import Turns
from spotguard.domain import image_names
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.execution.imaging import DUPLICATE
from spotguard.planning.restore_points import DropPoint, MakePoint, RestorePlan, plan_restore_points
from spotguard.ports.cloud import Cloud
from spotguard.store import adrift, events, grants, kill, launch_orders, moves, restore_points, salvages

BEAT_SECONDS = 300.0
NO_EC2 = (
    "restore points are made by a server with the client's AWS account: name it "
    "(spotguard client account NAME --region REGION), or set them off"
)


class RestorePoints:
    """Looks at the agents that want them. The image's name holds agent and hour: asked for twice it is made once."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(BEAT_SECONDS)
        self._turns: Turns[str] = Turns(ctx)

    def run(self, now: datetime) -> int:
        due = self._beat.is_due(now)
        if not (due or self._turns.left):
            return 0
        wanting = {agent.id: agent for agent in self.ctx.db.read(restore_points.wanting)}
        asked = list(wanting) if due else [agent_id for agent_id in self._turns.left if agent_id in wanting]
        return self.ctx.each(
            "restore points", self._turns.of(asked), lambda agent_id: self._look(now, wanting[agent_id])
        )

    def look(self, now: datetime) -> int:
        """At all of them, however long it takes."""
        wanting = self.ctx.db.read(restore_points.wanting)
        return self.ctx.each("restore points", wanting, lambda agent: self._look(now, agent))

    def _look(self, now: datetime, agent: Row) -> bool:
        cloud = self.ctx.clouds(ClientId(agent.client_id))
        if cloud is None:
            return self._tell(now, agent, NO_EC2)
        if self.ctx.db.read(lambda tx: kill.stops_everything(tx, agent.client_id, agent.id)):
            return False  # nothing is made, and nothing deleted
        if self.ctx.db.read(lambda tx: adrift.volumes_are_missing(tx, AgentId(agent.id))):
            return False  # an image of now would lack the state, and the newest one may lack it too
        plans = self._plans(now, agent)
        for plan in plans:
            self._do(now, cloud, agent, plan)
        return bool(plans)

    def _plans(self, now: datetime, agent: Row) -> tuple[RestorePlan, ...]:
        points = self.ctx.db.read(lambda tx: restore_points.of_agent(tx, AgentId(agent.id)))
        every = timedelta(hours=agent.restore_point_hours)
        return plan_restore_points(points, now, every, agent.restore_points_kept)

    def _do(self, now: datetime, cloud: Cloud, agent: Row, plan: RestorePlan) -> None:
        match plan:
            case MakePoint():
                with refusals.told(self.ctx, now, agent, AgentId(agent.id)):
                    self._make(now, cloud, agent, plan)
            case DropPoint():
                row = self.ctx.db.read(lambda tx: restore_points.row_of(tx, plan.image_id))
                leftovers.delete(self.ctx, now, row, f"a restore point: {plan.because}")

    def _make(self, now: datetime, cloud: Cloud, agent: Row, plan: MakePoint) -> None:
        serving = self.ctx.db.read(lambda tx: _serving(tx, AgentId(agent.id)))
        if serving is None:
            return  # nobody serves, or a move is under way: its volumes are on their way
        name = image_names.of_restore_point(agent.id, now)
        tags = self.ctx.db.read(
            lambda tx: launch_orders.tags_of(
                tx, ClientId(agent.client_id), AgentId(agent.id), restore_points.PURPOSE
            )
        )
        try:
            image_id = cloud.create_image(serving, name, tags)
        except NeedsPerson as error:
            if error.code != DUPLICATE:
                raise
            return  # begun before a crash: the next look at EC2's images finds it
        shown = cloud.describe_images([image_id])
        self.ctx.db.write(lambda tx: restore_points.begun(tx, ClientId(agent.client_id), shown))
        self._tell(now, agent, f"restore point {image_id} of {serving} is being made: {plan.because}")

    def _tell(self, now: datetime, agent: Row, message: str) -> bool:
        if not self.ctx.news(agent.id, message, now):
            return False
        self.ctx.db.write(
            lambda tx: events.append(tx, now, agent.client_id, agent.id, "restore_point", message)
        )
        return True


def _serving(tx: sa.Connection, agent_id: AgentId) -> InstanceId | None:
    held = grants.holder(tx, agent_id)
    if held is None or held.released_at is not None or moves.preparing_of(tx, agent_id) is not None:
        return None
    if salvages.is_open_for(tx, agent_id):  # an image would hold the copy too
        return None
    return InstanceId(held.instance_id) if moves.can_serve(tx, held.instance_id) else None
