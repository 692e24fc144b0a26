"""Agents of the small world: by direct calls of the store they do what theirs would.

One registers when its machine has booted, sends heartbeats, leases its commands and carries its half of a move out as
far as the server lets it.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.commands import CommandStatus, CommandType
from spotguard.domain.ids import AgentId, ClientId, ClientToken, InstanceId
from spotguard.domain.instances import GateState, Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA, SyncStatus
from spotguard.domain.signals import SignalType
from spotguard.domain.switches import MoveKind, Step
from spotguard.planning.switching import ROOT_DEVICES, STATE_DEVICE
from spotguard.ports.cloud import BlockDevice, LaunchRequest, VolumeState
from spotguard.store import (
    agents as agent_rows,
)
from spotguard.store import commands, enrolment, grants, moves, replicas, signals
from spotguard.store.database import Database
from spotguard.store.prepared import Prepared
from spotguard.store.registration import Newcomer, register
from spotguard.store.secrets import hash_token
from spotguard.store.tables import instances, replica_instances
from tests.cloud.scene import StoryClock

_INSTANCE = Prepared(sa.select(instances).where(instances.c.id == sa.bindparam("id")))
_REPLICA = Prepared(sa.select(replica_instances).where(replica_instances.c.instance_id == sa.bindparam("id")))


@dataclass
class Guest:
    """What runs on one machine."""

    instance_id: InstanceId
    agent_id: AgentId
    token_hash: str
    gate: GateState = GateState.CLOSED
    silent: bool = False
    stuck: bool = False  # heard of, but its half of a move does not get on
    measures: bool = True  # what has reached it, and tells it
    switch: Any = None
    launched: InstanceId | None = None
    done: set[Step] = field(default_factory=set)


class Guests:
    """What runs on the machines of a scene."""

    clock: StoryClock
    ec2: SimulatedEc2
    db: Database
    client_id: ClientId
    guests: dict[InstanceId, Guest]
    next_pass: datetime
    refuses: frozenset[CommandType] = frozenset()
    die_before_they_answer: bool = False  # the old ones, of their half of a move
    mute: set[InstanceId]  # their agents do not start
    keep_closed: set[InstanceId]  # their gates do not open
    clock_slow: timedelta  # all their clocks

    @property
    def now(self) -> datetime:
        return self.clock.time

    def row(self, table: sa.Table, *where: Any) -> Any:
        return self.db.read(lambda tx: tx.execute(sa.select(table).where(*where)).first())

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
        if not serves or guest.instance_id in self.keep_closed:
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
            row = _INSTANCE.one(tx, {"id": guest.instance_id})
            agent_rows.heartbeat(
                tx,
                self.now,
                caller,
                mode=Mode(row.current_mode),
                pool_id=row.current_pool_id,
                gate=guest.gate,
                workload_healthy=guest.gate is GateState.OPEN,
            )
            if not caller.hears:
                moves.enrolled(tx, self.now, guest.instance_id)

        self.db.write(work)

    def _commands(self, guest: Guest) -> None:
        for row in self.db.write(lambda tx: commands.lease(tx, self.now, guest.instance_id, 3600)):
            status = CommandStatus.COMPLETED
            if row.command_type == CommandType.SWITCH:
                guest.switch, guest.done, guest.launched = row, set(), None
                continue
            if row.command_type in self.refuses:
                status = CommandStatus.REFUSED
            elif row.command_type == CommandType.TERMINATE_INSTANCE:
                self.ec2.terminate_instance(InstanceId(row.payload["instance_id"]))
            self._answer(guest, row, status)

    def _answer(self, guest: Guest, row: Any, status: CommandStatus) -> None:
        self.db.write(
            lambda tx: commands.complete(tx, self.now, guest.instance_id, row.id, status, None, None)
        )

    def _old_half(self, guest: Guest) -> None:
        """Step by step, as `execution.old_half` would: one or more a look, each told at once."""
        if guest.switch is None or guest.stuck:
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
                at = self.now - self.clock_slow
                moves.record_step(tx, self.now, switch.id, step, at, guest.instance_id)
                if step is Step.RELEASED:
                    grants.release(
                        tx, self.now, guest.agent_id, switch.from_epoch, guest.instance_id, self.now
                    )
                    if not self.die_before_they_answer:
                        self._done(tx, guest)
                    moves.grant_if_due(tx, self.now, switch.id)

        self.db.write(work)

    def _done(self, tx: sa.Connection, guest: Guest) -> None:
        commands.complete(
            tx, self.now, guest.instance_id, guest.switch.id, CommandStatus.COMPLETED, None, None
        )

    def _standby(self, guest: Guest) -> None:
        """The state arrives in one pass of some seconds; then it is in sync."""
        row = self.db.read(lambda tx: _REPLICA.first(tx, {"id": guest.instance_id}))
        held = self.db.read(lambda tx: grants.holder(tx, guest.agent_id))
        primary = None if held is None else self.guests.get(InstanceId(held.instance_id))
        if row is None or row.status not in LIVE_REPLICA or primary is None or not guest.measures:
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


def _pool(pool_id: str) -> Pool:
    kind, az = pool_id.rsplit(".", 1)
    return Pool(kind, az)
