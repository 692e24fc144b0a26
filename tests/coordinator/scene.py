"""A small world: the simulated EC2, a database in memory, the coordinator, and agents who do what theirs would.

An agent here keeps its promises by direct calls of the store: it registers when its machine has booted, sends
heartbeats, leases its commands and carries its half of a move out as far as the server lets it.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.cloud.simulated.settings import Settings
from spotguard.cloud.simulated.state import HappeningKind
from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.domain.agents import Autonomy, Executor
from spotguard.domain.commands import CommandStatus, CommandType, CreatedBy, Priority
from spotguard.domain.ids import AgentId, ClientId, ClientToken, InstanceId, ReplicaId, SwitchId
from spotguard.domain.instances import GateState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA, SyncStatus
from spotguard.domain.signals import SignalType
from spotguard.domain.switches import MoveKind, Step, Trigger
from spotguard.execution.volumes import ROOT_DEVICES
from spotguard.planning.switching import STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, LaunchRequest, VolumeState
from spotguard.store import (
    agents as agent_rows,
)
from spotguard.store import commands, enrolment, grants, moves, plans, replicas, signals, tenants
from spotguard.store.database import Database
from spotguard.store.registration import Newcomer, register
from spotguard.store.secrets import hash_token
from spotguard.store.tables import agents, clients, instances, replica_instances, switch_steps, switches
from tests.cloud.scene import ONDEMAND, PRICES, QUIET, START, A, B, C, Notes, StoryClock

__all__ = ["START", "A", "B", "C", "Scene"]


class Calls:
    """A wake-up that only remembers."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def coordinator(self) -> None:
        self.woken.append("coordinator")

    def agent(self, instance_id: str) -> None:
        self.woken.append(instance_id)


@dataclass
class Guest:
    """What runs on one machine."""

    instance_id: InstanceId
    agent_id: AgentId
    token_hash: str
    gate: GateState = GateState.CLOSED
    silent: bool = False
    switch: Any = None
    launched: InstanceId | None = None
    done: set[Step] = field(default_factory=set)


class Scene:
    """Time moves in steps of five seconds, later twenty; after each the coordinator runs a pass when one is due."""

    def __init__(
        self,
        *,
        executor: Executor = Executor.AGENT,
        settings: Settings = QUIET,
        prices: Any = PRICES,
        has_cloud: bool = True,
    ) -> None:
        self.clock = StoryClock(START)
        self.ec2 = SimulatedEc2(self.clock, 1, prices, ONDEMAND, settings=settings)
        self.db = Database.open("sqlite://")
        self.db.upgrade()
        self.wakeup = Calls()
        self.has_cloud = has_cloud
        self.guests: dict[InstanceId, Guest] = {}
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
            CoordinatorSettings(installation="story", name=name),
            self.wakeup,
        )

    # people

    def protect(self, name: str = "web", pool: Pool = A, mode: Mode = Mode.SPOT, **config: Any) -> AgentId:
        """A server of its owner's, up and registered, its workload serving."""
        machine = self.ec2.run_instance(
            LaunchRequest(
                token=ClientToken(f"owner-{name}"),
                pool=pool,
                mode=mode,
                image_id=self.image,
                tags={"Name": name},
                block_devices=[BlockDevice(STATE_DEVICE, 20)],
            )
        )
        self.clock.time += timedelta(seconds=70)
        self.ec2.happenings()
        self._boot(machine.instance_id, name)
        agent_id = self.guests[machine.instance_id].agent_id
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

    # time

    @property
    def now(self) -> datetime:
        return self.clock.time

    def run(self, seconds: float = 0, *, until: Callable[[], bool] | None = None) -> None:
        """Let `seconds` pass, or until it holds; at most that long."""
        began, end = self.now, self.now + timedelta(seconds=seconds)
        while self.now < end and not (until is not None and until()):
            calm = self.now - began > timedelta(minutes=10)
            self.clock.time += timedelta(seconds=20 if calm else 5)
            self.live()
            if self.now >= self.next_pass:
                report = self.coordinator.run_pass()
                self.next_pass = report.next_due
        assert until is None or until(), f"it did not happen within {seconds} s"

    def live(self) -> None:
        for happening in self.ec2.happenings():
            if happening.kind is HappeningKind.BOOTED and happening.instance_id not in self.guests:
                self._boot(happening.instance_id)
            elif happening.kind is HappeningKind.SIGNALLED:
                self._signal(happening.instance_id)
            elif happening.kind is HappeningKind.TERMINATED:
                self.guests.pop(happening.instance_id, None)
        for guest in list(self.guests.values()):
            if not guest.silent:
                self._work(guest)

    # agents

    def _boot(self, instance_id: InstanceId, name: str | None = None) -> None:
        view = self.ec2.describe_instances([instance_id])[0]
        user_data = self.ec2.metadata(instance_id).user_data()
        told = json.loads(user_data)["spotguard"] if user_data else {"logical_agent_id": name}
        newcomer = Newcomer(
            logical_agent_id=told["logical_agent_id"],
            instance_id=instance_id,
            boot_id="1",
            pool=view.pool,
            mode=view.mode,
            ami_id=view.image_id,
            agent_version="test",
            hostname=str(instance_id),
            private_ip=view.private_ip,
            public_ip=None,
        )

        def work(tx: sa.Connection) -> Any:
            token = told.get("enrolment_token")
            row = None if token is None else enrolment.of_token(tx, hash_token(token))
            return register(tx, self.now, self.client_id, newcomer, enrolled_by=row)

        admission = self.db.write(work)
        self.guests[instance_id] = Guest(instance_id, admission.agent_id, hash_token(admission.token))

    def _signal(self, instance_id: InstanceId) -> None:
        guest, metadata = self.guests.get(instance_id), self.ec2.metadata(instance_id)
        if guest is None:
            return
        notice, rebalance = metadata.interruption_notice(), metadata.rebalance_recommendation()
        if notice is not None:
            at = notice.action_time - timedelta(seconds=120)
            self._send(guest, SignalType.TERMINATION, at, notice.action_time)
        elif rebalance is not None:
            self._send(guest, SignalType.REBALANCE, rebalance.notice_time, None)
        self.next_pass = self.now

    def _send(self, guest: Guest, kind: SignalType, at: datetime, action: datetime | None) -> None:
        self.db.write(
            lambda tx: signals.receive(
                tx,
                self.now,
                client_id=self.client_id,
                agent_id=guest.agent_id,
                instance_id=guest.instance_id,
                signal_type=kind,
                signal_time=at,
                action_time=action,
            )
        )

    def _work(self, guest: Guest) -> None:
        held = self.db.read(lambda tx: grants.holder(tx, guest.agent_id))
        serves = held is not None and held.instance_id == guest.instance_id and held.released_at is None
        if not serves:
            guest.gate = GateState.CLOSED
        elif guest.switch is None:
            guest.gate = GateState.OPEN
        self._heartbeat(guest)
        self._commands(guest)
        self._old_half(guest)
        self._standby(guest)

    def _heartbeat(self, guest: Guest) -> None:
        def work(tx: sa.Connection) -> None:
            caller = agent_rows.caller_of_token(tx, self.now, guest.token_hash)
            row = tx.execute(sa.select(instances).where(instances.c.id == guest.instance_id)).one()
            agent_rows.heartbeat(
                tx,
                self.now,
                caller,
                mode=Mode(row.current_mode),
                pool_id=row.current_pool_id,
                gate=guest.gate,
                workload_healthy=guest.gate is GateState.OPEN,
            )

        self.db.write(work)

    def _commands(self, guest: Guest) -> None:
        for row in self.db.write(lambda tx: commands.lease(tx, self.now, guest.instance_id, 3600)):
            status = CommandStatus.COMPLETED
            if row.command_type == CommandType.SWITCH:
                guest.switch, guest.done, guest.launched = row, set(), None
                continue
            if row.command_type == CommandType.TERMINATE_INSTANCE:
                self.ec2.terminate_instance(InstanceId(row.payload["instance_id"]))
            self._answer(guest, row, status)

    def _answer(self, guest: Guest, row: Any, status: CommandStatus) -> None:
        self.db.write(
            lambda tx: commands.complete(tx, self.now, guest.instance_id, row.id, status, None, None)
        )

    def _old_half(self, guest: Guest) -> None:
        """Step by step, as `execution.old_half` would: one or more a look, each told at once."""
        if guest.switch is None:
            return
        payload = guest.switch.payload
        switch = self.db.read(lambda tx: moves.get(tx, payload["switch_id"]))
        if switch.status != "preparing":
            guest.switch = None
            return
        steps = self.db.read(lambda tx: moves.recorded_steps(tx, switch.id))
        if payload["launch"] is not None and guest.launched is None and payload["kind"] != "image":
            self._launch(guest, switch, payload["launch"])
        target = self.db.read(lambda tx: moves.target_of(tx, switch))
        close_by = payload["close_by"]
        if payload["kind"] == MoveKind.IMAGE:
            guest.gate = GateState.CLOSED
            self._tell(guest, switch, Step.GATE_CLOSED)
        if (
            target is None
            and close_by
            and self.now >= datetime.fromisoformat(close_by) - timedelta(seconds=15)
        ):
            guest.gate = GateState.CLOSED
            self._tell(guest, switch, Step.GATE_CLOSED, Step.RELEASED)
        elif target is not None:
            self._carry(guest, switch, payload, steps, InstanceId(target["instance_id"]))

    def _carry(self, guest: Guest, switch: Any, payload: Any, steps: list[Step], target: InstanceId) -> None:
        kind, by_server = MoveKind(payload["kind"]), payload["executor"] == "server"
        guest.gate = GateState.CLOSED
        if kind is MoveKind.SYNCED:
            self._tell(guest, switch, Step.SYNCED, Step.GATE_CLOSED, Step.DELTA_SENT, Step.RELEASED)
        elif kind is MoveKind.VOLUME:
            self._tell(guest, switch, Step.GATE_CLOSED)
            if by_server:
                if Step.VOLUMES_MOVED in steps:
                    self._tell(guest, switch, Step.RELEASED)
            elif self._volumes_are_at(guest.instance_id, target):
                self._tell(guest, switch, Step.VOLUMES_MOVED, Step.RELEASED)
        elif Step.IMAGED in steps:
            self._tell(guest, switch, Step.RELEASED)

    def _volumes_are_at(self, own: InstanceId, target: InstanceId) -> bool:
        volumes = [v for v in self.ec2.inventory().volumes if v.device not in ROOT_DEVICES]
        arrived = False
        for volume in volumes:
            if volume.attached_to == own:
                self.ec2.detach_volume(volume.volume_id)
                self._travelling = volume.volume_id
            elif volume.volume_id == getattr(self, "_travelling", None):
                if volume.attached_to == target:
                    arrived = volume.state is VolumeState.IN_USE
                elif volume.state is VolumeState.AVAILABLE:
                    self.ec2.attach_volume(volume.volume_id, target, STATE_DEVICE)
        return arrived

    def _launch(self, guest: Guest, switch: Any, order: Any) -> None:
        view = self.ec2.run_instance(
            LaunchRequest(
                token=ClientToken(f"{order['token_seed']}"[:60]),
                pool=_pool(order["pool_id"]),
                mode=Mode(order["mode"]),
                image_id=order["image_id"],
                tags={**order["tags"], "spotguard:token": f"{order['token_seed']}"[:60]},
                user_data=order["user_data"],
                block_devices=[BlockDevice(**device) for device in order["block_devices"]],
            )
        )
        guest.launched = view.instance_id
        self.db.write(
            lambda tx: moves.instance_named(
                tx,
                self.now,
                switch.id,
                instance_id=view.instance_id,
                launched_at=view.launched_at,
                pool=view.pool,
                mode=view.mode,
                image_id=view.image_id,
                actor=guest.instance_id,
            )
        )

    def _tell(self, guest: Guest, switch: Any, *steps: Step) -> None:
        def work(tx: sa.Connection) -> None:
            for step in steps:
                moves.record_step(tx, self.now, switch.id, step, self.now, guest.instance_id)
                if step is Step.RELEASED:
                    grants.release(
                        tx, self.now, guest.agent_id, switch.from_epoch, guest.instance_id, self.now
                    )
                    commands.complete(
                        tx, self.now, guest.instance_id, guest.switch.id, CommandStatus.COMPLETED, None, None
                    )
                    moves.grant_if_due(tx, self.now, switch.id)

        self.db.write(work)

    def _standby(self, guest: Guest) -> None:
        """The state arrives in one pass of some seconds; then it is in sync."""
        row = self.row(replica_instances, replica_instances.c.instance_id == guest.instance_id)
        held = self.db.read(lambda tx: grants.holder(tx, guest.agent_id))
        primary = None if held is None else self.guests.get(InstanceId(held.instance_id))
        if row is None or row.status not in LIVE_REPLICA or primary is None:
            return
        synced = row.status != "launching"
        self.db.write(
            lambda tx: replicas.apply_sync_status(
                tx,
                self.now,
                row.id,
                sync_status=SyncStatus.SYNCED if synced else SyncStatus.SYNCING,
                progress=Decimal(100) if synced else Decimal(40),
                latency_ms=500,
                position=1,
            )
        )

    # questions

    def row(self, table: sa.Table, *where: Any) -> Any:
        return self.db.read(lambda tx: tx.execute(sa.select(table).where(*where)).first())

    def rows(self, table: sa.Table, *where: Any) -> list[Any]:
        return list(self.db.read(lambda tx: tx.execute(sa.select(table).where(*where)).all()))

    def agent(self, agent_id: AgentId) -> Any:
        return self.row(agents, agents.c.id == agent_id)

    def serving(self, agent_id: AgentId) -> InstanceId:
        held = self.db.read(lambda tx: grants.holder(tx, agent_id))
        assert held is not None
        return InstanceId(held.instance_id)

    def is_open(self, agent_id: AgentId) -> bool:
        guest = self.guests.get(self.serving(agent_id))
        return guest is not None and guest.gate is GateState.OPEN

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


def _pool(pool_id: str) -> Pool:
    kind, az = pool_id.rsplit(".", 1)
    return Pool(kind, az)


def client_of(scene: Scene) -> ClientId:
    return scene.client_id
