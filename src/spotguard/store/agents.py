"""Agents as their instances know them: who calls, which role that instance has, its presence (ruling S15)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.agents import OFFLINE_AFTER, AgentStatus
from spotguard.domain.commands import CommandStatus
from spotguard.domain.errors import NotFound
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.instances import GateState, Mode, Role
from spotguard.domain.switches import SwitchStatus
from spotguard.store import counterfactuals, deaths, events
from spotguard.store.prepared import Prepared
from spotguard.store.tables import (
    agent_tokens,
    agents,
    commands,
    epoch_grants,
    handover_tickets,
    instances,
    replica_instances,
    switches,
)

_a, _i, _g = agents.c, instances.c, epoch_grants.c

ROLE_COLUMNS = (
    _g.instance_id.label("holder_id"),
    _g.released_at.label("holder_released_at"),
    switches.c.status.label("move_status"),
    switches.c.new_instance_id.label("move_target"),
    replica_instances.c.is_active.label("replica_live"),
    replica_instances.c.instance_id.label("replica_machine"),
)
"""What `role_of` reads, besides `instance_id`."""

# pending, or leased to a holder whose lease has run out: what a poll would give now
_PENDING = (
    sa.select(sa.func.count())
    .select_from(commands)
    .where(
        commands.c.instance_id == agent_tokens.c.instance_id,
        sa.or_(
            commands.c.status == CommandStatus.PENDING.value,
            sa.and_(
                commands.c.status == CommandStatus.LEASED.value, commands.c.lease_until <= sa.bindparam("now")
            ),
        ),
        commands.c.expires_at > sa.bindparam("now"),
    )
    .scalar_subquery()
)

_CALLER = Prepared(
    sa.select(
        agent_tokens.c.client_id,
        agent_tokens.c.agent_id,
        agent_tokens.c.instance_id,
        agent_tokens.c.boot_id,
        agent_tokens.c.created_at.label("registered_at"),
        _a.logical_agent_id,
        _a.status,
        _a.enabled,
        _a.epoch,
        _a.config_version,
        _a.replica_count,
        _a.region,
        _a.current_pool_id,
        _a.baseline_ondemand_price,
        _i.instance_type,
        _i.az,
        _i.hears,
        _i.gate,
        _i.claimed_epoch,
        _i.claimed_boot,
        _i.spot_price,
        _i.ondemand_price,
        _i.current_mode.label("instance_mode"),
        _i.replica_id,
        _PENDING.label("commands_pending"),
        handover_tickets.c.id.label("ticket_out"),
        *ROLE_COLUMNS,
    )
    .select_from(agent_tokens)
    .join(agents, _a.id == agent_tokens.c.agent_id)
    .join(instances, _i.id == agent_tokens.c.instance_id)
    .outerjoin(epoch_grants, _g.held_agent_id == agent_tokens.c.agent_id)
    .outerjoin(handover_tickets, handover_tickets.c.out_agent_id == agent_tokens.c.agent_id)
    .outerjoin(switches, switches.c.id == _i.switch_id)
    .outerjoin(replica_instances, replica_instances.c.id == _i.replica_id)
    .where(agent_tokens.c.token_hash == sa.bindparam("hash"), agent_tokens.c.revoked_at.is_(None))
)


def caller_of_token(tx: Connection, now: datetime, token_hash: str) -> Any:
    """Tenant, agent and instance of a live agent token (a row, or None), with all that the hot routes need."""
    return _CALLER.first(tx, {"hash": token_hash, "now": now})


def role_of(row: Any) -> Role:
    """The role of the instance of a row that carries `ROLE_COLUMNS`. A holder that has let go serves no more."""
    if row.holder_id == row.instance_id:
        return Role.PRIMARY if row.holder_released_at is None else Role.PASSIVE
    if row.move_status == SwitchStatus.PREPARING and row.move_target == row.instance_id:
        return Role.SUCCESSOR
    if row.replica_live and row.replica_machine == row.instance_id:
        return Role.STANDBY
    return Role.PASSIVE


def heartbeat(  # noqa: PLR0913 -- what it says
    tx: Connection,
    now: datetime,
    caller: Row[Any],
    *,
    mode: Mode,
    pool_id: str | None,
    gate: GateState | None,
    workload_healthy: bool | None,
    can_sync: bool | None = None,
    has_traffic_script: bool | None = None,
    state_on_root: bool | None = None,
    state_volumes: Sequence[str] | None = None,
) -> Role:
    """This instance lives. Only the epoch holder moves the agent's row; nothing touches `switching` or `deleted`.

    What arrives of a run that EC2 has shown to be over was said before its end: it moves no row. Nor does a gate that
    was open before its epoch was let go, said on a line that holds requests back.
    """
    role = role_of(caller)
    if gate is GateState.OPEN and role is not Role.PRIMARY and _has_just_let_go(tx, now, caller):
        gate = None if caller.gate is None else GateState(caller.gate)
    healthy = gate is GateState.OPEN and workload_healthy is True
    lives = (_HEALTHY if healthy else _NOT_HEALTHY).change(
        tx,
        {
            "wanted": caller.instance_id,
            "registered": caller.registered_at,
            "now": now,
            "unbroken": now - OFFLINE_AFTER,
            "gate_now": gate.value if gate else None,
            "workload": workload_healthy,
            "can_sync_now": can_sync,
            "script_now": has_traffic_script,
            "on_root_now": state_on_root,
            "volumes_now": None if state_volumes is None else ",".join(sorted(set(state_volumes))),
        },
    )
    if not lives:
        return role
    if role is Role.PRIMARY:
        _SERVING.change(
            tx,
            {
                "wanted": caller.agent_id,
                "seen_epoch": caller.epoch,
                "now": now,
                "instance": caller.instance_id,
                "mode_now": mode.value,
                "pool_now": pool_id if mode is Mode.SPOT else None,
            },
        )
        if caller.status == AgentStatus.OFFLINE:
            _tell(tx, now, caller, "agent_online", f"{caller.instance_id} is heard again")
    elif gate is GateState.OPEN and caller.gate != GateState.OPEN:
        message = f"{caller.instance_id} serves without holding the epoch"
        _tell(tx, now, caller, "gate_open_without_epoch", message)
    return role


def _has_just_let_go(tx: Connection, now: datetime, caller: Row[Any]) -> bool:
    return _LET_GO.first(tx, {"instance": caller.instance_id, "lately": now - HELD_BACK}) is not None


HELD_BACK = timedelta(
    minutes=2
)  # what a gate is said to be for longer than a line may hold a request back is so
_LET_GO = Prepared(
    sa.select(_g.epoch)
    .where(
        _g.instance_id == sa.bindparam("instance"),
        _g.released_at.is_not(None),
        sa.func.coalesce(_g.ended_at, _g.released_at) > sa.bindparam("lately"),
    )
    .limit(1)
)


def _tell(tx: Connection, now: datetime, caller: Row[Any], kind: str, message: str) -> None:
    detail = {"instance_id": caller.instance_id}
    events.append(tx, now, ClientId(caller.client_id), AgentId(caller.agent_id), kind, message, detail)


_NOW = sa.bindparam("now", type_=_i.heard_since.type)
_HEARD_SINCE = sa.case(
    (_i.last_heartbeat_at >= sa.bindparam("unbroken"), sa.func.coalesce(_i.heard_since, _NOW)), else_=_NOW
)


def _run_is_over() -> sa.ColumnElement[bool]:
    """A look has shown the run that registered so, which is more than that looks show the instance no more."""
    return sa.and_(
        deaths.is_proven(),
        _i.absent_since.is_(None),
        sa.func.coalesce(_i.seen_at > sa.bindparam("registered"), sa.false()),
    )


def _presence(streak: Any) -> sa.Update:
    return (
        sa.update(instances)
        .where(_i.id == sa.bindparam("wanted"), sa.not_(_run_is_over()))
        .ordered_values(
            (_i.heard_since, _HEARD_SINCE),  # first: MariaDB reads what stands left of it as already changed
            (_i.last_heartbeat_at, sa.bindparam("now")),
            (_i.updated_at, sa.bindparam("now")),
            (_i.hears, sa.true()),
            (_i.gate, sa.bindparam("gate_now")),
            (_i.workload_healthy, sa.bindparam("workload")),
            (_i.healthy_streak, streak),
            (_i.can_sync, sa.func.coalesce(sa.bindparam("can_sync_now"), _i.can_sync)),
            (
                _i.has_traffic_script,
                sa.func.coalesce(sa.bindparam("script_now"), _i.has_traffic_script),
            ),
            (_i.state_on_root, sa.func.coalesce(sa.bindparam("on_root_now"), _i.state_on_root)),
            (_i.state_volumes, sa.func.coalesce(sa.bindparam("volumes_now"), _i.state_volumes)),
        )
    )


_HEALTHY = Prepared(_presence(_i.healthy_streak + 1))
_NOT_HEALTHY = Prepared(_presence(0))
_SERVING = Prepared(
    sa.update(agents)
    .where(
        _a.id == sa.bindparam("wanted"),
        _a.epoch == sa.bindparam("seen_epoch"),
        _a.status != AgentStatus.DELETED.value,
    )
    .values(
        last_heartbeat_at=sa.bindparam("now"),
        updated_at=sa.bindparam("now"),
        instance_id=sa.bindparam("instance"),
        current_mode=sa.bindparam("mode_now"),
        current_pool_id=sa.bindparam("pool_now"),
        status=sa.case((_a.status == AgentStatus.OFFLINE.value, AgentStatus.ONLINE.value), else_=_a.status),
    )
)


def serving_prices(tx: Connection, now: datetime, caller: Row[Any], *, spot: Any, ondemand: Any) -> None:
    """What this instance costs now, as its own report says; the first on-demand price of the type on which
    its agent began becomes the baseline.
    """
    if spot != caller.spot_price or (ondemand is not None and ondemand != caller.ondemand_price):
        tx.execute(
            sa.update(instances)
            .where(_i.id == caller.instance_id)
            .values(
                spot_price=spot,
                ondemand_price=sa.func.coalesce(ondemand, _i.ondemand_price),
                baseline_ondemand_price=sa.func.coalesce(_i.baseline_ondemand_price, ondemand),
                updated_at=now,
            )
        )
    if ondemand is not None and caller.baseline_ondemand_price is None and role_of(caller) is Role.PRIMARY:
        counterfactuals.compare_with(tx, caller.instance_type, ondemand, _a.id == caller.agent_id)


def of_client(tx: Connection, client_id: ClientId, agent_id: AgentId) -> Row[Any]:
    """The specification's first key query, with every column. `NotFound` for one of another tenant."""
    row: Row[Any] | None = _OF_CLIENT.first(tx, {"client": client_id, "agent": agent_id})
    if row is None:
        raise NotFound("no such agent")
    return row


_OF_CLIENT = Prepared(
    sa.select(agents).where(_a.client_id == sa.bindparam("client"), _a.id == sa.bindparam("agent"))
)


def standbys(tx: Connection, agent_id: AgentId) -> list[Row[Any]]:
    """Live replicas whose instance has enrolled: where the primary pushes its state."""
    replicas = replica_instances.c
    found = (
        sa.select(replicas.id.label("replica_id"), replicas.instance_id, _i.private_ip.label("address"))
        .join(instances, _i.id == replicas.instance_id)
        .where(replicas.agent_id == agent_id, replicas.is_active, _i.boot_id.is_not(None))
        .order_by(replicas.created_at, replicas.id)
    )
    return list(tx.execute(found))


_CAN_SYNC = Prepared(sa.select(_i.can_sync).where(_i.id == sa.bindparam("machine")))
_SERVES = Prepared(sa.select(_g.instance_id).where(_g.held_agent_id == sa.bindparam("agent")))


def can_sync(tx: Connection, instance_id: InstanceId | None) -> bool:
    """False only when the instance's agent said that no state sync is configured there."""
    if instance_id is None:
        return True
    return _CAN_SYNC.scalar(tx, {"machine": instance_id}) is not False


def state_on_root(tx: Connection, instance_id: InstanceId | None) -> bool:
    """True only when the instance's agent said that its state lies on the disk that it boots from."""
    return tx.scalar(sa.select(_i.state_on_root).where(_i.id == instance_id)) is True


def state_volumes(tx: Connection, instance_id: InstanceId) -> list[str] | None:
    """All volumes on which the state lies, as the instance's agent said; None: it has not, or could not."""
    told: str | None = tx.scalar(sa.select(_i.state_volumes).where(_i.id == instance_id))
    return told.split(",") if told else None


def has_traffic_script(tx: Connection, instance_id: InstanceId | None) -> bool:
    """False only when the instance's agent said that it was given none."""
    if instance_id is None:
        return True
    return tx.scalar(sa.select(_i.has_traffic_script).where(_i.id == instance_id)) is not False


def serving_instance(tx: Connection, agent_id: AgentId) -> InstanceId | None:
    """The holder of the current epoch."""
    found: InstanceId | None = _SERVES.scalar(tx, {"agent": agent_id})
    return found
