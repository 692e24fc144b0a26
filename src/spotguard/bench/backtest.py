"""`spotguard bench backtest`: how long each policy takes on a whole price file, twelve workloads, all their pools.

Beside it, in the same run, a plain Python loop that only looks for the cheapest pool after each price change of one
workload: what a replay row by row would cost before it decided anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spotguard.backtest.alarm import Alarm
from spotguard.backtest.bench import Files, Wanted, prepare
from spotguard.backtest.clairvoyant import optimum
from spotguard.backtest.measuring import CLAIRVOYANT, WEIGHTS, Job
from spotguard.backtest.physics import DAY
from spotguard.backtest.simulator import run
from spotguard.backtest.world import World

PLAIN_ROWS = 2000  # the loop is slow: it answers for so many


def bench(
    prices: Sequence[Path], ondemand: Path, policies: Sequence[str], told: Callable[[], None]
) -> dict[str, Any]:
    """CPU seconds of this process; the files' reading and the making of the worlds are told apart.

    `rows_per_second`: price changes of allowed pools, of all workloads, that a policy goes through in a second.
    """
    begun = time.process_time()
    job = prepare(Files(tuple(prices), ondemand), Wanted("P", tuple(policies), starts=1, days=(1.0,)))
    read = time.process_time() - begun
    seconds = dict.fromkeys([*job.policies, CLAIRVOYANT], 0.0)
    making, rows, pools, plain = 0.0, 0, set(), 0.0
    days = 0.0
    for group in job.track.groups:
        begun = time.process_time()
        world = job.track.world(group)
        alarm = Alarm(world)
        making += time.process_time() - begun
        rows += _changes(world)
        pools |= set(world.pools)
        days = (world.span[1] - world.span[0]) / DAY
        for name in seconds:
            seconds[name] += _seconds(job, world, alarm, name)
            told()
        plain = plain or _plain_rows_per_second(world)
    mean = float(np.mean(list(seconds.values())))
    return {
        "pools": len(pools),
        "days": round(days, 1),
        "workloads": len(job.track.groups),
        "seconds_per_policy": round(mean, 2),
        "slowest_seconds": round(max(seconds.values()), 2),
        "seconds": {name: round(spent, 2) for name, spent in seconds.items()},
        "rows": rows,
        "rows_per_second": round(rows / mean),
        "plain_python_rows_per_second": round(plain),
        "reading_seconds": round(read, 2),
        "world_seconds": round(making, 2),
    }


def _seconds(job: Job, world: World, alarm: Alarm, name: str) -> float:
    """The whole period as one window, at the first weight."""
    minute_usd = WEIGHTS[0] * world.ondemand_usd / 60
    begun = time.process_time()
    if name == CLAIRVOYANT:
        optimum(world, job.physics, *world.span)
    else:
        run(world, job.policies[name](), job.physics, *world.span, minute_usd, alarm)
    return time.process_time() - begun


def _changes(world: World) -> int:
    usd = np.nan_to_num(world.usd)
    return int(np.count_nonzero(np.diff(usd, axis=0))) + int(usd.shape[1])


def _plain_rows_per_second(world: World) -> float:
    rows = [dict(enumerate(row)) for row in world.usd[:PLAIN_ROWS].tolist()]
    begun = time.process_time()
    for row in rows:
        min(row, key=row.__getitem__)
    return len(rows) / (time.process_time() - begun)
