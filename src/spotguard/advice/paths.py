"""What a picture of prices shows: the paths of some pools, and where a policy served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotguard.advice.offers import steps
from spotguard.advice.replay import Replayed
from spotguard.backtest.world import World
from spotguard.domain.pools import Pool

MOST_POINTS = 1200
"""Of one path; one with more changes is drawn by its price at as many moments, evenly spaced."""

Path = tuple[tuple[float, float | None], ...]  # (seconds since 1970, USD per hour from then on; None unknown)


@dataclass(frozen=True)
class Serving:
    """Where the workload served between two moments; `pool` None: on demand."""

    since: float
    until: float
    pool: Pool | None
    path: Path


@dataclass(frozen=True)
class Picture:
    """`policy`: whose serving is drawn."""

    start: float
    end: float
    ondemand_usd: float
    paths: tuple[tuple[Pool, Path], ...]
    policy: str
    serving: tuple[Serving, ...]


def picture(world: World, pools: Sequence[Pool], replayed: Replayed) -> Picture:
    """Of these pools, as far as the world has them, and of those that served."""
    start, end = world.span
    served = {world.pools[stay.pool] for stay in replayed.stays}
    numbers = [n for n, pool in enumerate(world.pools) if pool in pools or pool in served]
    return Picture(
        start=start,
        end=end,
        ondemand_usd=world.ondemand_usd,
        paths=tuple((world.pools[n], _path(world, n, start, end)) for n in numbers),
        policy=replayed.name,
        serving=tuple(_serving(world, replayed, start, end)),
    )


def _serving(world: World, replayed: Replayed, start: float, end: float) -> list[Serving]:
    """Stays in order, and on demand between them."""
    found: list[Serving] = []
    at = start
    for stay in replayed.stays:
        since, until = max(at, stay.since), min(stay.until, end)
        if since > at:
            found.append(_ondemand(world, at, since))
        if until > since:
            found.append(Serving(since, until, world.pools[stay.pool], _path(world, stay.pool, since, until)))
            at = until
    if at < end:
        found.append(_ondemand(world, at, end))
    return found


def _ondemand(world: World, since: float, until: float) -> Serving:
    return Serving(since, until, None, ((since, world.ondemand_usd),))


def _path(world: World, number: int, since: float, until: float) -> Path:
    times, usd = steps(world, number, since, until)
    if len(times) > MOST_POINTS:
        times = np.linspace(since, until, MOST_POINTS)
        usd = np.array([world.price(number, at) for at in times])
    told = zip(times.tolist(), usd.tolist(), strict=True)
    return tuple((at, None if np.isnan(price) else price) for at, price in told)
