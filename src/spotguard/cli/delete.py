"""`spotguard delete`: an agent is no longer guarded; first what of it goes on, and what that costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Annotated, Any

import typer

from spotguard.cli.asking import Asking, ServerUrl, TokenFile, linked
from spotguard.cli.output import Failed, Json, Yes, agreed, print_json, say, warn
from spotguard.cli.token_file import token_in
from spotguard.domain.errors import BadSetting


def delete(
    agent: Annotated[str, typer.Argument(help="The agent: its id, or its name.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go on and end, and do nothing.")
    ] = False,
    yes: Yes = False,
    server_url: ServerUrl = None,
    token_file: TokenFile,
    json: Json = False,
) -> None:
    """Guard this workload no longer. It runs on, as its user's own, billed; its standbys end; its history stays.

    What goes on is told with its cost before it asks, and how each is ended. Uninstall the agent on its machine too.
    """
    if json and not (yes or dry_run):
        raise BadSetting("--json asks nothing: add --yes, or --dry-run")
    with linked(server_url) as link:
        asking = Asking(link, token_in(token_file), time.sleep)
        told = deleted(asking, agent, dry_run=dry_run, agreed=lambda: yes or agreed(), tell=warn)
    if json:
        print_json(told)
    elif dry_run:
        for line in lines_of(told):
            say(line)
    else:
        say(f"{told['logicalAgentId']} is deleted.")


def deleted(
    asking: Asking, agent: str, *, dry_run: bool, agreed: Callable[[], bool], tell: Callable[[str], None]
) -> dict[str, Any]:
    """The server's answer to the deletion, or to the look at it; `Failed` where it has changed or nobody agrees."""
    path = f"/api/client/agents/{asking.agent_named(agent)}"
    would = asking.call("GET", f"{path}/deletion")
    if dry_run:
        return would
    for line in lines_of(would):
        tell(line)
    if not agreed():
        raise Failed("nothing was changed")
    return asking.call("DELETE", f"{path}?asSeen={would['asSeen']}")


def lines_of(would: Mapping[str, Any]) -> Iterator[str]:
    """The consequences, for people."""
    if would["left"]:
        yield f"goes on, its user's own again, guarded by nobody, {_monthly(would)}:"
    else:
        yield "nothing of it goes on"
    for one in would["left"]:
        made_by = "SpotGuard" if one["madeBySpotguard"] else "its user"
        yield f"  {one['kind']} {one['resourceId']}, made by {made_by}, {_usd(one['usdPerMonth'])}: {one['plan']}"
    if would["standbys"]:
        yield f"ends: {', '.join(would['standbys'])}"
    yield "its history stays, and its name cannot be used again"


def _monthly(would: Mapping[str, Any]) -> str:
    unknown = sum(1 for one in would["left"] if one["usdPerMonth"] is None)
    return _usd(would["usdPerMonth"]) + (f" and {unknown} whose cost is not known" if unknown else "")


def _usd(told: str | None) -> str:
    return "cost not known" if told is None else f"{Decimal(told):.2f} USD a month"
