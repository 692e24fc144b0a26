"""vCPUs, memory, architecture and generation of instance types: which types are equivalent to another.

The shipped file is DescribeInstanceTypes' answer, as karpenter-provider-aws (Apache-2.0) keeps it; a user's file adds
types. Columns `instance_type`, `vcpus` or `vcpu`, `memory_mib` or `memory_gib`, optionally `architectures` and
`current` (0: EC2 says that it is of a previous generation; it says so of today, whatever the date of the prices).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from spotguard.domain.errors import InvalidInput
from spotguard.market.files import CutOff, small_pieces
from spotguard.market.instance_types import generation


@dataclass(frozen=True)
class TypeFacts:
    """One instance type. `current`: EC2's `CurrentGeneration`."""

    vcpus: int
    memory_mib: int
    architectures: frozenset[str]
    current: bool = True


Facts = dict[str, TypeFacts]


@cache
def shipped() -> Facts:
    text = resources.files("spotguard.market").joinpath("instance_types.csv").read_text(encoding="utf-8")
    return _facts(text.splitlines(), "instance_types.csv")


def read_type_facts(path: Path) -> Facts:
    """The shipped facts and, where those tell nothing, the file's."""
    try:
        text = "".join(small_pieces(path))
    except CutOff as error:
        raise InvalidInput(f"{path.name}: {error}") from error
    return {**_facts(text.splitlines(), path.name), **shipped()}


def equivalents(facts: Facts, own: str, types: Iterable[str]) -> list[str]:
    """Same vCPUs, at least its memory, a common architecture; itself always, a type of which nothing is known never."""
    mine = facts.get(own)
    return sorted(
        name for name in set(types) if name == own or (mine is not None and _serves(mine, facts.get(name)))
    )


def is_older(facts: Facts, name: str, own: str) -> bool:
    """Of a previous generation, though its own type is not, or is by its name of a later one (m4 beside m5)."""
    other, mine = facts.get(name), facts.get(own)
    if name == own or other is None or other.current:
        return False
    return mine is None or mine.current or generation(name) < generation(own)


def _serves(mine: TypeFacts, other: TypeFacts | None) -> bool:
    return (
        other is not None
        and other.vcpus == mine.vcpus
        and other.memory_mib >= mine.memory_mib
        and bool(other.architectures & mine.architectures)
    )


def _facts(lines: list[str], name: str) -> Facts:
    facts: Facts = {}
    for number, row in enumerate(csv.DictReader(lines), 2):
        try:
            vcpus = int(row.get("vcpus") or row["vcpu"])
            memory = (
                int(row["memory_mib"]) if row.get("memory_mib") else round(1024 * float(row["memory_gib"]))
            )
            told = row.get("architectures") or _usual_architecture(row["instance_type"])
            facts[row["instance_type"]] = TypeFacts(
                vcpus, memory, frozenset(told.split("+")), current=row.get("current") != "0"
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"{name}, line {number}: not the facts of an instance type ({error})"
            ) from error
    return facts


def _usual_architecture(instance_type: str) -> str:
    """Families whose third letter on holds a g are Graviton (EC2 instance type naming conventions)."""
    family = instance_type.partition(".")[0]
    return "arm64" if family == "a1" or "g" in family[2:] else "x86_64"
