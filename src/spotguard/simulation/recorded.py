"""A long run in a file: one line for each schedule, so that what was run is kept, and the rest can be run later.

The first line names the code: outcomes of different code are never counted together. The faults of a schedule are not
kept: its seed gives them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import spotguard
from spotguard.domain.errors import BadSetting
from spotguard.simulation.campaign import Outcome
from spotguard.simulation.drawing import ORDINARY, Temper

HEAD = "spotguard simulate"
_ABOVE = {"cli", "bench", "backtest", "training"}  # rooms that the simulation does not know
_COUNTED = [field.name for field in fields(Outcome)]


@cache
def revision() -> str:
    """Of the code that a schedule may run: a hash over the sources of this package, but for what stands above it."""
    root = Path(spotguard.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if path.relative_to(root).parts[0] not in _ABOVE:
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


class Recorded:
    """The outcomes that a file holds, and a place for more. A line that a kill has torn is run again."""

    def __init__(self, path: Path, code: str, hours: float, temper: Temper = ORDINARY) -> None:
        self._path = path
        self.outcomes: list[Outcome] = []
        head = {"of": HEAD, "revision": code, "hours": hours, "temper": temper.name}
        try:
            if path.exists() and path.stat().st_size:
                self._read(head)
            else:
                self._write(head, "x" if not path.exists() else "w")
        except OSError as error:
            raise BadSetting(f"{path}: {error.strerror}") from error

    def missing(self, seeds: Iterable[int]) -> list[int]:
        had = {outcome.seed for outcome in self.outcomes}
        return [seed for seed in seeds if seed not in had]

    def among(self, seeds: range) -> Iterator[Outcome]:
        """Those of earlier sittings."""
        return (outcome for outcome in self.outcomes if outcome.seed in seeds)

    def add(self, outcome: Outcome) -> None:
        """On the disk when it returns."""
        self._write({name: getattr(outcome, name) for name in _COUNTED}, "a")

    def _read(self, head: dict[str, Any]) -> None:
        try:
            text = self._path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise BadSetting(f"{self._path} holds no text: name another file") from error
        whole, _, torn = text.rpartition("\n")
        first, *lines = whole.split("\n")
        if (found := _object(first, f"{self._path}, line 1")) != head:
            what = "other code, hours or temper" if found.get("of") == HEAD else "something else"
            raise BadSetting(f"{self._path} holds outcomes of {what}: name another file")
        self.outcomes = [
            _outcome(_object(line, where), where)
            for number, line in enumerate(lines, start=2)
            for where in [f"{self._path}, line {number}"]
        ]
        if torn:
            os.truncate(self._path, len(whole.encode()) + 1)

    def _write(self, told: dict[str, Any], mode: str) -> None:
        with self._path.open(mode, encoding="utf-8") as file:
            file.write(json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise BadSetting(f"{where} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadSetting(f"{where} is no JSON object")
    return found


def _outcome(told: dict[str, Any], where: str) -> Outcome:
    try:
        return Outcome(
            seed=int(told["seed"]),
            violations=tuple(map(str, told["violations"])),
            faults_reached=Counter({str(kind): int(n) for kind, n in told["faults_reached"].items()}),
            steps_reached=Counter({str(step): int(n) for step, n in told["steps_reached"].items()}),
            invariants_checked=int(told["invariants_checked"]),
            fingerprint=str(told["fingerprint"]),
            cpu_seconds=float(told["cpu_seconds"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadSetting(f"{where} is no outcome of a schedule: {error}") from error
