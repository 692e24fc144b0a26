"""`spotguard configure`: an agent's configuration, shown or changed, by the API's own names and bounds."""

from __future__ import annotations

import json as jsons
import time
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any

import typer

from spotguard.cli.asking import Asking, ServerUrl, TokenFile, linked
from spotguard.cli.output import Failed, Json, print_json, say
from spotguard.cli.token_file import token_in
from spotguard.domain.errors import BadSetting

_COST = "standbyCost"  # shown with the configuration, since it is read before a standby is asked for


def configure(
    agent: Annotated[str, typer.Argument(help="The agent: its id, or its name.")],
    changes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]...", help="Such as restorePointHours=24; null takes one away."),
    ] = None,
    *,
    server_url: ServerUrl = None,
    token_file: TokenFile,
    json: Json = False,
) -> None:
    """Show what is set for an agent, and what a standby costs it; or set it: all that is named, or nothing when one is
    refused.

    Names and bounds are the API's: those that are shown. VALUE is JSON, or text: true, 24, null, '["m5.large"]',
    observe.
    """
    wanted = parsed(changes or ())
    with linked(server_url) as link:
        told = configured(Asking(link, token_in(token_file), time.sleep), agent, wanted)
    if json:
        print_json(told)
        return
    for name, value in told.items():
        text = cost_text(value) if name == _COST else value if isinstance(value, str) else jsons.dumps(value)
        say(f"{name:<24} {text}")


def cost_text(cost: Mapping[str, Any]) -> str:
    """USD an hour of both instances and their disks, beside what one costs on demand."""
    parts = [
        f"{name} {_usd(cost[key])}"
        for name, key in (("primary", "primaryUsd"), ("standby", "standbyUsd"), ("storage", "storageUsd"))
    ]
    compared = f"on demand {_usd(cost['onDemandUsd'])}"
    return f"{_usd(cost['totalUsd'])} USD an hour with a standby ({', '.join(parts)}); {compared}"


def _usd(amount: str | None) -> str:
    return "unknown" if amount is None else amount


def configured(asking: Asking, agent: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration after it; nothing is asked for when nothing is wanted, and then what a standby costs is told
    besides. `Failed` with what is refused.
    """
    path = f"/api/client/agents/{asking.agent_named(agent)}"
    if not wanted:
        told = asking.call("GET", path)
        return {**told["config"], _COST: told[_COST]}
    if told_only := _shown_alone(wanted):
        raise Failed(f"{', '.join(told_only)}: counted by the server, and not set by hand")
    try:
        return asking.call("POST", f"{path}/config", wanted)
    except Failed as error:
        raise Failed("; ".join([str(error), *_perhaps_meant(wanted)])) from error


def _shown_alone(wanted: Mapping[str, Any]) -> list[str]:
    """Names that are shown and never set, such as the version that each change counts up."""
    from spotguard.wire.client import Configuration
    from spotguard.wire.client_configuration import ConfigurationChange

    shown, settable = (
        {field.alias or name for name, field in model.model_fields.items()}
        for model in (Configuration, ConfigurationChange)
    )
    return sorted(wanted.keys() & ({*shown, _COST} - settable))


def _perhaps_meant(wanted: Mapping[str, Any]) -> Iterator[str]:
    """For each name that is none of a setting, those that are spelled nearly so."""
    from spotguard.wire.client_configuration import ConfigurationChange

    known = {field.alias or name: name for name, field in ConfigurationChange.model_fields.items()}
    for name in sorted(wanted.keys() - known.keys() - set(known.values())):
        near = get_close_matches(name, known)
        yield f"is {' or '.join(near)} meant?" if near else "spotguard configure AGENT shows the names"


def parsed(changes: Sequence[str]) -> dict[str, Any]:
    """`BadSetting` for what is no NAME=VALUE, or is named twice."""
    wanted: dict[str, Any] = {}
    for change in changes:
        name, equals, text = change.partition("=")
        if not name or not equals:
            raise BadSetting(f"NAME=VALUE is wanted, such as restorePointHours=24, not {change[:60]!r}")
        if name in wanted:
            raise BadSetting(f"{name[:60]} is named twice")
        wanted[name] = _value(text)
    return wanted


def _value(text: str) -> Any:
    try:
        return jsons.loads(text)
    except ValueError:
        return text
