"""How findings are shown to people: the gravest first, what says the same said once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from spotguard.cli.output import say, say_plainly, stdout

if TYPE_CHECKING:
    from spotguard.planning.findings import Finding, Grade

_STYLE = {
    **dict.fromkeys(("green", "ok"), "green"),
    **dict.fromkeys(("amber", "warning"), "yellow"),
    **dict.fromkeys(("red", "error"), "bold red"),
    "unknown": "magenta",
}


def show_findings(findings: Sequence[Finding], words: Mapping[Grade, str]) -> None:
    """`words`: what a grade is called, in any order; a line with their numbers comes last."""
    from spotguard.planning.findings import BY_GRAVITY

    said: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in sorted(findings, key=lambda one: BY_GRAVITY.index(one.grade)):
        said.setdefault((words[finding.grade], finding.because, finding.mend), []).append(finding)
    show_rows(
        [
            (word, [f"{one.name} ({one.source})" for one in alike], because, mend)
            for (word, because, mend), alike in said.items()
        ]
    )
    counts = Counter(finding.grade for finding in findings)
    say(", ".join(f"{counts[grade]} {words[grade]}" for grade in BY_GRAVITY if counts[grade]))


def show_rows(rows: Sequence[tuple[str, Sequence[str], str, str]]) -> None:
    """A word, its headings, a sentence, and what to do. Nothing in them is markup."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for word, heads, sentence, mend in rows:
        cell = Text("\n".join(heads), style="bold").append(f"\n{sentence}", style="not bold")
        if mend:
            cell.append(f"\nto do: {mend}", style="not bold italic")
        table.add_row(Text(word, style=_STYLE.get(word, "")), cell)
    if stdout.is_terminal:
        stdout.print(table, soft_wrap=False)
        return
    with stdout.capture() as drawn:
        stdout.print(table, soft_wrap=False)
    for line in drawn.get().splitlines():
        say_plainly(line.rstrip())  # a table fills its columns with blanks
