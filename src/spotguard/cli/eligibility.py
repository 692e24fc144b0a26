"""How the eligibility report is shown: a table for people, one object for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from spotguard.cli.output import say, stdout

if TYPE_CHECKING:
    from spotguard.planning.eligibility.pointers import Pointers
    from spotguard.planning.eligibility.report import Report
    from spotguard.planning.findings import Finding

NARROWEST = 140  # columns that the sentences need where nobody says how wide the page is
_STYLE = {"green": "green", "amber": "yellow", "red": "bold red", "unknown": "magenta"}


def show_report(found: Report, pointers: Pointers) -> None:
    """The gravest first."""
    from spotguard.planning.eligibility.pointers import ADVICE
    from spotguard.planning.eligibility.report import COLOUR

    order = ["red", "unknown", "amber", "green"]
    rows = sorted(found.findings, key=lambda one: order.index(COLOUR[one.grade]))
    show(
        [(COLOUR[one.grade], one.name, _why(one), one.source) for one in rows], ("", "rule", "why", "source")
    )
    counts = Counter(COLOUR[one.grade] for one in found.findings)
    say(", ".join(f"{counts[colour]} {colour}" for colour in order if counts[colour]))
    say("")
    say(
        "What points at this instance:"
        if pointers.found
        else "Nothing was found that points at this instance."
    )
    if pointers.found:
        show(
            [
                (one.kind.value, one.name, f"{one.how}\nto do: {ADVICE[one.kind]}", "")
                for one in pointers.found
            ],
            ("", "name", "how", ""),
        )
    for because, kinds in _grouped(pointers).items():
        say(f"not looked at ({because}): {', '.join(kinds)}")
    say("")


def told_report(found: Report, pointers: Pointers, red: Sequence[str]) -> dict[str, Any]:
    from spotguard.planning.eligibility.pointers import ADVICE
    from spotguard.planning.eligibility.report import COLOUR

    return {
        "eligibility": COLOUR[found.grade],
        "in_the_way": list(red),
        "findings": [{**vars(one), "grade": COLOUR[one.grade]} for one in found.findings],
        "pointers": [
            {"kind": one.kind.value, "name": one.name, "how": one.how, "mend": ADVICE[one.kind]}
            for one in pointers.found
        ],
        "not_looked_at": {kind.value: because for kind, because in pointers.not_looked_at.items()},
    }


def show(rows: Sequence[tuple[str, str, str, str]], heads: tuple[str, str, str, str]) -> None:
    """Sentences fold, names do not; nothing in them is markup."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head, whole in zip(heads, (True, True, False, False), strict=True):
        table.add_column(head, no_wrap=whole)
    for word, *cells in rows:
        table.add_row(Text(word, style=_STYLE.get(word, "")), *map(Text, cells))
    stdout.print(table, width=max(NARROWEST, stdout.width), soft_wrap=False)


def _why(one: Finding) -> str:
    return f"{one.because}\nto do: {one.mend}" if one.mend else one.because


def _grouped(pointers: Pointers) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for kind, because in pointers.not_looked_at.items():
        grouped.setdefault(because, []).append(kind.value)
    return grouped
