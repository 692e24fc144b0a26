"""`spotguard probes`: what launches that are made only to look may cost, what they cost, and what they showed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer

from spotguard.cli.asking import Asking, ServerUrl, TokenFile, linked
from spotguard.cli.output import Json, print_json, say
from spotguard.cli.token_file import token_in
from spotguard.domain.errors import BadSetting

_SHOWN = 20
_MOST_DIGITS = 20  # written out, 1e999999999 is a gigabyte; what a budget may be says the server


def probes(
    *,
    usd_per_day: Annotated[
        str | None, typer.Option(metavar="USD", help="What they may cost in a UTC day from now on; 0: none.")
    ] = None,
    server_url: ServerUrl = None,
    token_file: TokenFile,
    json: Json = False,
) -> None:
    """Show the capacity probes of a client, or set what they may cost.

    A probe launches an instance in a spot pool only to learn whether the pool gives one, and ends it at once: it costs
    a minute's bill where it does, nothing where it does not. Without a budget, as at first, none is made.
    """
    wanted = None if usd_per_day is None else _usd(usd_per_day)
    with linked(server_url) as link:
        told = asked(Asking(link, token_in(token_file), time.sleep), wanted)
    if json:
        print_json(told)
        return
    for line in lines(told):
        say(line)


def asked(asking: Asking, wanted: str | None) -> dict[str, Any]:
    """What the server tells after it; nothing is set when nothing is wanted. `Failed` with what is refused."""
    if wanted is not None:
        asking.call("PUT", "/api/client/probes", {"usdPerDay": wanted})
    return asking.call("GET", f"/api/client/probes?limit={_SHOWN}")


def _usd(text: str) -> str:
    try:
        usd = Decimal(text)
    except InvalidOperation as error:
        raise BadSetting(f"--usd-per-day is a number of USD, such as 0.50, not {text[:40]!r}") from error
    if not usd.is_finite() or abs(usd.adjusted()) > _MOST_DIGITS:
        raise BadSetting(f"--usd-per-day is a number of USD, such as 0.50, not {text[:40]!r}")
    return f"{usd:f}"


def lines(told: dict[str, Any]) -> Iterator[str]:
    """For people: the budget, then the newest looks."""
    if Decimal(told["usdPerDay"]) == 0:
        yield "Capacity probes are off: --usd-per-day sets what they may cost."
    else:
        yield f"Capacity probes may cost {told['usdPerDay']} USD a day; today {told['spentUsd']} USD."
    for one in told["items"]:
        seen = {True: "up", False: "down", None: "unknown"}[one["up"]]
        told_of_it = one["answer"] or one["because"]
        yield f"  {one['createdAt']}  {one['poolId']:<28} {seen:<8} {one['usd']} USD  {told_of_it}"
