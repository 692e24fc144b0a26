"""`spotguard kill-switch`: stops voluntary actions, or all of them; for everybody, a client, an agent."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.databases import DatabaseUrl, opened, time_in, warn_of_disuse
from spotguard.cli.operators import user
from spotguard.cli.output import Json, print_json, say, warn
from spotguard.domain.agents import KillLevel
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import BadSetting
from spotguard.domain.ids import AgentId, ClientId

if TYPE_CHECKING:
    from datetime import datetime

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
    level: Annotated[
        Level | None,
        typer.Argument(
            help="What stops: nothing, voluntary actions, all actions. Without it: how it stands."
        ),
    ] = None,
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

    Without an argument nothing is turned: it tells the level that holds, and every switch that is on.

    It works on the database itself, and names it: a server that uses another one hears nothing of it.
    """
    if level is None:
        if reason is not None:
            raise BadSetting("--reason belongs to a switch that is turned: none, voluntary or all")
        with opened(database_url) as database:
            told = database.read(lambda tx: _standing(tx, agent=agent, client=client))
            _show({"database": database.told_url, **told}, json=json)
            warn_of_disuse(database, time_in(database))
        return
    reason = f"from the command line by {user()}" if reason is None else reason

    def turned(tx: Connection, now: datetime) -> tuple[tuple[str, str], dict[str, Any]]:
        whose = _turn(tx, now, level, reason, agent=agent, client=client)
        return whose, _standing(tx, agent=agent, client=client)

    with opened(database_url) as database:
        now, where = time_in(database), database.told_url
        (client_id, scope), standing = database.write(partial(turned, now=now))
        warn_of_disuse(database, now)
    if level is not Level.NONE:
        warn(STOPPED)
    if level is Level.ALL:
        warn("Emergencies are stopped too: an interrupted workload will not be rescued.")
    if json:
        about = {"level": level.value, "client_id": client_id, "scope": scope, "reason": reason}
        print_json({"database": where, **about})
        return
    say(f"The kill switch of {_whom(client_id, scope)} is at {level.value}.")
    _tell_others(standing, client_id, scope)
    say(f"Database: {where}")


def _tell_others(standing: dict[str, Any], client_id: str, scope: str) -> None:
    """Who takes one switch back may believe that nothing is stopped any more."""
    others = [one for one in standing["switches"] if (one["client_id"], one["scope"]) != (client_id, scope)]
    if others:
        say("Still on, each until it is taken back by itself:")
        _list(others)


def _whom(client_id: str, scope: str) -> str:
    return {"*": "everybody", "client": f"client {client_id}"}.get(scope, f"agent {scope}")


def _meant(tx: Connection, *, agent: str | None, client: str | None) -> tuple[str, str]:
    """(client, scope) of the switch that the options name."""
    from spotguard.store import kill, tenants

    client_id = None if client is None else tenants.client_named(tx, client)
    if agent is not None:
        return tenants.agent_named(tx, agent, client_id)
    return (kill.EVERYONE, kill.EVERYONE) if client_id is None else (client_id, kill.CLIENT)


def _standing(tx: Connection, *, agent: str | None, client: str | None) -> dict[str, Any]:
    """The level that holds for whom the options name, and the switches that are on: of everybody all there are."""
    from spotguard.store import kill

    client_id, scope = _meant(tx, agent=agent, client=client)
    everybody = client_id == kill.EVERYONE
    reaching = {kill.EVERYONE} if everybody else {kill.EVERYONE, kill.CLIENT, scope}
    rows = kill.list_switches(tx, None if everybody else ClientId(client_id))
    on = [row for row in rows if row.level != Level.NONE]
    among = (KillLevel[row.level.upper()] for row in on if row.scope in reaching)
    return {
        "level": max((one for one in among), default=KillLevel.NONE).name.lower(),
        "client_id": client_id,
        "scope": scope,
        "switches": [
            {
                "client_id": row.client_id,
                "scope": row.scope,
                "level": row.level,
                "reason": row.reason,
                "since": row.updated_at,
            }
            for row in on
            if agent is None or row.scope in reaching
        ],
    }


def _show(told: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(told)
        return
    say(f"The kill switch of {_whom(told['client_id'], told['scope'])} is at {told['level']}.")
    _list(told["switches"])
    say(f"Database: {told['database']}")


def _list(switches: list[dict[str, Any]]) -> None:
    for one in switches:
        whom = _whom(one["client_id"], one["scope"])
        say(f"  {whom}: {one['level']} since {rfc3339(one['since'])}, because: {one['reason']}")


def _turn(
    tx: Connection, now: datetime, level: Level, reason: str, *, agent: str | None, client: str | None
) -> tuple[str, str]:
    from spotguard.store import events, kill

    client_id, scope = _meant(tx, agent=agent, client=client)
    kill.set_level(tx, now, client_id, scope, KillLevel[level.name], reason)
    if client_id != kill.EVERYONE:
        agent_id = None if scope == kill.CLIENT else AgentId(scope)
        message = f"kill switch at {level.value}: {reason}"
        detail = {"level": level.value, "by": "operator"}
        events.append(tx, now, ClientId(client_id), agent_id, "kill_switch", message, detail)
    return client_id, scope
