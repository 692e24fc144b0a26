"""Many failovers in several sites at once, each site in a process of its own."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing import get_context
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

from spotguard.bench.failover import Kind, Run, measure, seconds_of, summary
from spotguard.bench.lab.bare import handover_seconds
from spotguard.bench.lab.site import Site
from spotguard.domain.errors import SpotGuardError
from spotguard.telemetry import configure_logging

PAUSE_SECONDS = 0.005  # between two records of the client
BARE_HANDOVERS = 20
_LOOK_SECONDS = 1.0


def bench(runs: int, deaths: int, sites: int, told: Callable[[Run], None]) -> dict[str, Any]:
    """`runs` after a notice, half of them with the server down, and `deaths` without a word; the contract's object.

    A site that cannot go on is told among the `failures`; the others go on without it.
    """
    began = time.perf_counter()
    context = get_context("spawn")
    heard: Queue[Any] = context.Queue()
    shares = [kinds for number in range(sites) if (kinds := kinds_of(runs, deaths)[number::sites])]
    workers = [
        context.Process(target=_site, args=(number, kinds, heard), daemon=False)
        for number, kinds in enumerate(shares, 1)
    ]
    for worker in workers:
        worker.start()
    try:
        found = _collect(heard, workers, told)
    except BaseException:  # interrupted too: the sites' processes are not left behind
        for worker in workers:
            worker.terminate()
        raise
    finally:
        for worker in workers:
            worker.join()
    wall_seconds = time.perf_counter() - began
    baseline = seconds_of(handover_seconds(BARE_HANDOVERS))
    return {
        **summary(found.runs, found.overlaps, found.doubled, wall_seconds),
        "failures": found.failures,
        "bare_handover": baseline,
    }


def kinds_of(runs: int, deaths: int) -> list[Kind]:
    """Kinds mixed, so that every site has some of each."""
    noticed = list(islice(cycle([Kind.SERVER_UP, Kind.SERVER_DOWN]), runs))
    if not deaths:
        return noticed
    every = max(1, len(noticed) // deaths)
    mixed: list[Kind] = []
    for number, kind in enumerate(noticed):
        mixed.append(kind)
        if number % every == every - 1 and mixed.count(Kind.UNHEARD_DEATH) < deaths:
            mixed.append(Kind.UNHEARD_DEATH)
    return mixed + [Kind.UNHEARD_DEATH] * (deaths - mixed.count(Kind.UNHEARD_DEATH))


def _site(number: int, kinds: list[Kind], heard: Queue[Any]) -> None:
    configure_logging("error")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the site ends its processes on its way out
    try:
        with Site.opened(number, PAUSE_SECONDS) as site:
            done = measure(site, kinds, heard.put)
            heard.put({"overlaps": done["overlaps"], "doubled": done["doubled"]})
    except SpotGuardError as error:
        heard.put(error)


@dataclass
class _Found:
    """What the sites have told so far."""

    runs: list[Run] = field(default_factory=list)
    overlaps: int = 0
    doubled: int = 0
    failures: list[str] = field(default_factory=list)


def _collect(heard: Queue[Any], workers: list[Any], told: Callable[[Run], None]) -> _Found:
    found, ended = _Found(), 0
    while ended < len(workers):
        try:
            one = heard.get(timeout=_LOOK_SECONDS)
        except Empty:
            _require_alive(workers)
            continue
        if isinstance(one, Run):
            found.runs.append(one)
            told(one)
            continue
        ended += 1
        if isinstance(one, Exception):
            found.failures.append(str(one))
        else:
            found.overlaps += one["overlaps"]
            found.doubled += one["doubled"]
    return found


def _require_alive(workers: list[Any]) -> None:
    for worker in workers:
        if worker.exitcode not in (None, 0):
            raise SpotGuardError(f"a site's process ended with {worker.exitcode}")
