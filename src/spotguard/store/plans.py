"""What signals, toggles and clicks make happen, in the transaction that records them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, EventId, InstanceId, ReplicaId, SwitchId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus, ReplicaType
from spotguard.domain.signals import NOTICE_SECONDS, SignalAction, SignalType
from spotguard.domain.switches import MoveKind, Step, Trigger
from spotguard.planning.emergency import SignalAnswer, SignalFacts, answer, best_standby
from spotguard.planning.switching import NO_SYNC
from spotguard.store import agents as agent_rows
from spotguard.store import (
    deaths,
    events,
    fleet,
    grants,
    kill,
    live_signals,
    moves,
    quarantine,
    quotas,
    replicas,
    standbys,
)
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, instances, replica_instances, spot_interruption_events

__all__ = [
    "SignalAnswer",
    "answer_signal",
    "create_replica",
    "end_replica",
    "hand_over",
    "promote",
    "protection_changed",
]

Row = sa.Row[Any]

_HEARD = Prepared(
    sa.update(agents)
    .where(agents.c.id == sa.bindparam("agent"))
    .values(last_interruption_signal=sa.bindparam("signal"))
)
_PLACE = Prepared(
    sa.select(instances.c.current_mode, instances.c.instance_type, instances.c.az).where(
        instances.c.id == sa.bindparam("machine")
    )
)
_ANSWER = Prepared(
    sa.update(spot_interruption_events)
    .where(spot_interruption_events.c.id == sa.bindparam("event"))
    .values(
        action=sa.bindparam("given"),
        because=sa.bindparam("why"),
        replica_id=sa.bindparam("replica"),
        switch_id=sa.bindparam("move"),
        resolved_at=sa.bindparam("over"),
    )
)


def answer_signal(  # noqa: PLR0913 - what the signal says, and of whom
    tx: sa.Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    instance_id: InstanceId,
    event_id: EventId,
    signal_type: SignalType,
    signal_time: datetime,
    action_time: datetime | None,
) -> SignalAnswer:
    """Quarantine the pool, answer, make the rows that the answer needs, and write the answer to the event's row.

    Call it after the event was inserted, in the same transaction, once per event.
    """
    fleet.agent_row(tx, agent_id, client_id)  # NotFound before anything is touched
    fleet.hold(tx, now, agent_id)
    agent = fleet.agent_row(tx, agent_id)
    _strike_pool(tx, now, agent, instance_id, signal_type)
    held = grants.holder(tx, agent_id)
    serves = held is not None and held.instance_id == instance_id
    if serves:
        _HEARD.change(tx, {"agent": agent_id, "signal": signal_type.value})
        given = hand_over(tx, now, agent, signal_type, close_by_of(signal_time, action_time, now))
    else:
        given = _answer_for_another(tx, now, agent, instance_id, signal_type)
    is_over = given.action is SignalAction.NONE and not (serves and _is_stopped(tx, agent))
    _write_answer(tx, now, event_id, given, is_over=is_over)
    detail = {"instance_id": instance_id, "action": given.action.value, "replica_id": given.replica_id}
    events.append(tx, now, client_id, agent_id, f"signal_{signal_type.value}", given.because, detail)
    return given


def close_by_of(signal_time: datetime, action_time: datetime | None, now: datetime) -> datetime:
    """When AWS takes it: what the notice says, else two minutes after it; a signal of the future is not believed."""
    return action_time or min(signal_time, now) + timedelta(seconds=NOTICE_SECONDS)


def _strike_pool(
    tx: sa.Connection, now: datetime, agent: Row, instance_id: InstanceId, signal_type: SignalType
) -> None:
    machine = _PLACE.first(tx, {"machine": instance_id})
    if machine is not None and machine.current_mode == Mode.SPOT and machine.instance_type and machine.az:
        pool = Pool(machine.instance_type, machine.az)
        quarantine.strike(tx, now, agent.client_id, pool, f"{signal_type} for {instance_id}")


def _is_stopped(tx: sa.Connection, agent: Row) -> bool:
    """Its user may take that back while the signal still counts."""
    return not agent.enabled or kill.stops_everything(tx, agent.client_id, agent.id)


def _write_answer(
    tx: sa.Connection, now: datetime, event_id: EventId, given: SignalAnswer, *, is_over: bool
) -> None:
    _ANSWER.change(
        tx,
        {
            "event": event_id,
            "given": given.action.value,
            "why": given.because,
            "replica": given.replica_id,
            "move": given.switch_id,
            "over": now if is_over else None,
        },
    )


def hand_over(
    tx: sa.Connection, now: datetime, agent: Row, signal_type: SignalType, close_by: datetime
) -> SignalAnswer:
    """The answer to a signal on the serving instance, with the rows that it needs. Asked again, it makes them once."""
    if signal_type is SignalType.TERMINATION and agent.enabled:
        _drop_hopeless_move(tx, now, agent)
    under_way = moves.preparing_of(tx, agent.id)
    given = answer(
        SignalFacts(
            signal=signal_type,
            enabled=agent.enabled,
            protection=fleet.protection(agent),
            kill=kill.level_for(tx, agent.client_id, agent.id),
            standbys=fleet.standby_facts(tx, now, agent.id),
            move_under_way=under_way is not None,
            can_sync=_can_sync(tx, agent.id),
        )
    )
    match given.action:
        case SignalAction.CREATE_REPLICA:
            return _create_and_move(tx, now, agent, signal_type, close_by, given)
        case SignalAction.PROMOTE | SignalAction.HAND_OVER if given.replica_id is not None:
            return _move_to(tx, now, agent, given.replica_id, close_by, given)
        case SignalAction.HAND_OVER if under_way is not None:
            return SignalAnswer(given.action, under_way.replica_id, given.because, SwitchId(under_way.id))
        case _:
            return given


def _can_sync(tx: sa.Connection, agent_id: AgentId) -> bool:
    return agent_rows.can_sync(tx, agent_rows.serving_instance(tx, agent_id))


def _drop_hopeless_move(tx: sa.Connection, now: datetime, agent: Row) -> None:
    """A move that cannot end within two minutes makes room: no instance yet, an image to make, a doomed target, or one
    that has not the state yet, while a standby has it.
    """
    move = moves.preparing_of(tx, agent.id)
    if move is None:
        return
    steps = moves.recorded_steps(tx, move.id)
    if Step.GATE_CLOSED in steps:
        return
    imaging = move.kind == MoveKind.IMAGE and Step.IMAGED not in steps
    unlaunched = move.new_instance_id is None and move.replica_id is None
    doomed = move.new_instance_id is not None and not moves.can_serve(tx, move.new_instance_id)
    if imaging or unlaunched or doomed or (_waits_for_state(move, steps) and _has_ready(tx, now, agent)):
        moves.unwind(tx, now, move.id, "a termination notice came, and this move could not end in time")


def _waits_for_state(move: Row, steps: Collection[Step]) -> bool:
    """Its own new instance has yet to boot, or to be sent a whole pass."""
    has_it = Step.ENROLLED if move.kind == MoveKind.VOLUME else Step.SYNCED
    return move.replica_id is None and has_it not in steps


def _has_ready(tx: sa.Connection, now: datetime, agent: Row) -> bool:
    standby = best_standby(fleet.standby_facts(tx, now, agent.id))
    return standby is not None and standby.status is ReplicaStatus.READY


def _create_and_move(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    signal_type: SignalType,
    close_by: datetime,
    given: SignalAnswer,
) -> SignalAnswer:
    recommended = signal_type is SignalType.REBALANCE
    place = next(iter(fleet.places_for_emergency(tx, now, agent, in_haste=not recommended)), None)
    if place is None:
        return SignalAnswer(
            SignalAction.RELAUNCH,
            None,
            "no pool is known to launch in: the volumes are recovered after its end",
        )
    kind = ReplicaType.REBALANCE if recommended else ReplicaType.TERMINATION
    replica_id = standbys.create(tx, now, agent, kind, place, CreatedBy.SYSTEM, given.because)
    created = SignalAnswer(given.action, replica_id, given.because)
    if recommended:
        return created
    return _move_to(tx, now, agent, replica_id, close_by, created)


def _move_to(
    tx: sa.Connection,
    now: datetime,
    agent: Row,
    replica_id: ReplicaId,
    close_by: datetime,
    given: SignalAnswer,
) -> SignalAnswer:
    replica = replicas.get(tx, agent.id, replica_id)
    trigger = Trigger.REBALANCE if replica.replica_type == ReplicaType.REBALANCE else Trigger.EMERGENCY
    try:
        opened = moves.open_move(
            tx,
            now,
            client_id=agent.client_id,
            agent_id=agent.id,
            trigger=trigger,
            created_by=CreatedBy.SYSTEM,
            priority=Priority.EMERGENCY,
            target_pool=None,
            target_mode=Mode(replica.mode),
            replica_id=replica_id,
            kind=MoveKind.SYNCED,
            close_by=close_by,
            reason=given.because,
        )
    except Refused as refusal:
        return SignalAnswer(SignalAction.RELAUNCH, replica_id, f"no hand-over could be begun: {refusal}")
    return SignalAnswer(given.action, replica_id, given.because, opened.switch_id)


def _answer_for_another(
    tx: sa.Connection, now: datetime, agent: Row, instance_id: InstanceId, signal_type: SignalType
) -> SignalAnswer:
    """A signal for a standby, a successor, or an instance whose time is over."""
    if not agent.enabled:
        return SignalAnswer(SignalAction.NONE, None, "disabled by its user: recorded and told, nothing done")
    final = signal_type is SignalType.TERMINATION
    move = moves.preparing_of(tx, agent.id)
    if final and move is not None and move.new_instance_id == instance_id:
        moves.unwind(tx, now, move.id, "its new instance has a termination notice")
    replica = tx.execute(
        sa.select(replica_instances).where(
            replica_instances.c.agent_id == agent.id,
            replica_instances.c.instance_id == instance_id,
            replica_instances.c.status.in_([status.value for status in LIVE_REPLICA]),
        )
    ).one_or_none()
    if replica is None:
        return SignalAnswer(SignalAction.NONE, None, "this instance does not serve: recorded")
    if final:
        replicas.fail(tx, now, replica.id, "its instance has a termination notice")
    made = standbys.keep(tx, now, agent)
    if made:
        return SignalAnswer(
            SignalAction.CREATE_REPLICA, made[0], "the standby has a signal of its own: replaced"
        )
    return SignalAnswer(
        SignalAction.MONITOR, ReplicaId(replica.id), "the standby has a signal of its own: not ready"
    )


def _why_not_ready(tx: sa.Connection, replica: Row) -> str:
    held = grants.holder(tx, AgentId(replica.agent_id))
    if replica.status == ReplicaStatus.PROMOTED:
        serves = held is not None and held.instance_id == replica.instance_id
        return f"this replica is promoted already{': it serves' if serves else ', and stands by no more'}"
    if replica.status not in LIVE_REPLICA:
        return f"this replica is {replica.status}: it stands by no more, promote another one"
    return f"this replica is {replica.status}, not ready: wait until its state is in sync"


def promote(
    tx: sa.Connection,
    now: datetime,
    *,
    client_id: ClientId,
    agent_id: AgentId,
    replica_id: ReplicaId,
    created_by: CreatedBy,
) -> moves.OpenedMove:
    """Make this replica the primary, without losing a write. `Refused` while it is not ready or has a signal."""
    fleet.agent_row(tx, agent_id, client_id)
    replica = replicas.get(tx, agent_id, replica_id)
    if replica.status != ReplicaStatus.READY:
        raise Refused(_why_not_ready(tx, replica))
    if live_signals.signalled(tx, now, [replica.instance_id]):
        raise Refused("this replica's own instance has an interruption signal: wait for its replacement")
    return moves.open_move(
        tx,
        now,
        client_id=client_id,
        agent_id=agent_id,
        trigger=Trigger.MANUAL,
        created_by=created_by,
        priority=Priority.USER,
        target_pool=None,
        target_mode=Mode(replica.mode),
        replica_id=replica_id,
        kind=MoveKind.SYNCED,
        reason="promoted by its user",
    )


def create_replica(
    tx: sa.Connection, now: datetime, *, client_id: ClientId, agent_id: AgentId, created_by: CreatedBy
) -> ReplicaId:
    """A manual replica now, in the cheapest safe pool. `Refused` when one lives, when the state cannot be
    copied to it, or when there is nowhere to launch.
    """
    agent = fleet.agent_row(tx, agent_id, client_id)
    if not agent.enabled or not agent.manual_replica_enabled:
        raise Refused("manual replicas are switched off: enable manualReplicaEnabled first")
    standbys.require_may_make(tx, agent)
    if not _can_sync(tx, agent_id):
        raise Refused(NO_SYNC)
    if replicas.live(tx, agent_id):
        raise Refused("a replica is alive already: promote or terminate it first")
    places = fleet.places_for_standby(tx, now, agent)
    if not places:
        raise Refused("no pool is known to launch in: wait for the first price report")
    place = quotas.with_room(tx, now, client_id, places)[0]
    return standbys.create(tx, now, agent, ReplicaType.MANUAL, place, created_by, "asked for by its user")


def end_replica(
    tx: sa.Connection, now: datetime, *, client_id: ClientId, agent_id: AgentId, replica_id: ReplicaId
) -> None:
    """Its user does not want this standby any more; again is harmless. `Refused` for one that was promoted, one to
    which the workload is moving, and while nobody serves: it may hold what is left of the state.
    """
    fleet.agent_row(tx, agent_id, client_id)
    fleet.hold(tx, now, agent_id)
    replica = replicas.get(tx, agent_id, replica_id)
    if replica.status == ReplicaStatus.PROMOTED:
        raise Refused("this replica was promoted: its instance is, or was, the primary")
    if replica.status not in LIVE_REPLICA:
        return
    move, held = moves.preparing_of(tx, agent_id), grants.holder(tx, agent_id)
    if move is not None and move.replica_id == replica_id:
        raise Refused("the workload is moving to this replica: wait until that switch has ended")
    if held is None or held.released_at is not None or deaths.runs_nothing(tx, InstanceId(held.instance_id)):
        raise Refused(
            "nobody serves, and this replica may hold what is left of the state: it is kept until somebody does"
        )
    replicas.retire(tx, now, replica_id, "terminated by its user")


def protection_changed(tx: sa.Connection, now: datetime, agent_id: AgentId) -> list[ReplicaId]:
    """After a change of settings: replicas are retired or wished for at once; their machines follow."""
    return standbys.keep(tx, now, fleet.agent_row(tx, agent_id))
