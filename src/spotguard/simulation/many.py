"""Many schedules, one after the other or in several processes, and what they came to together."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from spotguard.interruptions import noted as interruptions_noted
from spotguard.simulation.campaign import Outcome, run
from spotguard.simulation.drawing import HOURS, ORDINARY, Temper
from spotguard.simulation.recorded import Recorded, revision
from spotguard.telemetry import configure_logging
from spotguard.workers import process_pool

Heard = Callable[[Outcome], None]
_AHEAD = 2  # schedules in the queue of each process: no longer list of futures than that


def simulate(
    seeds: range,
    workers: int,
    on_outcome: Heard,
    hours: float = HOURS,
    record: Path | None = None,
    temper: Temper = ORDINARY,
) -> dict[str, Any]:
    """The contract's keys (`spotguard simulate --json`) and a few more. A failing seed fails every time it is run.

    Interrupted (Ctrl-C) it tells of the schedules that were finished. With a `record` what it holds already is counted
    and not run again; `schedules_per_second` is this sitting's.
    """
    kept = None if record is None else Recorded(record, revision(), hours, temper)
    before = [] if kept is None else list(kept.among(seeds))
    for outcome in before:
        on_outcome(outcome)
    began = time.perf_counter()
    one = partial(run, hours=hours, temper=temper)
    missing = seeds if kept is None else kept.missing(seeds)
    with interruptions_noted(raises=True) as heard:
        run_now = _kept(_outcomes(missing, workers, one), kept, on_outcome, heard)
        finished, interrupted = _finished(chain(before, run_now), heard)
    told = _summary(finished)
    wall_seconds = time.perf_counter() - began
    new = told["schedules"] - len(before)
    return {
        **told,
        "interrupted": interrupted,
        "revision": revision(),
        "schedules_per_second": round(new / wall_seconds, 3) if wall_seconds else None,
        "wall_seconds": round(wall_seconds, 1),
    }


def _kept(
    outcomes: Iterable[Outcome], kept: Recorded | None, on_outcome: Heard, interruptions: list[int]
) -> Iterator[Outcome]:
    for outcome in outcomes:
        if interruptions:  # what it has cut in two tells nothing
            return
        if kept is not None:
            kept.add(outcome)
        on_outcome(outcome)
        yield outcome


def _finished(outcomes: Iterable[Outcome], interruptions: list[int]) -> tuple[list[Outcome], bool]:
    """Those that came before somebody interrupted it, and whether anybody did."""
    finished = []
    try:
        for outcome in outcomes:
            finished.append(outcome)  # noqa: PERF402 -- what came before an interruption is kept
    except KeyboardInterrupt:
        return finished, True
    except Exception:  # of what an interruption that a finaliser has swallowed left half done
        if not interruptions:
            raise
        return finished, True
    return finished, bool(interruptions)


def _summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    faults: Counter[str] = Counter()
    steps: Counter[str] = Counter()
    failing: list[dict[str, Any]] = []
    schedules = checked = violations = 0
    cpu_seconds = 0.0
    for outcome in outcomes:
        schedules += 1
        checked += outcome.invariants_checked
        violations += len(outcome.violations)
        cpu_seconds += outcome.cpu_seconds
        faults.update(outcome.faults_reached)
        steps.update(outcome.steps_reached)
        if outcome.violations:
            failing.append({"seed": outcome.seed, "violations": list(outcome.violations)})
    return {
        "schedules": schedules,
        "violations": violations,
        "faults_reached": dict(sorted(faults.items())),
        "steps_reached": dict(sorted(steps.items())),
        "schedules_per_cpu_second": round(schedules / cpu_seconds, 3) if cpu_seconds else None,
        "failing_seeds": [entry["seed"] for entry in failing],
        "failing": failing,
        "faults_injected": sum(faults.values()),
        "invariants_checked": checked,
    }


def _outcomes(seeds: Iterable[int], workers: int, one: Callable[[int], Outcome]) -> Iterator[Outcome]:
    if workers == 1:
        yield from map(one, seeds)
        return
    with process_pool(workers, _quiet) as pool:
        yield from _as_they_end(pool, one, iter(seeds), workers * _AHEAD)


def _as_they_end(
    pool: ProcessPoolExecutor, one: Callable[[int], Outcome], seeds: Iterable[int], most: int
) -> Iterator[Outcome]:
    waiting: set[Future[Outcome]] = {pool.submit(one, seed) for seed in islice(seeds, most)}
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for future in done:
            yield future.result()
        waiting |= {pool.submit(one, seed) for seed in islice(seeds, len(done))}


def _quiet() -> None:
    configure_logging("critical")
