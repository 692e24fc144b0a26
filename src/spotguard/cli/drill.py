"""`spotguard drill`: a failover on purpose, or a boot of the newest restore point in quarantine, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import typer

from spotguard.cli.asking import Asking, ServerUrl, TokenFile, linked
from spotguard.cli.output import Failed, Json, print_json, say, warn
from spotguard.cli.token_file import token_in
from spotguard.domain.errors import ServerAway
from spotguard.planning.drills import measured_text

_LOOK_SECONDS = 2.0
_AWAY_SECONDS = 120.0
_MINUTES_FROM = 2
_UNKNOWN = "the server does not answer, and whether the drill goes on is not known"
_OVER = frozenset({"passed", "failed"})


def drill(
    agent: Annotated[str, typer.Argument(help="The agent: its id, or its name.")],
    *,
    restore: Annotated[
        bool,
        typer.Option(
            "--restore",
            help="Boot the newest restore point instead, in quarantine where it has a quarantineGroup.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its cost; nothing is done.")
    ] = False,
    server_url: ServerUrl = None,
    token_file: TokenFile,
    json: Json = False,
) -> None:
    """Rehearse: hand the workload over as after a termination notice, or prove that its restore point boots.

    A failover is real: the workload moves, with seconds in which nobody serves. Exit code 0 when it passed, 1 when it
    failed or was refused. Interrupting this command stops the watching, not the drill.
    """
    with linked(server_url) as link:
        errand = Errand(link, token_in(token_file), time.sleep)
        agent_id = errand.agent_named(agent)
        answer = errand.ask(agent_id, "restore" if restore else "failover", dry_run=dry_run)
        if dry_run:
            print_json(answer) if json else say("\n".join(plan_lines(answer)))
            return
        ended = errand.watch(agent_id, answer["drill"]["id"], warn)
    if json:
        print_json(ended)
    elif ended["status"] == "passed":
        say(passed_line(ended))
    if ended["status"] != "passed":
        raise Failed(f"the drill has failed: {ended['because']}")


@dataclass
class Errand(Asking):
    """A drill that is asked for and watched."""

    told: set[str] = field(default_factory=set)
    now: Callable[[], float] = time.monotonic  # seconds; a look at a server that hangs takes its own
    away_since: float | None = None  # by `now`

    def ask(self, agent_id: str, kind: str, *, dry_run: bool) -> dict[str, Any]:
        wish = {"kind": kind, "dryRun": dry_run}
        return self.call("POST", f"/api/client/agents/{agent_id}/drill", wish)

    def watch(self, agent_id: str, drill_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
        """Until it is over, each new step told once. The server's own deadline ends it; one that is away is waited for
        two minutes. Whoever interrupts it is told that the drill goes on.
        """
        try:
            return self._watch(agent_id, drill_id, tell)
        except KeyboardInterrupt:
            tell(_interrupted(agent_id, away=self.away_since is not None))
            raise
        except ServerAway:
            tell(f"{_UNKNOWN}; when it answers, {_where(agent_id)}")
            raise

    def _watch(self, agent_id: str, drill_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
        while True:
            try:
                found = self._drill(agent_id, drill_id)
                self._tell_news(found, tell)
                self.away_since = None
            except ServerAway as error:
                if self.away_since is None:
                    self.away_since = self.now()
                    tell(_away(error))
                if self.now() - self.away_since >= _AWAY_SECONDS:
                    raise
            else:
                if found["status"] in _OVER:
                    return found
            self.wait(_LOOK_SECONDS)

    def _drill(self, agent_id: str, drill_id: str) -> dict[str, Any]:
        for one in self.pages(f"/api/client/agents/{agent_id}/drills?limit=20"):
            if one["id"] == drill_id:
                return one
        raise Failed("the server does not know this drill any more")

    def _tell_news(self, found: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        """Of a failover its steps; not those that its standby had taken before it was asked for."""
        news = [] if found["status"] in _OVER else [(found["status"], found["status"])]
        if found["switchId"] is not None:
            switch, since = self.call("GET", f"/api/client/switches/{found['switchId']}"), found["createdAt"]
            steps = [step for step in switch["steps"] if _moment(step["at"]) >= _moment(since)]
            news = [(step["step"], f"{step['at']} {step['step']}") for step in steps]
        for name, line in news:
            if name not in self.told:
                self.told.add(name)
                tell(line)


def _away(error: ServerAway) -> str:
    return (
        f"the server does not answer ({error}); waiting up to {_AWAY_SECONDS:.0f} s; whether the drill goes on is "
        "not known until it answers"
    )


def _interrupted(agent_id: str, *, away: bool) -> str:
    if away:
        return f"interrupted: {_UNKNOWN}; when it answers, {_where(agent_id)}"
    return f"interrupted: the drill goes on; {_where(agent_id)}"


def _where(agent_id: str) -> str:
    return (
        "the agent's page of the dashboard tells how it ends, and so does "
        f"GET /api/client/agents/{agent_id}/drills"
    )


def passed_line(ended: Mapping[str, Any]) -> str:
    """What it measured; of lost writes only a failover tells: a clone of a restore point takes over nothing."""
    if ended["kind"] != "failover":
        figures = measured_text(ended["seconds"], ended["stateAgeSeconds"])
        return f"passed, from its launch until it was healthy: {figures}; {ended['because']}"
    told = f"passed: {ended['because']}"
    return f"{told}; {'no write was lost' if ended['lostSeconds'] == 0 else 'whether a write was lost is not known'}"


def _moment(told: str) -> datetime:
    return datetime.fromisoformat(told)


def _span(minutes: float) -> str:
    """What is short in seconds."""
    return f"{minutes:.0f} min" if minutes >= _MINUTES_FROM else f"{60 * minutes:.0f} s"


def plan_lines(answer: Mapping[str, Any]) -> list[str]:
    """What a rehearsal would be, for people."""
    move, restore = answer["move"], answer["restore"]
    lines = []
    if move is not None:
        place, both = move["targetPool"] or "on demand", _span(move["overlapMinutes"])
        lines += [
            f"{move['kind']} move to {place}: {move['because']}",
            f"  nobody serves for about {_span(move['downtimeMinutes'])} ({move['downtimeFrom']})",
            f"  one instance more than now is billed for about {both}: {_usd(move['overlapUsd'])}",
            *(f"  {warning}" for warning in move["warnings"]),
        ]
    if restore is not None:
        image = f"{restore['imageId']} of {restore['imageMadeAt']}"
        group = restore["quarantineGroup"]
        where = (
            f"in {group} alone"
            if group
            else "in its original's security groups, beside who serves, with all on its disk: quarantineGroup is unset"
        )
        lines += [
            f"{image} would be booted in {restore['pool']}, {where}",
            f"  {_usd(restore['usdPerHour'])} an hour, for at most {restore['mostSeconds']} s",
        ]
    return [*lines, "Nothing was done."]


def _usd(amount: str | None) -> str:
    return "cost not known" if amount is None else f"{amount} USD"
