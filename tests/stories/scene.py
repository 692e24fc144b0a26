"""A small stage for stories: one tenant, a few workloads, calm weather, the shipped server, coordinator and agents."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.physics import STILL
from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.switches import Step
from spotguard.planning.cleaning import FOUND
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.simulation import lookups
from spotguard.simulation.market import synthetic
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.simulation.world import Reach, World, WorldPlan, in_process
from spotguard.store import moves
from spotguard.store.tables import (
    agent_events,
    commands,
    instances,
    replica_instances,
    spot_interruption_events,
    storage_resources,
    switches,
)

DAYS = 2


class Scene:
    """What the world does, and what one looks up afterwards: rows as the specification names them."""

    def __init__(
        self,
        agents: int = 1,
        seed: int = 7,
        executor: Executor = Executor.AGENT,
        reach: Callable[[SimulatedEc2], Reach] = in_process,
        troubled: bool = False,
        coordinators: int = 1,
    ) -> None:
        plan = WorldPlan(
            market=synthetic(seed, DAYS),
            agents=agents,
            seed=seed,
            climate=STILL,
            executor=executor,
            troubled=troubled,
            coordinators=coordinators,
            elides=True,
        )
        self.world = World(plan, TroubledDatabase.fresh(), reach)
        self.wait(minutes=2)  # the first prices are reported

    def close(self) -> None:
        self.world.close()

    # what people do

    def post(self, path: str, body: dict[str, Any] | None = None, *, expect: int = 200) -> Any:
        return self._call("POST", path, body, expect)

    def get(self, path: str, *, expect: int = 200) -> Any:
        return self._call("GET", path, None, expect)

    def put(self, path: str, body: dict[str, Any], *, expect: int = 200) -> Any:
        return self._call("PUT", path, body, expect)

    def delete(self, path: str, *, expect: int = 200) -> Any:
        return self._call("DELETE", path, None, expect)

    def configure(self, name: str = "web-1", **settings: object) -> Any:
        return self.post(f"/api/client/agents/{self.agent(name).id}/config", settings)

    def pools(self, name: str = "web-1") -> list[dict[str, Any]]:
        """As the panel shows them."""
        return list(self.get(f"/api/client/instances/{self.agent(name).instance_id}/pricing")["pools"])

    def force_to_spot(self, name: str = "web-1", **more: object) -> str:
        """A user moves it to the cheapest pool that the panel allows, and it is done; the pool's id."""
        row = self.agent(name)
        pools = self.pools(name)
        target = next(pool["id"] for pool in pools if pool["allowed"] and pool["id"] != row.current_pool_id)
        wish = {"target": "pool", "pool_id": target, **more}
        self.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)
        self.until(lambda: self.agent(name).current_pool_id == target, minutes=20)
        return str(target)

    def order_move(self, name: str = "web-1", *, in_its_zone: bool) -> None:
        """A user orders a move to a pool that the panel allows, in the present zone or in another."""
        row = self.agent(name)
        fit = (p["id"] for p in self.pools(name) if p["allowed"] and (p["az"] == row.az) is in_its_zone)
        wish = {"target": "pool", "pool_id": next(fit)}
        self.post(f"/api/client/instances/{row.instance_id}/force-switch", wish, expect=202)

    # how time goes by

    def wait(self, **span: float) -> None:
        self.world.run_for(**span)

    def until(self, comes_true: Callable[[], Any], *, minutes: float = 0, seconds: float = 0) -> Any:
        """Live on until it is true; it must be before that much time has passed."""
        deadline = self.world.clock.now() + timedelta(minutes=minutes, seconds=seconds)
        while not (found := comes_true()):
            if not self.world.step(deadline):
                found = comes_true()
                assert found, f"not within {minutes * 60 + seconds:g} s"
                return found
        return found

    # what the tables say

    def agent(self, name: str = "web-1") -> Any:
        return lookups.agent(self.world, name)

    def instance(self, instance_id: str) -> Any:
        return self._rows(instances, instances.c.id == instance_id)[0]

    def volume_row(self, volume_id: str) -> Any:
        return self._rows(storage_resources, storage_resources.c.id == volume_id)[0]

    def all_instances(self, name: str = "web-1") -> list[Any]:
        return self._rows(instances, instances.c.agent_id == self.agent(name).id)

    def active_instances(self, name: str = "web-1") -> set[str]:
        mine = sa.and_(instances.c.agent_id == self.agent(name).id, instances.c.is_active)
        return {row.id for row in self._rows(instances, mine)}

    def replicas(self, name: str = "web-1") -> list[Any]:
        return lookups.replicas(self.world, self.agent(name).id)

    def replica(self, replica_id: str) -> Any:
        return self._rows(replica_instances, replica_instances.c.id == replica_id)[0]

    def live_replica(self, name: str = "web-1") -> Any:
        live = [row for row in self.replicas(name) if row.is_active]
        return live[-1] if live else None

    def ready_replica(self, name: str = "web-1") -> Any:
        live = self.live_replica(name)
        return live if live is not None and live.status == "ready" else None

    def switches(self, name: str = "web-1") -> list[Any]:
        return self._rows(switches, switches.c.agent_id == self.agent(name).id)

    def has_recorded(self, step: Step, name: str = "web-1") -> bool:
        newest = self.switches(name)[-1].id
        return step in self.world.db.read(lambda tx: moves.recorded_steps(tx, newest))

    def commands(self, name: str = "web-1") -> list[Any]:
        return self._rows(commands, commands.c.agent_id == self.agent(name).id)

    def signals(self, name: str = "web-1") -> list[Any]:
        return self._rows(
            spot_interruption_events, spot_interruption_events.c.agent_id == self.agent(name).id
        )

    def _rows(self, table: sa.Table, condition: sa.ColumnElement[bool]) -> list[Any]:
        wanted = sa.select(table).where(condition).order_by(table.c.created_at)
        return self.world.db.read(lambda tx: list(tx.execute(wanted)))

    def events(self, kind: str, name: str = "web-1") -> list[Any]:
        """What people were told of the agent, oldest first."""
        mine = agent_events.c.agent_id == self.agent(name).id, agent_events.c.kind == kind
        wanted = sa.select(agent_events).where(*mine).order_by(agent_events.c.id)
        return self.world.db.read(lambda tx: list(tx.execute(wanted)))

    def found_of_nobody(self) -> list[str]:
        """Ids of resources that were told to belong to no agent."""
        e = agent_events.c
        told = sa.select(e.detail).where(e.kind == FOUND, e.agent_id.is_(None)).order_by(e.id)
        rows = self.world.db.read(lambda tx: list(tx.execute(told)))
        return [row.detail["resource_id"] for row in rows]

    def state_volumes(self, instance_id: str) -> list[VolumeId]:
        """Which volumes besides the root EC2 shows of the instance."""
        shown = self.world.ec2.describe_instances([InstanceId(instance_id)])
        return [v.volume_id for view in shown for v in view.volumes if v.device not in ROOT_DEVICES]

    # what the workload's own client saw

    def assert_no_record_lost_or_doubled(self, name: str = "web-1") -> None:
        register = self.world.registers[name]
        assert register.overlaps == []
        assert register.losses == []
        assert len(register.serving()) == 1

    # what AWS does

    def aws_recommends_rebalance(self, name: str = "web-1") -> None:
        self.world.ec2.controls.signal_rebalance(InstanceId(self.agent(name).instance_id))

    def aws_gives_notice(self, name: str = "web-1") -> None:
        self.world.ec2.controls.interrupt(InstanceId(self.agent(name).instance_id))

    def _call(self, method: str, path: str, body: dict[str, Any] | None, expect: int) -> Any:
        reply = self.world.call(method, path, body)
        assert reply.status == expect, reply.body
        return reply.body
