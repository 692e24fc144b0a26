"""How the eligibility report is shown: a table for people, one object for scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spotguard.cli.findings import show_findings, show_rows
from spotguard.cli.output import say

if TYPE_CHECKING:
    from spotguard.planning.eligibility.pointers import Pointers
    from spotguard.planning.eligibility.report import Report


def show_report(found: Report, pointers: Pointers) -> None:
    from spotguard.planning.eligibility.pointers import ADVICE
    from spotguard.planning.eligibility.report import COLOUR

    show_findings(found.findings, COLOUR)
    say("")
    say(_heading(pointers))
    show_rows([(one.kind.value, [one.name], one.how, ADVICE[one.kind]) for one in pointers.found])
    for because, kinds in _grouped(pointers).items():
        say(f"not looked at ({because}): {', '.join(kinds)}")
    say("")


def _heading(pointers: Pointers) -> str:
    from spotguard.planning.eligibility.pointers import PointerKind

    if pointers.found:
        return "What points at this instance:"
    if len(pointers.not_looked_at) == len(PointerKind):
        return "What points at this instance is not known: nobody looked."
    if pointers.not_looked_at:
        return "Nothing was found that points at this instance, where anybody looked."
    return "Nothing was found that points at this instance."


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


def _grouped(pointers: Pointers) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for kind, because in pointers.not_looked_at.items():
        grouped.setdefault(because, []).append(kind.value)
    return grouped
