"""What commands ask of a server with a client's token: where it is, who asks, and what a refusal says."""

from __future__ import annotations

import http
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.output import Failed
from spotguard.config import load_settings
from spotguard.domain.errors import BadSetting, ServerAway

if TYPE_CHECKING:
    from spotguard.ports.server import Reply, ServerLink

_BUSY_SECONDS = 2.0
_NAMED = 10
_REFUSED = 400
_UNKNOWN_TOKEN = 401
_NOT_FOUND = http.HTTPStatus.NOT_FOUND
_BUSY = 429

ServerUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="SPOTGUARD_SERVER_URL", help="The API; default: this machine's."),
]
TokenFile = Annotated[
    str,
    typer.Option(
        metavar="FILE",
        envvar="SPOTGUARD_TOKEN_FILE",
        help="File with the client's token; - reads it from stdin.",
    ),
]


@dataclass
class Asking:
    """What is asked of the server with a client's token. `wait` is told seconds.

    `ServerAway` also where the address leads elsewhere: SpotGuard's own 404 names what is not there.
    """

    link: ServerLink
    token: str
    wait: Callable[[float], None]

    def agent_named(self, wanted: str) -> str:
        """`Failed` when this client has none of that name or id, with some that it has."""
        names = []
        for one in self.pages("/api/client/agents?limit=500"):
            if wanted in (one["id"], one["logicalAgentId"]):
                return str(one["id"])
            names.append(str(one["logicalAgentId"]))
        more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
        has = ", ".join([*names[:_NAMED], *more]) or "none yet (docs/enrolment.md)"
        raise Failed(f"there is no agent {wanted!r} of this client: it has {has}")

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        cursor = None
        while True:
            page = self.call("GET", path if cursor is None else f"{path}&cursor={cursor}")
            yield from page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                return

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`Failed` with what the server refuses, each member of a body that is wrong by its name."""
        while (reply := self._reply(method, path, body)).status == _BUSY:
            self.wait(_BUSY_SECONDS)
        if reply.status == _UNKNOWN_TOKEN:
            raise Failed(
                f"{_refusal(reply)}: is it this server's token? One that is lost is followed by a new one with "
                "spotguard client rotate-token NAME, beside the server, which ends it"
            )
        if reply.status == _NOT_FOUND and reply.body.get("detail") == _NOT_FOUND.phrase:
            raise ServerAway(
                f"{path.partition('?')[0]} is not there: does the address end with a wrong path?"
            )
        if reply.status >= _REFUSED:
            raise Failed(_refusal(reply))
        return dict(reply.body)

    def _reply(self, method: str, path: str, body: Mapping[str, Any] | None) -> Reply:
        return self.link.call(method, path, token=self.token, body=body)


def _refusal(reply: Reply) -> str:
    wrong = [f"{one['pointer'].lstrip('/')}: {one['detail']}" for one in reply.body.get("errors", ())]
    return "; ".join(wrong) or str(reply.body.get("detail") or f"the server answered {reply.status}")


@contextmanager
def linked(server_url: str | None) -> Iterator[ServerLink]:
    """`Failed` says whose answer was missed: the address may be one that nobody typed."""
    from spotguard.host.link import HttpLink

    address = _address(server_url)
    try:
        with HttpLink(address) as link:
            yield link
    except ServerAway as error:
        hint = "see that it runs (spotguard server), or name another with --server-url"
        raise Failed(f"no answer of SpotGuard at {address} ({error}): {hint}") from error


def _address(server_url: str | None) -> str:
    settings = load_settings()
    address = server_url or settings.public_url or f"http://{settings.host}:{settings.port}"
    if not address.startswith(("http://", "https://")):
        raise BadSetting(f"--server-url is an address such as https://spotguard.example.com: {address!r}")
    return address
