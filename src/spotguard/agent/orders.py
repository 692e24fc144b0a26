"""Commands as they arrive, read strictly; what does not read is refused, never guessed at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from spotguard.domain.clock import parse_time
from spotguard.domain.commands import CommandType
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import CommandId, InstanceId, SwitchId, is_instance_id
from spotguard.domain.switches import MoveKind, Trigger
from spotguard.execution.move_state import LaunchOrder, MoveState
from spotguard.ports.traffic import Endpoint
from spotguard.ports.workload import SyncTarget

T = TypeVar("T")


_VOLUME_ID = re.compile(r"vol-[0-9a-f]{8,17}")


@dataclass(frozen=True)
class Command:
    """One leased command."""

    id: CommandId
    command_type: str
    expires_at: str
    payload: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    attempt: int = 1

    @property
    def type(self) -> CommandType:
        try:
            return CommandType(self.command_type)
        except ValueError as error:
            raise InvalidInput(f"this agent knows no command {self.command_type[:40]!r}") from error

    def is_over(self, now: datetime) -> bool:
        """`now` by the server's clock."""
        return parse_time(self.expires_at) <= now


@dataclass(frozen=True)
class TargetNote:
    """The new instance, once it has enrolled. The driver of the state sync knows what an address is."""

    instance_id: str
    address: str | None = None

    @property
    def sync(self) -> SyncTarget:
        return SyncTarget(self.instance_id, self.address or "")


@dataclass(frozen=True)
class SwitchOrder:
    """Payload of `switch`."""

    switch_id: SwitchId
    kind: MoveKind
    epoch: int
    close_by: datetime | None = None
    target: TargetNote | None = None
    launch: LaunchOrder | None = None
    executor: str | None = None
    trigger: Trigger | None = None


@dataclass(frozen=True)
class PromoteOrder:
    """Payload of `promote`. `former`: who held the epoch before, for the user's traffic script. `id`: the command's, by
    which one that is given again is told from the first.
    """

    epoch: int
    switch_id: SwitchId | None = None
    former: Endpoint | None = None
    id: CommandId | None = None


@dataclass(frozen=True)
class DrillOrder:
    """Payload of `drill`: which rehearsal this clone was launched for."""

    drill_id: str


@dataclass(frozen=True)
class CompareOrder:
    """Payload of `compare_state`: which attached copy of a volume is compared with the state."""

    copy_id: str


@dataclass(frozen=True)
class LaunchReplicaOrder:
    """Payload of `launch_replica`."""

    replica_id: str
    launch: LaunchOrder


@dataclass(frozen=True)
class EndOrder:
    """Payload of `terminate_instance` and `retire_replica`. `clear`: what it leaves behind, too: nobody else can.

    `made_at`: since when the server knows of it.
    """

    instance_id: InstanceId
    switch_id: SwitchId | None = None
    replica_id: str | None = None
    clear: bool = False
    made_at: datetime | None = None


def command_of(entry: Mapping[str, Any]) -> Command:
    return _read(entry, Command)


def switch_order(command: Command) -> SwitchOrder:
    return _read(command.payload, SwitchOrder)


def promote_order(command: Command) -> PromoteOrder:
    return replace(_read(command.payload, PromoteOrder), id=command.id)


def drill_order(command: Command) -> DrillOrder:
    return _read(command.payload, DrillOrder)


def compare_order(command: Command) -> CompareOrder:
    order = _read(command.payload, CompareOrder)
    if _VOLUME_ID.fullmatch(order.copy_id) is None:
        raise InvalidInput(f"not a volume's id: {order.copy_id[:40]!r}")
    return order


def launch_replica_order(command: Command) -> LaunchReplicaOrder:
    return _read(command.payload, LaunchReplicaOrder)


def end_order(command: Command) -> EndOrder:
    order = _read(command.payload, EndOrder)
    if not is_instance_id(order.instance_id):
        raise InvalidInput(f"not an instance id: {order.instance_id[:40]!r}")
    return order


def target_of(body: Mapping[str, Any]) -> SyncTarget | None:
    """`target` of a reply to a switch report; None while there is none."""
    note = body.get("target")
    return _read(note, TargetNote).sync if isinstance(note, Mapping) else None


def move_of(command: Command, order: SwitchOrder, own: InstanceId, now: datetime) -> MoveState:
    """The old half that a `switch` asks for, before its first step."""
    return MoveState(
        own=own,
        epoch=order.epoch,
        kind=order.kind,
        trigger=order.trigger,
        begun_at=now,
        switch_id=order.switch_id,
        command_id=command.id,
        close_by=order.close_by,
        target=order.target.sync if order.target else None,
        launch=order.launch,
        server_acts=order.executor == "server",
    )


def _read(value: Mapping[str, Any], wanted: type[T]) -> T:
    try:
        return msgspec.convert(dict(value), wanted, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"not a {wanted.__name__}: {error}") from error
