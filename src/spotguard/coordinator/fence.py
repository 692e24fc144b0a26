"""A primary that hangs is ended, where its user wants that: then its death is proven, and only then it is replaced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Context, Row
from spotguard.domain.errors import NotVisible, Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.execution.ending import look_before_end
from spotguard.planning.fencing import why_not
from spotguard.ports.cloud import Cloud
from spotguard.store import events, fences, grants

NO_EC2 = (
    "its primary hangs and would be ended, but the server has no AWS account for this client: end it yourself"
)


class Fence:
    """Looks at agents whose serving instance is silent. EC2 is asked only when nothing else speaks against it."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def run(self, now: datetime, agenda: Agenda, frozen: Mapping[ClientId, str]) -> int:
        silent = dict.fromkeys(agenda.of(Work.SILENT))
        wanted = self.ctx.db.read(lambda tx: fences.wanted_among(tx, silent)) if silent else []
        return self.ctx.each(
            "fence", wanted, lambda row: self._look(now, row, is_frozen=row.client_id in frozen)
        )

    def _look(self, now: datetime, agent: Row, *, is_frozen: bool) -> bool:
        held = self.ctx.db.read(lambda tx: grants.holder(tx, agent.id))
        if held is None or held.released_at is not None:
            return False
        as_if_impaired = self.ctx.db.read(
            lambda tx: fences.facts(tx, now, agent, held, impaired_since=held.granted_at, frozen=is_frozen)
        )
        if why_not(as_if_impaired) is not None:
            return False
        cloud = self.ctx.clouds(ClientId(agent.client_id))
        if cloud is None:
            return self._tell_nobody_can(now, agent)
        return self._fence(now, cloud, agent, InstanceId(held.instance_id), is_frozen=is_frozen)

    def _fence(self, now: datetime, cloud: Cloud, agent: Row, hangs: InstanceId, *, is_frozen: bool) -> bool:
        """Its volumes are kept first; what EC2 shows of them is looked at once more before the end."""
        try:
            view = look_before_end(cloud, hangs, agent.id, self.ctx.maker(agent.client_id))
            impaired_since = cloud.impaired_since(hangs)
        except NotVisible:
            return False
        except Refused as refusal:
            return self._say(now, agent, "fence_refused", str(refusal))
        if view is None or view.state is not InstanceState.RUNNING:
            return False
        if any(volume.delete_on_termination for volume in view.volumes):
            cloud.keep_volumes(hangs)
            self.ctx.soon(now, 5)
            return False
        announced = self.ctx.db.write(
            lambda tx: fences.announce(tx, now, AgentId(agent.id), hangs, impaired_since, frozen=is_frozen)
        )
        if announced:
            cloud.terminate_instance(hangs)
            self.ctx.soon(now, 5)
        return announced

    def _tell_nobody_can(self, now: datetime, agent: Row) -> bool:
        return self._say(now, agent, "fence_refused", NO_EC2)

    def _say(self, now: datetime, agent: Row, kind: str, message: str) -> bool:
        if self.ctx.news(agent.id, message, now):
            self.ctx.db.write(lambda tx: events.append(tx, now, agent.client_id, agent.id, kind, message))
        return False
