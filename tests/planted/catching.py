"""Tries one planted bug: schedules of the simulation, or a test, against the copy that has it.

A violation counts only if the unchanged package has none in the very same schedule.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tests.planted.bug import Bug, Hunt, Node
from tests.planted.copies import PACKAGE, ROOT, copy_with, environment

LONGEST_SECONDS = 3600
LONGEST_TEST_SECONDS = 300  # without the bug they take seconds


@dataclass(frozen=True)
class Caught:
    """What became of the hunt. `schedules`: how many it took, the one that caught it included; None: a test did it."""

    name: str
    caught: bool
    schedules: int | None
    seed: int | None
    what: str
    missed: int = 0  # schedules in which the simulation saw nothing


class HuntFailed(Exception):
    """The hunt itself went wrong: nothing is known of the bug."""


def try_bug(bug: Bug, most_schedules: int, second_line: Node | None = None) -> Caught:
    """`second_line`: the test that is asked when no schedule shows it."""
    with copy_with(bug) as source:
        match bug.caught_by:
            case Hunt() as hunt:
                caught = _hunt(bug, hunt, source, most_schedules)
                if caught.caught or second_line is None:
                    return caught
                return replace(_test(bug, second_line, source), missed=caught.missed)
            case Node() as node:
                return _test(bug, node, source)


def _hunt(bug: Bug, hunt: Hunt, source: Path, most: int) -> Caught:
    first, last, tried = hunt.first_seed, hunt.first_seed + most, 0
    while first < last:
        outcomes = _schedules(hunt, source, first, last)
        tried += len(outcomes)
        seed, found = outcomes[-1]
        if not found:
            break
        if not _schedules(hunt, None, seed, seed + 1)[-1][1]:
            return Caught(bug.name, True, tried, seed, found[0])
        first = seed + 1  # the unchanged package fails there too: that proves nothing
    return Caught(bug.name, False, None, None, "no schedule showed a violation", missed=tried)


def _schedules(hunt: Hunt, source: Path | None, first: int, last: int) -> list[tuple[int, list[str]]]:
    """Seeds and violations, up to the first that has some."""
    kinds = ",".join(hunt.kinds)
    command = [
        sys.executable,
        "-m",
        "tests.planted.hunter",
        f"{hunt.hours:g}",
        f"{first}:{last}",
        kinds,
    ]
    done = _run(command, source)
    told, *lines = [json.loads(line) for line in done.stdout.splitlines()] or [{}]
    wanted = source / "spotguard" if source is not None else PACKAGE
    if told.get("package") != str(wanted) or not lines:
        raise HuntFailed(f"the hunter ran {told.get('package')}: {done.stderr[-600:]}")
    return [(line["seed"], line["violations"]) for line in lines]


def _test(bug: Bug, node: Node, source: Path) -> Caught:
    """The test passes without the bug, and fails, not errs, with it."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", node.name]
    if _run(pytest, None).returncode != 0:
        raise HuntFailed(f"{node.name} does not pass on the unchanged package")
    try:
        done = _run(pytest, source, LONGEST_TEST_SECONDS)
    except subprocess.TimeoutExpired:
        what = f"{node.name} does not end within {LONGEST_TEST_SECONDS} s"
        return Caught(bug.name, caught=True, schedules=None, seed=None, what=what)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    what = failed[0] if failed else "the test passes"
    return Caught(bug.name, done.returncode == 1, None, None, what[:300])


def _run(
    command: list[str], source: Path | None, longest_seconds: float = LONGEST_SECONDS
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(source),
        capture_output=True,
        text=True,
        timeout=longest_seconds,
        check=False,
    )
