"""What the hunts have found, kept beside the bugs; the table of docs/planted-bugs.md is written from it alone."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from tests.planted.bug import Bug, Hunt
from tests.planted.catching import Caught
from tests.planted.copies import ROOT

RECORD = Path(__file__).with_name("record.json")
TABLE = ROOT / "docs" / "planted-bugs.md"

HEAD = """# Planted bugs

Written by `make planted-bugs`; a test holds it equal to the bugs and their record. Each bug is one that the field has
made: a few exact replacements in the source (`tests/planted/of_*.py`), applied to a copy of the package in a folder of
its own, which is then tried in a process of its own. Nothing is patched, and what judges (the simulation, the simulated
EC2, the invariants) is never mutated.

*Schedules*: how many it took until the simulation showed a violation, the one that showed it included. They are
directed: the times, agents and lengths of the seed's own schedule, with the kinds of faults that the bug's entry names.
A violation counts only if the unchanged package has none in the very same schedule. The rest is caught by a named test,
run against the same kind of copy; the entry says why the simulation does not see it.

Again: `python -m tests.planted --only NAME`.
"""


def stored() -> dict[str, dict[str, Any]]:
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def with_news(known: Mapping[str, dict[str, Any]], bug: Bug, caught: Caught) -> dict[str, dict[str, Any]]:
    entry = {key: value for key, value in asdict(caught).items() if key != "name"}
    before = of_bug(known, bug) or {}
    if (
        entry["schedules"] is None
    ):  # what the simulation had seen before stays seen; what it missed is added up
        if before.get("caught") and before.get("schedules") is not None:
            return dict(known)
        entry["missed"] += before.get("missed") or (
            0 if before.get("caught") else before.get("schedules") or 0
        )
    return {**known, bug.name: {"digest": bug.digest, **entry}}


def of_bug(record: Mapping[str, dict[str, Any]], bug: Bug) -> dict[str, Any] | None:
    """None when it was never tried as it stands now."""
    entry = record.get(bug.name)
    return entry if entry is not None and entry["digest"] == bug.digest else None


def note(bug: Bug, caught: Caught) -> None:
    """Several commands may hunt at the same time: one after the other writes."""
    with RECORD.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keep(with_news(stored(), bug, caught))


def keep(record: Mapping[str, dict[str, Any]]) -> None:
    RECORD.write_text(json.dumps(dict(sorted(record.items())), indent=1, ensure_ascii=False) + "\n")


def summary(bugs: Iterable[Bug], record: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`missed`: what nothing caught, and what was not tried."""
    entries = {bug.name: of_bug(record, bug) for bug in bugs}
    caught = {name: entry for name, entry in entries.items() if entry is not None and entry["caught"]}
    schedules = [entry["schedules"] for entry in caught.values() if entry["schedules"] is not None]
    return {
        "bugs": len(entries),
        "caught": len(caught),
        "by_the_simulation": len(schedules),
        "median_schedules": median(schedules) if schedules else None,
        "missed": [name for name in entries if name not in caught],
    }


def table(bugs: Iterable[Bug], record: Mapping[str, dict[str, Any]]) -> str:
    bugs = tuple(bugs)
    lines = [
        HEAD,
        _in_all(summary(bugs, record)),
        "",
        "| Bug | The field's | Breaks (invariant) | Caught by | Schedules |",
        "|---|---|---|---|---|",
        *(_row(bug, of_bug(record, bug)) for bug in bugs),
    ]
    return "\n".join(lines) + "\n"


def _in_all(told: Mapping[str, Any]) -> str:
    return (
        f"{told['bugs']} bugs, {told['caught']} caught: {told['by_the_simulation']} by the simulation, in "
        f"{told['median_schedules']} schedules at the median; the others by a test."
    )


def _row(bug: Bug, entry: Mapping[str, Any] | None) -> str:
    cells = (bug.name, bug.reference, bug.breaks, _caught_by(bug, entry), _schedules(entry))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _caught_by(bug: Bug, entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "not tried yet"
    if not entry["caught"]:
        return f"**missed**: {entry['what']}"
    if isinstance(bug.caught_by, Hunt) and entry["schedules"] is None:
        how_often = (
            f"the simulation missed it in {entry['missed']} schedules"
            if entry["missed"]
            else "not hunted yet"
        )
        return f"{entry['what'].removeprefix('FAILED ').partition(' ')[0]} ({how_often})"
    if isinstance(bug.caught_by, Hunt):
        return f"simulation, seed {entry['seed']}, {_how_directed(bug.caught_by)}: {entry['what']}"
    return f"`{bug.caught_by.name}`: {bug.caught_by.why}"


def _how_directed(hunt: Hunt) -> str:
    kinds = ", ".join(hunt.kinds) or "every kind of fault"
    return f"{hunt.hours:g} h of {kinds}"


def _schedules(entry: Mapping[str, Any] | None) -> str:
    return "" if entry is None or entry["schedules"] is None else str(entry["schedules"])
