"""Who has proven that he serves an agent, or had when its user deleted it: until then what its former holders left, and
every copy of it, may be needed once more.
"""

from __future__ import annotations

import sqlalchemy as sa

from spotguard.domain.agents import PROVEN_CHECKS
from spotguard.domain.epochs import GrantStatus
from spotguard.domain.instances import GateState
from spotguard.store.deaths import IS_ENDING
from spotguard.store.tables import agents, epoch_grants, instances

_i = instances.c
_PROVEN_ALIVE_OR_NOT = (
    epoch_grants.c.status == GrantStatus.HELD.value,
    epoch_grants.c.released_at.is_(None),
    _i.id == epoch_grants.c.instance_id,
    _i.gate == GateState.OPEN.value,
    _i.healthy_streak >= PROVEN_CHECKS,
)
_PROVEN = (*_PROVEN_ALIVE_OR_NOT, _i.is_active, sa.not_(IS_ENDING))


def is_served(tx: sa.Connection, agent_id: str) -> bool:
    """The agent's holder has proven that it serves, or the agent is protected no more."""
    gone = sa.select(agents.c.id).where(agents.c.id == agent_id, agents.c.deleted_at.is_not(None))
    serves = sa.select(_i.id).where(*_PROVEN, epoch_grants.c.agent_id == agent_id)
    return tx.execute(sa.union_all(gone, serves).limit(1)).first() is not None


def is_unserved(agent_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """The agent is protected, and its present holder has not proven that it serves."""
    serves = sa.exists().where(*_PROVEN, epoch_grants.c.agent_id == agent_id)
    is_protected = sa.exists().where(agents.c.id == agent_id, agents.c.deleted_at.is_(None))
    return sa.and_(is_protected, sa.not_(serves))


def was_given_up(agent_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Its user deleted the agent while nobody was proven to serve. What its machine's end was later tells nothing."""
    served = sa.exists().where(
        *_PROVEN_ALIVE_OR_NOT,
        epoch_grants.c.agent_id == agent_id,
        agents.c.id == agent_id,
        sa.or_(_i.is_active, _i.terminated_at > agents.c.deleted_at),
    )
    return sa.and_(is_deleted(agent_id), sa.not_(served))


def is_deleted(agent_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """For a WHERE: its user has deleted the agent."""
    return sa.exists().where(agents.c.id == agent_id, agents.c.deleted_at.is_not(None))
