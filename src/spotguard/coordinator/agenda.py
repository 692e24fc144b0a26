"""What there is to do, fleet-wide, in one query: an idle pass costs almost nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import OFFLINE_AFTER, AgentStatus
from spotguard.domain.commands import OPEN_COMMAND
from spotguard.domain.drills import OPEN_DRILL
from spotguard.domain.epochs import GrantStatus
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.probes import OPEN_PROBE
from spotguard.domain.replicas import LIVE_REPLICA, ReplicaStatus, ReplicaType
from spotguard.domain.salvages import OPEN_SALVAGE
from spotguard.domain.signals import SignalType
from spotguard.domain.switches import SwitchStatus, Trigger
from spotguard.planning.presence import REPLACED_AFTER, UNMEASURED_AFTER
from spotguard.store import adrift, live_signals, sightings, silence
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_OPEN
from spotguard.store.tables import (
    agents,
    commands,
    drills,
    epoch_grants,
    instances,
    probes,
    replica_instances,
    salvages,
    spot_interruption_events,
    switches,
)

Row = sa.Row[Any]


class Work(StrEnum):
    """Kinds of work; the ids are those of the named rows."""

    SWITCH = "switch"  # open, of a rescue
    MOVE = "move"  # the same of what is voluntary
    REPLICA = "replica"  # live, of an emergency
    STANDING = "standing"  # the same of one that its agent's mode asks for
    NOTICE = "notice"  # a termination notice, unresolved; the agent's id
    RECOMMENDATION = "recommendation"  # the same of a rebalance recommendation
    EXPIRED = "expired"  # an open command past its time
    NEED = (
        "need"  # an agent without the replica that its mode asks for, or with one that is unwanted or silent
    )
    DRILL = "drill"  # open
    PROBE = "probe"  # open
    SALVAGE = "salvage"  # open
    ENDED = "ended"  # an agent whose holder has ended or has let go
    ADRIFT = "adrift"  # an agent whose holder lives and whose volume is attached to nobody
    IDLE = "idle"  # a running machine whose role is over
    FLEET = "fleet"  # the client's id, once per agent
    SILENT = "silent"  # an agent whose serving instance has not been heard of for long, or again since it was offline


@dataclass(frozen=True)
class Agenda:
    """Ids by kind of work; the machines that are not known to have ended; the clients with how many agents each has."""

    work: dict[Work, list[str]] = field(default_factory=dict)
    machines: list[Row] = field(default_factory=list)
    fleet: dict[ClientId, int] = field(default_factory=dict)

    def of(self, *kinds: Work) -> list[str]:
        return [row_id for kind in kinds for row_id in self.work.get(kind, ())]


def look(tx: sa.Connection, now: datetime) -> Agenda:
    work: dict[Work, list[str]] = {}
    bounds = {
        "now": now,
        "silent": now - OFFLINE_AFTER,
        "given_up": now - REPLACED_AFTER,
        "unmeasured": now - UNMEASURED_AFTER,
        **live_signals.bounds(now),
    }
    for kind, row_id in _AGENDA.rows(tx, bounds):
        work.setdefault(Work(kind), []).append(row_id)
    fleet = Counter(ClientId(client_id) for client_id in work.pop(Work.FLEET, ()))
    return Agenda(work, sightings.active(tx), dict(fleet))


def client_of_agent(tx: sa.Connection, agent_id: str) -> str | None:
    return tx.scalar(sa.select(agents.c.client_id).where(agents.c.id == agent_id))


def client_of_switch(tx: sa.Connection, switch_id: str) -> str | None:
    return tx.scalar(sa.select(switches.c.client_id).where(switches.c.id == switch_id))


def client_of_replica(tx: sa.Connection, replica_id: str) -> str | None:
    of_replica = agents.join(replica_instances, replica_instances.c.agent_id == agents.c.id)
    found = sa.select(agents.c.client_id).select_from(of_replica)
    return tx.scalar(found.where(replica_instances.c.id == replica_id))


def clients_at_work(tx: sa.Connection, agenda: Agenda) -> set[ClientId]:
    """Whose workloads move, or have nobody who serves."""
    moving = sa.select(switches.c.client_id).where(switches.c.id.in_(agenda.of(Work.SWITCH, Work.MOVE)))
    ended = sa.select(agents.c.client_id).where(agents.c.id.in_(agenda.of(Work.ENDED, Work.ADRIFT)))
    return {ClientId(client_id) for client_id in tx.execute(sa.union(moving, ended)).scalars()}


def _values(states: Iterable[StrEnum]) -> list[sa.ColumnElement[str]]:
    """Written into the statement: a list of bound values would be expanded anew in every pass."""
    return [sa.literal_column(f"'{state.value}'") for state in sorted(states)]


def _of(kind: Work, column: sa.ColumnElement[str]) -> Any:
    return sa.select(sa.literal_column(f"'{kind.value}'").label("kind"), column.label("row_id"))


_alive = sa.and_(agents.c.status != AgentStatus.DELETED.value, agents.c.enabled)
_ended_states = _values([InstanceState.TERMINATED, InstanceState.STOPPED])

_signalled = sa.exists().where(
    spot_interruption_events.c.instance_id == replica_instances.c.instance_id, live_signals.counts()
)
_beside_primary = sa.and_(
    replica_instances.c.mode == sa.literal_column(f"'{Mode.SPOT.value}'"),
    replica_instances.c.pool_id == agents.c.current_pool_id,
)
_unfit = (
    agents.c.status == AgentStatus.DELETED.value,
    sa.and_(
        replica_instances.c.replica_type == ReplicaType.MANUAL.value, sa.not_(agents.c.manual_replica_enabled)
    ),
    sa.and_(
        agents.c.manual_replica_enabled,
        sa.or_(_beside_primary, _signalled, silence.unheard_since(sa.bindparam("given_up"))),
    ),
    sa.and_(
        replica_instances.c.status == ReplicaStatus.READY.value,
        silence.is_lost(),
    ),
)

_is_rescue = sa.or_(
    switches.c.is_recovery, switches.c.event_trigger.in_(_values([Trigger.EMERGENCY, Trigger.REBALANCE]))
)
_is_manual = replica_instances.c.replica_type == sa.literal_column(f"'{ReplicaType.MANUAL.value}'")

_AGENDA = Prepared(
    sa.union_all(
        _of(Work.FLEET, agents.c.client_id),
        _of(Work.SILENT, epoch_grants.c.agent_id)
        .join(agents, agents.c.id == epoch_grants.c.agent_id)
        .outerjoin(instances, instances.c.id == epoch_grants.c.instance_id)
        .where(
            epoch_grants.c.status == GrantStatus.HELD.value,
            sa.or_(
                agents.c.status == AgentStatus.OFFLINE.value,
                instances.c.last_heartbeat_at < sa.bindparam("silent"),
                instances.c.last_heartbeat_at.is_(None),
                sa.not_(instances.c.is_active),
            ),
        ),
        # rescues before what is voluntary: both ask EC2 for the few launches a second that it allows
        *(
            _of(work, switches.c.id).where(IS_OPEN, which)
            for work, which in ((Work.SWITCH, _is_rescue), (Work.MOVE, sa.not_(_is_rescue)))
        ),
        _of(Work.DRILL, drills.c.id).where(drills.c.status.in_(_values(OPEN_DRILL))),
        _of(Work.PROBE, probes.c.id).where(probes.c.status.in_(_values(OPEN_PROBE))),
        _of(Work.SALVAGE, salvages.c.id).where(salvages.c.status.in_(_values(OPEN_SALVAGE))),
        *(
            _of(work, replica_instances.c.id).where(
                replica_instances.c.status.in_(_values(LIVE_REPLICA)), which
            )
            for work, which in ((Work.REPLICA, sa.not_(_is_manual)), (Work.STANDING, _is_manual))
        ),
        *(
            _of(work, spot_interruption_events.c.agent_id)
            .where(
                spot_interruption_events.c.resolved_at.is_(None),
                spot_interruption_events.c.signal_type == sa.literal_column(f"'{signal.value}'"),
            )
            .distinct()
            for work, signal in (
                (Work.NOTICE, SignalType.TERMINATION),
                (Work.RECOMMENDATION, SignalType.REBALANCE),
            )
        ),
        _of(Work.EXPIRED, commands.c.id).where(
            commands.c.status.in_(_values(OPEN_COMMAND)), commands.c.expires_at <= sa.bindparam("now")
        ),
        _of(Work.NEED, agents.c.id).where(
            agents.c.manual_replica_enabled, _alive, agents.c.replica_count == 0
        ),
        _of(Work.NEED, replica_instances.c.agent_id)
        .join(agents, agents.c.id == replica_instances.c.agent_id)
        .where(replica_instances.c.status.in_(_values(LIVE_REPLICA)), sa.or_(*_unfit)),
        _of(Work.ENDED, epoch_grants.c.agent_id)
        .outerjoin(instances, instances.c.id == epoch_grants.c.instance_id)
        .where(
            epoch_grants.c.status == GrantStatus.HELD.value,
            sa.or_(epoch_grants.c.released_at.is_not(None), instances.c.ec2_state.in_(_ended_states)),
        ),
        _of(Work.ADRIFT, epoch_grants.c.agent_id).select_from(adrift.TABLES).where(adrift.IS_ADRIFT),
        _of(Work.IDLE, instances.c.id)
        .outerjoin(replica_instances, replica_instances.c.id == instances.c.replica_id)
        .outerjoin(switches, switches.c.id == instances.c.switch_id)
        .where(
            instances.c.is_active,
            sa.or_(
                replica_instances.c.status.in_(_values([ReplicaStatus.TERMINATED, ReplicaStatus.FAILED])),
                switches.c.status.in_(_values([SwitchStatus.UNWOUND, SwitchStatus.FAILED])),
                sa.and_(  # a second one of a launch that was tried twice
                    switches.c.status == SwitchStatus.COMPLETED.value,
                    switches.c.new_instance_id != instances.c.id,
                ),
            ),
        ),
    )
)
