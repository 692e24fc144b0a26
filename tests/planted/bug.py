"""What a planted bug is: exact replacements in the source, where the field made the same mistake, and who notices."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from spotguard.simulation.fault_kinds import FaultKind

# What judges: a bug planted here would blind whoever is to notice it.
JUDGES = (
    "simulation/",
    "cloud/simulated/",
    "planning/invariants.py",
    "store/invariant_facts.py",
    "store/invariant_moves.py",
    "store/invariant_sieve.py",
    "store/audit.py",
)


@dataclass(frozen=True)
class Edit:
    """In `file` (below src/spotguard) the text `old`, which stands there once, becomes `new`."""

    file: str
    old: str
    new: str

    def applied_to(self, text: str) -> str:
        """`ValueError` when `old` does not stand there exactly once."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.file}: {text.count(self.old)} times: {self.old[:60]!r}")
        return text.replace(self.old, self.new)


@dataclass(frozen=True)
class Hunt:
    """Schedules of the simulation. `kinds`: which faults strike, at the times that the seed says; empty: all kinds."""

    kinds: tuple[FaultKind, ...] = ()
    hours: float = 1.0
    first_seed: int = 0


@dataclass(frozen=True)
class Node:
    """A test of the suite, for what the simulation does not run; `why` says what that is."""

    name: str
    why: str


@dataclass(frozen=True)
class Bug:
    """`reference`: repository and issue, or where the lesson stands; `breaks`: invariants and what goes wrong.

    What the simulation has missed is tried by the test that `catalogue.SECOND_LINE` names for it.
    """

    name: str
    reference: str
    breaks: str
    edits: tuple[Edit, ...]
    caught_by: Hunt | Node

    @property
    def digest(self) -> str:
        """Of the bug and of the way to catch it: a record of another one is not this one's."""
        return hashlib.sha256(repr((self.edits, self.caught_by)).encode()).hexdigest()[:12]


def hunt(*kinds: FaultKind, hours: float = 1.0) -> Hunt:
    return Hunt(kinds, hours)


def edits_by_file(bug: Bug) -> dict[str, list[Edit]]:
    found: dict[str, list[Edit]] = {}
    for edit in bug.edits:
        found.setdefault(edit.file, []).append(edit)
    return found


def mutated(text: str, edits: Iterable[Edit]) -> str:
    for edit in edits:
        text = edit.applied_to(text)
    return text
