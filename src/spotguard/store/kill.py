"""The kill switch: for the installation, a client, an agent; the strongest of the three holds (invariant 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from spotguard.domain.agents import KillLevel
from spotguard.domain.errors import InvalidInput, NotFound
from spotguard.domain.ids import AgentId, ClientId
from spotguard.store import commands
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, kill_switches
from spotguard.store.tables import commands as commands_table
from spotguard.store.upserts import insert_or_update

EVERYONE = "*"  # client and scope of the installation's switch
CLIENT = "client"  # scope of a client's switch; an agent's has the agent's id

_k = kill_switches.c
_REACHES = (
    _k.client_id.in_([EVERYONE, sa.bindparam("client")]),
    _k.scope.in_([EVERYONE, CLIENT, sa.bindparam("agent")]),
)
_LEVELS = Prepared(sa.select(_k.level).where(*_REACHES))
_AT_ALL = Prepared(sa.select(_k.client_id, _k.scope).where(_k.level == KillLevel.ALL.name.lower()))
_TURNED = Prepared(sa.select(sa.func.max(_k.updated_at)).where(*_REACHES))


def level_for(tx: Connection, client_id: ClientId, agent_id: AgentId | None = None) -> KillLevel:
    """The strongest of the installation's, the client's and the agent's."""
    rows = _LEVELS.rows(tx, {"client": client_id, "agent": agent_id or CLIENT})
    return max((KillLevel[row.level.upper()] for row in rows), default=KillLevel.NONE)


def stops_everything(tx: Connection, client_id: ClientId, agent_id: AgentId | None) -> bool:
    """Whether a switch at `all` reaches the agent: no action is begun for it, no emergency's either."""
    return level_for(tx, client_id, agent_id) is KillLevel.ALL


def stands_at(tx: Connection, level: KillLevel, client_id: ClientId, agent_id: AgentId) -> str:
    """Why it is refused, for people: `level` is that for this agent."""
    return f"the kill switch stands at {level.name.lower()}: {until(tx, client_id, agent_id)}"


def until(tx: Connection, client_id: ClientId, agent_id: AgentId) -> str:
    """For whom each switch that reaches the agent is on, and what takes it back: each is taken back by itself."""
    whose = {
        EVERYONE: "for everybody until its operator's spotguard kill-switch none",
        CLIENT: f"for this client until spotguard kill-switch none --client {client_id}",
        agent_id: f"for this agent until spotguard kill-switch none --agent {agent_id}",
    }
    levels = levels_of(tx, client_id)
    return ", ".join(told for scope, told in whose.items() if levels.get(scope, KillLevel.NONE))


def stopped(tx: Connection) -> set[tuple[str, str]]:
    """Client and scope of every switch that stands at `all`."""
    return {(row.client_id, row.scope) for row in _AT_ALL.rows(tx, {})}


def stops(stopped_: set[tuple[str, str]], client_id: ClientId | str, agent_id: AgentId | str) -> bool:
    """Whether one of these reaches the agent."""
    return not stopped_.isdisjoint({(EVERYONE, EVERYONE), (client_id, CLIENT), (client_id, agent_id)})


def turned_at(tx: Connection, client_id: ClientId, agent_id: AgentId) -> datetime | None:
    """When one of the three was last turned, on or off; None: never yet."""
    turned: datetime | None = _TURNED.scalar(tx, {"client": client_id, "agent": agent_id})
    return turned


def levels_of(tx: Connection, client_id: ClientId) -> dict[str, KillLevel]:
    """By scope; `level_among` says what holds for an agent."""
    return {row.scope: KillLevel[row.level.upper()] for row in list_switches(tx, client_id)}


def level_among(levels: Mapping[str, KillLevel], agent_id: str) -> KillLevel:
    return max(levels.get(scope, KillLevel.NONE) for scope in (EVERYONE, CLIENT, agent_id))


def set_level(
    tx: Connection, now: datetime, client_id: ClientId | str, scope: str, level: KillLevel, reason: str
) -> None:
    """Turns one switch. `client_id` and `scope` are both '*' for the whole installation."""
    if (client_id == EVERYONE) is not (scope == EVERYONE):
        raise InvalidInput("the scope '*' is the installation's, and only its")
    if not reason.strip():
        raise InvalidInput("a kill switch needs a reason: it is what the next person reads")
    if scope not in {EVERYONE, CLIENT} and not _owns(tx, client_id, scope):
        raise NotFound(f"no agent {scope}")
    row = {
        "client_id": client_id,
        "scope": scope,
        "level": level.name.lower(),
        "reason": reason.strip(),
        "updated_at": now,
    }
    insert_or_update(tx, kill_switches, [row], ("level", "reason", "updated_at"))
    if level is not KillLevel.NONE:
        commands.cancel_ends(
            tx, now, f"the kill switch stands at {level.name.lower()}", *_of(client_id, scope)
        )


def _of(client_id: str, scope: str) -> list[sa.ColumnElement[bool]]:
    """The commands that a switch reaches."""
    c = commands_table.c
    if scope == EVERYONE:
        return []
    mine = c.client_id == client_id
    return [mine] if scope == CLIENT else [mine, c.agent_id == scope]


def list_switches(tx: Connection, client_id: ClientId | None = None) -> Sequence[Row[Any]]:
    """Every switch that was ever turned; of one client: its own and the installation's."""
    found = sa.select(kill_switches).order_by(_k.client_id, _k.scope)
    if client_id is not None:
        found = found.where(_k.client_id.in_([EVERYONE, client_id]))
    return tx.execute(found).all()


def _owns(tx: Connection, client_id: str, agent_id: str) -> bool:
    found = sa.select(agents.c.id).where(agents.c.client_id == client_id, agents.c.id == agent_id)
    return tx.execute(found).one_or_none() is not None
