"""`spotguard kill-switch`: stops voluntary actions, or all of them; for everybody, a client, an agent."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from spotguard.cli.databases import DatabaseUrl, opened
from spotguard.cli.operators import user
from spotguard.cli.output import Json, print_json, say, warn
from spotguard.domain.agents import KillLevel

if TYPE_CHECKING:
    from sqlalchemy import Connection


STOPPED = (
    "Moves that users ordered are stopped too: new ones are refused, and those under way are undone unless their "
    "workload's gate has closed."
)


class Level(StrEnum):
    """As people write it; `domain.agents.KillLevel` inside."""

    NONE = "none"
    VOLUNTARY = "voluntary"
    ALL = "all"


def kill_switch(
    level: Annotated[Level, typer.Argument(help="What stops: nothing, voluntary actions, all actions.")],
    *,
    reason: Annotated[
        str | None,
        typer.Option(help="Why: it is what the next person reads. Without it: who, and from where."),
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Only this agent (its id, or its name with --client).")
    ] = None,
    client: Annotated[str | None, typer.Option(help="Only this tenant (name or id).")] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Stop voluntary actions, or all, within seconds and everywhere. Without --agent and --client: for everybody.

    Voluntary is every move that no signal and no death asks for, one that a user ordered included. A move under way
    that is stopped is undone, unless it has closed its workload's gate already: then it goes on to its end.
    """
    now = datetime.now(UTC)
    reason = f"from the command line by {user()}" if reason is None else reason
    with opened(database_url) as database:
        client_id, scope = database.write(
            lambda tx: _turn(tx, now, level, reason, agent=agent, client=client)
        )
    if level is not Level.NONE:
        warn(STOPPED)
    if level is Level.ALL:
        warn("Emergencies are stopped too: an interrupted workload will not be rescued.")
    if json:
        print_json({"level": level.value, "client_id": client_id, "scope": scope, "reason": reason})
        return
    whom = {"*": "everybody", "client": f"client {client_id}"}.get(scope, f"agent {scope}")
    say(f"The kill switch of {whom} is at {level.value}.")


def _turn(
    tx: Connection, now: datetime, level: Level, reason: str, *, agent: str | None, client: str | None
) -> tuple[str, str]:
    from spotguard.store import events, kill, tenants

    inside = KillLevel[level.name]
    client_id = None if client is None else tenants.client_named(tx, client)
    agent_id = None
    if agent is not None:
        client_id, agent_id = tenants.agent_named(tx, agent, client_id)
    if client_id is None:
        kill.set_level(tx, now, kill.EVERYONE, kill.EVERYONE, inside, reason)
        return kill.EVERYONE, kill.EVERYONE
    scope = agent_id or kill.CLIENT
    kill.set_level(tx, now, client_id, scope, inside, reason)
    detail = {"level": level.value, "by": "operator"}
    events.append(
        tx, now, client_id, agent_id, "kill_switch", f"kill switch at {level.value}: {reason}", detail
    )
    return client_id, scope
