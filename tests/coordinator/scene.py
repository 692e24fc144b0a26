"""A small world: the simulated EC2, a database in memory, the coordinator, and agents who do what theirs would."""

from collections.abc import Callable
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.settings import Settings
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.domain.agents import Autonomy, Executor, KillLevel
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.ids import AgentId, ClientToken, InstanceId, ReplicaId, SwitchId, VolumeId
from spotguard.domain.instances import GateState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import Step, Trigger
from spotguard.domain.tags import ADOPTED_TAG
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, LaunchRequest
from spotguard.ports.shape import Shape
from spotguard.simulation.troubled_database import TroubledDatabase
from spotguard.store import grants, kill, moves, plans, replicas, restore_points, tenants
from spotguard.store.database import Database
from spotguard.store.tables import agents, clients, switch_steps, switches
from tests.cloud.scene import ONDEMAND, PRICES, QUIET, START, A, B, C, Notes, StoryClock
from tests.coordinator.guests import Guest, Guests

__all__ = ["START", "A", "B", "C", "Scene"]


def _stride(waited: timedelta) -> timedelta:
    """The longer nothing was looked for, the coarser time goes; a heartbeat is never missed (`OFFLINE_AFTER`)."""
    if waited > timedelta(hours=3):
        return timedelta(seconds=60)
    return timedelta(seconds=20 if waited > timedelta(minutes=10) else 5)


class Calls:
    """A wake-up that only remembers."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def coordinator(self) -> None:
        self.woken.append("coordinator")

    def agent(self, instance_id: str) -> None:
        self.woken.append(instance_id)


class Scene(Guests):
    """Time moves in steps of five seconds, later of a minute; after each the coordinator runs a pass if due."""

    def __init__(
        self,
        *,
        executor: Executor = Executor.AGENT,
        settings: Settings = QUIET,
        prices: Any = PRICES,
        has_cloud: bool = True,
        db: Database | None = None,
        model_folder: Path | None = None,
    ) -> None:
        self.clock = StoryClock(START)
        self.ec2 = SimulatedEc2(self.clock, 1, prices, ONDEMAND, settings=settings)
        self.db = db or TroubledDatabase.fresh()
        self.wakeup = Calls()
        self.has_cloud = has_cloud
        self.model_folder = model_folder
        self.guests: dict[InstanceId, Guest] = {}
        self.mute: set[InstanceId] = set()
        self.keep_closed: set[InstanceId] = set()
        self.clock_slow = timedelta(0)
        self.client_id, _ = self.db.write(
            lambda tx: tenants.create_client(tx, START, "us", executor=executor)
        )
        self.coordinator = self.new_coordinator()
        self.image = self.ec2.controls.add_public_image("base", Notes())
        self.next_pass = START

    def new_coordinator(self, name: str = "one") -> Coordinator:
        """As after a crash: nothing is remembered but the rows."""
        return Coordinator(
            self.db,
            lambda _client: self.ec2 if self.has_cloud else None,
            self.clock,
            CoordinatorSettings(installation="story", name=name, model_folder=self.model_folder),
            self.wakeup,
        )

    # people

    def protect(
        self,
        name: str = "web",
        pool: Pool = A,
        mode: Mode = Mode.SPOT,
        shape: Shape | None = None,
        handed_over: bool = True,
        state_gib: int | None = 20,
        **config: Any,
    ) -> AgentId:
        """A server of its owner's, up and registered, its workload serving."""
        machine = self.ec2.run_instance(
            LaunchRequest(
                token=ClientToken(f"owner-{name}"),
                pool=pool,
                mode=mode,
                image_id=self.image,
                tags={"Name": name},
                block_devices=[BlockDevice(STATE_DEVICE, state_gib)] if state_gib else [],
                shape=shape,
            )
        )
        self.clock.time += timedelta(seconds=70)
        self.ec2.happenings()
        self._boot(machine.instance_id, name)
        agent_id = self.guests[machine.instance_id].agent_id
        if handed_over:
            self.ec2.controls.tag(machine.instance_id, {ADOPTED_TAG: agent_id})
        self.config(agent_id, autonomy=Autonomy.AUTO.value, **config)
        self.next_pass = self.now
        return agent_id

    def config(self, agent_id: AgentId, **values: Any) -> None:
        if "manual_replica_enabled" in values:
            values |= {"replica_enabled": values["manual_replica_enabled"]}
            if values["manual_replica_enabled"]:
                values |= {"auto_switch_enabled": False}

        def work(tx: sa.Connection) -> None:
            tx.execute(sa.update(agents).where(agents.c.id == agent_id).values(**values))
            plans.protection_changed(tx, self.now, agent_id)

        self.db.write(work)

    def switch(
        self, agent_id: AgentId, pool: Pool | None, mode: Mode = Mode.SPOT, **more: Any
    ) -> moves.OpenedMove:
        return self.db.write(
            lambda tx: moves.open_move(
                tx,
                self.now,
                client_id=self.client_id,
                agent_id=agent_id,
                trigger=Trigger.MANUAL,
                created_by=CreatedBy.USER,
                priority=Priority.USER,
                target_pool=pool,
                target_mode=mode,
                reason="a click",
                **more,
            )
        )

    def promote(self, agent_id: AgentId, replica_id: str) -> moves.OpenedMove:
        return self.db.write(
            lambda tx: plans.promote(
                tx,
                self.now,
                client_id=self.client_id,
                agent_id=agent_id,
                replica_id=ReplicaId(replica_id),
                created_by=CreatedBy.USER,
            )
        )

    def turn(self, level: KillLevel) -> None:
        """The client's kill switch."""
        self.db.write(lambda tx: kill.set_level(tx, self.now, self.client_id, kill.CLIENT, level, "a story"))

    # time

    def run(self, seconds: float = 0, *, until: Callable[[], bool] | None = None) -> None:
        """Let `seconds` pass, or until it holds; at most that long."""
        began, end = self.now, self.now + timedelta(seconds=seconds)
        while self.now < end and not (until is not None and until()):
            self.clock.time += _stride(self.now - began)
            self.live()
            if self.now >= self.next_pass:
                report = self.coordinator.run_pass()
                self.next_pass = report.next_due
        assert until is None or until(), f"it did not happen within {seconds} s"

    def live(self) -> None:
        for happening in self.ec2.happenings():
            if happening.instance_id in self.mute:
                continue
            if happening.kind is HappeningKind.BOOTED and happening.instance_id not in self.guests:
                self._boot(happening.instance_id)
            elif happening.kind is HappeningKind.SIGNALLED:
                self._signal(happening.instance_id)
            elif happening.kind is HappeningKind.TERMINATED:
                self.guests.pop(happening.instance_id, None)
        for guest in list(self.guests.values()):
            if not guest.silent:
                self._work(guest)

    def dry_up(self) -> None:
        """No pool has any capacity, in either market, until `end_drought`."""
        for pool, mode in product((A, B, C), Mode):
            self.ec2.controls.make_dry(pool, mode=mode)

    def end_drought(self) -> None:
        for pool in (A, B, C):
            self.ec2.controls.end_dryness(pool)

    # questions

    def rows(self, table: sa.Table, *where: Any) -> list[Any]:
        return list(self.db.read(lambda tx: tx.execute(sa.select(table).where(*where)).all()))

    def volume_at(self, machine: str, device: str = STATE_DEVICE) -> VolumeId:
        """What EC2 shows there."""
        volumes = self.ec2.describe_instances([InstanceId(machine)])[0].volumes
        (found,) = (volume.volume_id for volume in volumes if volume.device == device)
        return found

    def holder_of(self, volume: VolumeId) -> InstanceId | None:
        return self.ec2.describe_volumes([volume])[0].attached_to

    def agent(self, agent_id: AgentId) -> Any:
        return self.row(agents, agents.c.id == agent_id)

    def serving(self, agent_id: AgentId) -> InstanceId:
        held = self.db.read(lambda tx: grants.holder(tx, agent_id))
        assert held is not None
        return InstanceId(held.instance_id)

    def is_open(self, agent_id: AgentId) -> bool:
        guest = self.guests.get(self.serving(agent_id))
        return guest is not None and guest.gate is GateState.OPEN

    def serves_elsewhere(self, agent_id: AgentId, old: InstanceId) -> Callable[[], bool]:
        return lambda: self.serving(agent_id) != old and self.is_open(agent_id)

    def restore_points(self, agent_id: AgentId) -> list[Any]:
        """The complete ones."""
        return [
            point
            for point in self.db.read(lambda tx: restore_points.of_agent(tx, agent_id))
            if point.complete
        ]

    def live_replicas(self, agent_id: AgentId) -> list[Any]:
        return self.db.read(lambda tx: replicas.live(tx, agent_id))

    def move(self, switch_id: SwitchId) -> Any:
        return self.row(switches, switches.c.id == switch_id)

    def last_move(self, agent_id: AgentId) -> Any:
        return max(self.rows(switches, switches.c.agent_id == agent_id), key=lambda s: s.created_at)

    def steps(self, switch_id: SwitchId) -> list[Step]:
        found = self.rows(switch_steps, switch_steps.c.switch_id == switch_id)
        return [Step(row.step) for row in sorted(found, key=lambda row: (row.at, list(Step).index(row.step)))]

    def running(self) -> set[InstanceId]:
        return {m.instance_id for m in self.ec2.inventory().instances if m.state in ("pending", "running")}

    def limit(self, **caps: Any) -> None:
        self.db.write(lambda tx: tx.execute(sa.update(clients).values(**caps)))

    def breaches(self) -> list[Any]:
        return self.coordinator.check_invariants(self.now)
