"""`spotguard drill`: a failover on purpose, or a boot of the newest restore point in quarantine, measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.output import Failed, Json, print_json, say, warn
from spotguard.config import load_settings
from spotguard.domain.errors import BadSetting, ServerAway

if TYPE_CHECKING:
    from spotguard.ports.server import Reply, ServerLink

_LOOK_SECONDS = 2.0
_AWAY_SECONDS = 120.0
_REFUSED = 400
_BUSY = 429
_OVER = frozenset({"passed", "failed"})


def drill(
    agent: Annotated[str, typer.Argument(help="The agent: its id, or its name.")],
    *,
    restore: Annotated[
        bool, typer.Option("--restore", help="Boot the newest restore point in quarantine instead.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its cost; nothing is done.")
    ] = False,
    server_url: Annotated[
        str | None,
        typer.Option(metavar="URL", envvar="SPOTGUARD_SERVER_URL", help="The API; default: this machine's."),
    ] = None,
    token_file: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            envvar="SPOTGUARD_TOKEN_FILE",
            help="File with the client's token; - reads it from stdin.",
        ),
    ],
    json: Json = False,
) -> None:
    """Rehearse: hand the workload over as after a termination notice, or prove that its restore point boots.

    A failover is real: the workload moves, with seconds in which nobody serves. Exit code 0 when it passed, 1 when it
    failed or was refused. Interrupting this command stops the watching, not the drill.
    """
    from spotguard.host.link import HttpLink

    address = _address(server_url)
    with HttpLink(address) as link, _naming(address):
        errand = Errand(link, _token(token_file), time.sleep)
        agent_id = errand.agent_named(agent)
        answer = errand.ask(agent_id, "restore" if restore else "failover", dry_run=dry_run)
        if dry_run:
            print_json(answer) if json else _say_plan(answer)
            return
        ended = errand.watch(agent_id, answer["drill"]["id"], warn)
    if json:
        print_json(ended)
    elif ended["status"] == "passed":
        say(f"passed: {ended['because']}")
    if ended["status"] != "passed":
        raise Failed(f"the drill has failed: {ended['because']}")


@dataclass
class Errand:
    """What is asked of the server with a client's token. `wait` is told seconds."""

    link: ServerLink
    token: str
    wait: Callable[[float], None]
    told: set[str] = field(default_factory=set)

    def agent_named(self, wanted: str) -> str:
        """`Failed` when this client has none of that name or id."""
        for one in self._pages("/api/client/agents?limit=500"):
            if wanted in (one["id"], one["logicalAgentId"]):
                return str(one["id"])
        raise Failed(f"there is no agent {wanted!r} of this client")

    def ask(self, agent_id: str, kind: str, *, dry_run: bool) -> dict[str, Any]:
        wish = {"kind": kind, "dryRun": dry_run}
        return self._call("POST", f"/api/client/agents/{agent_id}/drill", wish)

    def watch(self, agent_id: str, drill_id: str, tell: Callable[[str], None]) -> dict[str, Any]:
        """Until it is over, each new step told once. The server's own deadline ends it; one that is away is waited for
        two minutes.
        """
        away = 0.0
        while True:
            try:
                found = self._drill(agent_id, drill_id)
                self._tell_news(found, tell)
                away = 0.0
            except ServerAway:
                away += _LOOK_SECONDS
                if away > _AWAY_SECONDS:
                    raise
            else:
                if found["status"] in _OVER:
                    return found
            self.wait(_LOOK_SECONDS)

    def _drill(self, agent_id: str, drill_id: str) -> dict[str, Any]:
        for one in self._pages(f"/api/client/agents/{agent_id}/drills?limit=20"):
            if one["id"] == drill_id:
                return one
        raise Failed("the server does not know this drill any more")

    def _tell_news(self, found: Mapping[str, Any], tell: Callable[[str], None]) -> None:
        news = [(found["status"], found["status"])]
        if found["switchId"] is not None:
            switch = self._call("GET", f"/api/client/switches/{found['switchId']}")
            news = [(step["step"], f"{step['at']} {step['step']}") for step in switch["steps"]]
        for name, line in news:
            if name not in self.told:
                self.told.add(name)
                tell(line)

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = self._call("GET", path if cursor is None else f"{path}&cursor={cursor}")
            yield from page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        while (reply := self._reply(method, path, body)).status == _BUSY:
            self.wait(_LOOK_SECONDS)
        if reply.status >= _REFUSED:
            raise Failed(str(reply.body.get("detail") or f"the server answered {reply.status}"))
        return dict(reply.body)

    def _reply(self, method: str, path: str, body: Mapping[str, Any] | None) -> Reply:
        return self.link.call(method, path, token=self.token, body=body)


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Says whose answer was missed: the address may be one that nobody typed."""
    try:
        yield
    except ServerAway as error:
        hint = "see that it runs (spotguard server), or name another with --server-url"
        raise Failed(f"no answer of SpotGuard at {address} ({error}): {hint}") from error


def _address(server_url: str | None) -> str:
    settings = load_settings()
    address = server_url or settings.public_url or f"http://{settings.host}:{settings.port}"
    if not address.startswith(("http://", "https://")):
        raise BadSetting(f"--server-url is an address such as https://spotguard.example.com: {address!r}")
    return address


def _token(file: str) -> str:
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    token = text.strip()
    if not token or not token.isascii() or any(letter.isspace() for letter in token):
        raise BadSetting(f"--token-file: {file} does not hold one token")
    return token


def _say_plan(answer: Mapping[str, Any]) -> None:
    move, restore = answer["move"], answer["restore"]
    if move is not None:
        place = move["targetPool"] or "on demand"
        say(f"{move['kind']} move to {place}: {move['because']}")
        say(f"  nobody serves for about {move['downtimeMinutes']} min ({move['downtimeFrom']})")
        say(f"  both are billed for about {move['overlapMinutes']} min: {_usd(move['overlapUsd'])}")
        for warning in move["warnings"]:
            say(f"  {warning}")
    if restore is not None:
        say(
            f"{restore['imageId']} of {restore['imageMadeAt']} would be booted in {restore['pool']}, in quarantine"
        )
        say(f"  {_usd(restore['usdPerHour'])} an hour, for at most {restore['mostSeconds']} s")
    say("Nothing was done.")


def _usd(amount: str | None) -> str:
    return "cost not known" if amount is None else f"{amount} USD"
