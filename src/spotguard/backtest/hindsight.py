"""What a causal policy could hope for in a storm: the age-hazard process, solved on the evaluation data itself.

Of each pool the hazards of falling and of rising by the age of its spell are counted in the very files that are
replayed, and the decision process (stay out, go in, leave) is solved with them. The policy then sees the state and age
of every pool without probing. It knows the statistics of the future and the whole present, never the future's course.
Between several pools it goes by the value of being in each; that rule of thumb makes it a mark, not a proven bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spotguard.backtest.physics import DAY, HOUR, Physics
from spotguard.backtest.policy import ONDEMAND, Floats, Intention, View, Wake
from spotguard.backtest.world import World

NAME = "age-hazard-hindsight"
STEP_SECONDS = 300.0
AGES = HOUR * np.array([0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 48.0])
"""Where the bins of a spell's age begin, in seconds; the last one is open."""

HORIZON_SECONDS = 7 * DAY
SWEEPS = 3000


@dataclass(frozen=True)
class Worth:
    """USD by which staying in a pool for another step is better than staying out, by the age bin of its spell up.

    Going in pays where it exceeds what the move costs, leaving where its negative does.
    """

    inside: Floats

    def at(self, age_seconds: float) -> float:
        return float(self.inside[np.searchsorted(AGES, age_seconds, "right") - 1])


class Hindsight:
    """Made for one world and one value of a minute. A pool that has always been up is as old as the window."""

    sees_states = True

    def __init__(self, worths: Sequence[Worth], overlap_hours: float, cut_over_minutes: float) -> None:
        self._worths = worths
        self._overlap_hours = overlap_hours
        self._cut_over_minutes = cut_over_minutes

    def decide(self, view: View) -> Intention:
        return Intention(go=self._best(view), wake=Wake(at=view.now + STEP_SECONDS))

    def fall_back(self, view: View) -> Sequence[int]:
        return ()

    def _best(self, view: View) -> int | None:
        worths = {ONDEMAND: 0.0, **self._standing(view)}
        move = self._overlap_hours * view.present_usd + self._cut_over_minutes * view.minute_usd
        here = worths.get(view.at, 0.0)
        best = max(worths, key=lambda pool: (worths[pool], -pool))
        return best if best != view.at and worths[best] - here > move else None

    def _standing(self, view: View) -> dict[int, float]:
        since = np.full(len(view.pools), np.nan) if view.up_since is None else view.up_since
        return {
            pool: self._worths[pool].at(view.now - (float(risen) if np.isfinite(risen) else view.started))
            for pool, risen in enumerate(since)
            if not np.isnan(risen) and not np.isnan(view.usd[pool])
        }


def hindsight(world: World, physics: Physics, start: float, end: float, minute_usd: float) -> Hindsight:
    """Solved on what happens between the two moments."""
    worths = [_worth(world, pool, physics, (start, end), minute_usd) for pool in range(len(world.pools))]
    return Hindsight(worths, physics.overlap_hours, physics.cut_over / 60)


def _worth(
    world: World, pool: int, physics: Physics, window: tuple[float, float], minute_usd: float
) -> Worth:
    fall, rise = _hazards(world, pool, window)
    usd = _mean_price(world, pool, window)
    down = max(0.0, physics.serving + physics.cut_over - physics.notice) / 60 * minute_usd
    cut = physics.cut_over / 60 * minute_usd
    going = physics.overlap_hours * world.ondemand_usd + cut
    leaving = physics.overlap_hours * usd + cut
    return Worth(_solved(fall, rise, (usd, world.ondemand_usd), (down, going, leaving)))


def _hazards(world: World, pool: int, window: tuple[float, float]) -> tuple[Floats, Floats]:
    """Falls and rises per second, by age bin; one that no spell has reached has the rate of the bin before."""
    life = world.lives[pool]
    counts, exposures = np.zeros((2, len(AGES))), np.zeros((2, len(AGES)))
    edges = np.unique(np.concatenate([[window[0]], life.flips, [window[1]]]))
    bounds = np.append(AGES, np.inf)
    for begun, ended in pairwise(edges.tolist()):
        if begun < window[0] or ended > window[1]:
            continue
        up = int(life.is_up(begun))
        length = ended - begun
        exposures[up] += np.clip(np.minimum(length, bounds[1:]) - bounds[:-1], 0.0, None)
        if ended < window[1]:
            counts[up, np.searchsorted(AGES, length, "left") - 1] += 1
    return _filled(counts[1], exposures[1]), _filled(counts[0], exposures[0])


def _filled(counts: Floats, exposures: Floats) -> Floats:
    reached = np.where(exposures > 0, np.arange(len(AGES)), 0)
    last = np.maximum.accumulate(reached)
    rates: Floats = (counts / np.maximum(exposures, STEP_SECONDS))[last]
    return rates


def _mean_price(world: World, pool: int, window: tuple[float, float]) -> float:
    spent = float(world.cost(pool, np.array(window))[0])
    return spent / ((window[1] - window[0]) / HOUR)


def _solved(
    fall: Floats, rise: Floats, usd: tuple[float, float], costs: tuple[float, float, float]
) -> Floats:
    """By value iteration in steps of five minutes. `usd`: spot, on demand; `costs`: of an interruption, of going in, of
    leaving. An age passes into the next bin at the rate that its width says.
    """
    spot, fixed = usd[0] * STEP_SECONDS / HOUR, usd[1] * STEP_SECONDS / HOUR
    interruption, going, leaving = costs
    falls, rises = -np.expm1(-fall * STEP_SECONDS), -np.expm1(-rise * STEP_SECONDS)
    ages = np.append(np.minimum(1.0, STEP_SECONDS / np.diff(AGES)), 0.0)
    keep = float(np.exp(-STEP_SECONDS / HORIZON_SECONDS))
    inside, outside, waiting, stay, out = np.zeros((5, len(AGES)))
    for _ in range(SWEEPS):
        fallen = keep * waiting[0]
        stay = spot + falls * (interruption + fallen) + (1 - falls) * keep * _older(inside, ages)
        out = fixed + falls * fallen + (1 - falls) * keep * _older(outside, ages)
        waiting = fixed + rises * keep * outside[0] + (1 - rises) * keep * _older(waiting, ages)
        inside, outside = np.minimum(stay, leaving + out), np.minimum(out, going + stay)
    worth: Floats = out - stay
    return worth


def _older(values: Floats, ages: Floats) -> Floats:
    """The expected value a step later, where the spell goes on."""
    later: Floats = (1 - ages) * values + ages * np.append(values[1:], values[-1])
    return later
