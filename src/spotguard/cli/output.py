"""How commands speak: results on stdout, JSON where a script asks for it; the rest, questions too, on stderr."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.console import Console

from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import BadSetting, InvalidInput, SpotGuardError
from spotguard.domain.money import usd_text

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

NO_CREDENTIALS = (
    "no AWS credentials were found: give them by environment, profile or instance role (boto3's chain)"
)

stdout = Console(highlight=False, soft_wrap=True)
stderr = Console(highlight=False, soft_wrap=True, stderr=True)


class Failed(SpotGuardError):
    """The command did its work and the answer is no: exit code 1 with this one line."""


@contextmanager
def options_mended() -> Iterator[None]:
    """What is wrong within it came from an option or an argument: whoever typed it has to mend it."""
    try:
        yield
    except InvalidInput as error:
        raise BadSetting(str(error)) from error


def print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, default=_plain, ensure_ascii=False))


def say(line: str) -> None:
    """A line for people; nothing in it is markup, since names come from outside."""
    stdout.print(line, markup=False)


def say_plainly(line: str) -> None:
    """A line that is laid out already."""
    stdout.out(line, highlight=False)


def warn(line: str) -> None:
    stderr.print(line, markup=False)


def say_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell: ids and times are never cut, however narrow the terminal."""
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def agreed() -> bool:
    """Whether somebody says yes; `Failed` where nobody answers."""
    try:
        return typer.confirm("Go on?", err=True)
    except typer.Abort as error:  # Ctrl-C, or a stdin from which nothing comes
        raise Failed("nobody answered, and nothing was changed; --yes asks nothing") from error


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Decimal):
        return usd_text(value)
    return str(value)
