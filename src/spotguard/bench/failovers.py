"""Many failovers in several sites at once, each site in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

from spotguard.bench.failover import Kind, Run, measure, seconds_of, summary
from spotguard.bench.lab.bare import handover_seconds
from spotguard.bench.lab.site import Site, Stopped
from spotguard.domain.errors import SpotGuardError
from spotguard.interruptions import noted as interruptions_noted
from spotguard.telemetry import configure_logging

PAUSE_SECONDS = 0.005  # between two records of the client
BARE_HANDOVERS = 20
_LOOK_SECONDS = 1.0


def bench(runs: int, deaths: int, sites: int, told: Callable[[Run], None]) -> dict[str, Any]:
    """`runs` after a notice, half of them with the server down, and `deaths` without a word; the contract's object.

    A site that cannot go on is told among the `failures`; the others go on without it. Interrupted (Ctrl-C) it tells of
    the runs that were finished, without a baseline.
    """
    began = time.perf_counter()
    context = get_context("spawn")
    heard: Queue[Any] = context.Queue()
    shares = [kinds for number in range(sites) if (kinds := kinds_of(runs, deaths)[number::sites])]
    workers = [
        context.Process(target=_site, args=(number, kinds, heard), daemon=False)
        for number, kinds in enumerate(shares, 1)
    ]
    with interruptions_noted(raises=False) as interruptions:
        _start_deaf(workers)
        try:
            found = _collect(heard, workers, told, interruptions)
        except BaseException:  # whatever it is: the sites' processes are not left behind
            _end(workers)
            raise
        finally:
            for worker in workers:
                worker.join()
        wall_seconds = time.perf_counter() - began
        seconds = [] if interruptions else handover_seconds(BARE_HANDOVERS, lambda: bool(interruptions))
    return {
        **summary(found.runs, found.overlaps, found.doubled, wall_seconds),
        "failures": found.failures,
        "bare_handover": seconds_of(seconds) if seconds else None,
        "interrupted": bool(interruptions),
    }


def _start_deaf(workers: Sequence[Any]) -> None:
    """A terminal's Ctrl-C reaches the sites too, long before they can answer it: they end when they are told to."""
    is_main = threading.current_thread() is threading.main_thread()
    former = signal.signal(signal.SIGINT, signal.SIG_IGN) if is_main else None  # inherited
    try:
        for worker in workers:
            worker.start()
    finally:
        if is_main:
            signal.signal(signal.SIGINT, former)


def _end(workers: Sequence[Any]) -> None:
    for worker in workers:
        worker.terminate()


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
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: stopped.append(number))
    os.setsid()  # none of its processes hears a terminal
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with Site.opened(number, PAUSE_SECONDS, lambda: bool(stopped)) as site:
            done = measure(site, kinds, heard.put)
            heard.put({"overlaps": done["overlaps"], "doubled": done["doubled"]})
    except Stopped:
        heard.put({"overlaps": 0, "doubled": 0})  # before it was built up
    except SpotGuardError as error:
        heard.put(error)


def _end_with_parent() -> None:
    """However that one ends: the site ends its processes on its way out."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


@dataclass
class _Found:
    """What the sites have told so far."""

    runs: list[Run] = field(default_factory=list)
    overlaps: int = 0
    doubled: int = 0
    failures: list[str] = field(default_factory=list)


def _collect(
    heard: Queue[Any], workers: Sequence[Any], told: Callable[[Run], None], interruptions: Sequence[int] = ()
) -> _Found:
    found, ended, is_ending = _Found(), 0, False
    while ended < len(workers):
        if interruptions and not is_ending:
            is_ending = True
            _end(workers)
        try:
            one = heard.get(timeout=_LOOK_SECONDS)
        except Empty:
            if is_ending and not any(worker.is_alive() for worker in workers):
                return found  # one that was told to end before it could listen says nothing
            if not is_ending:
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


def _require_alive(workers: Sequence[Any]) -> None:
    for worker in workers:
        if worker.exitcode not in (None, 0):
            raise SpotGuardError(f"a site's process ended with {worker.exitcode}")
