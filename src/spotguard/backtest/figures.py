"""From outcomes to figures: means over windows, regret, the share of the gap that is closed, and intervals.

Windows overlap, so that not they but calendar days are drawn again, in blocks, with all that happened on them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spotguard.backtest.account import Outcome
from spotguard.backtest.measuring import CLAIRVOYANT, Runs
from spotguard.backtest.physics import MONTH
from spotguard.backtest.policy import Floats, Numbers

BLOCK_DAYS = 3
DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Days:
    """What each calendar day adds to the sum of J over the windows, and to their number."""

    j: Floats
    share: Floats

    @property
    def mean(self) -> float:
        return float(self.j.sum() / self.share.sum())


def days_of(outcomes: Sequence[Outcome], weight: float) -> Days:
    first = min(outcome.first_day for outcome in outcomes)
    last = max(outcome.first_day + len(outcome.day_seconds) for outcome in outcomes)
    j, share = np.zeros(last - first), np.zeros(last - first)
    for o in outcomes:
        at = slice(o.first_day - first, o.first_day - first + len(o.day_seconds))
        j[at] += o.cost_usd / o.ondemand_usd + weight * o.down_seconds / o.seconds
        share[at] += o.day_seconds / o.seconds
    return Days(j, share)


class Dice:
    """The same days are drawn for every policy, so that differences are paired."""

    def __init__(self, days: int, seed: int) -> None:
        dice = np.random.default_rng(seed)
        block = min(BLOCK_DAYS, days)
        firsts = dice.integers(0, days, size=(DRAWS, -(-days // block)))
        numbers = (firsts[:, :, None] + np.arange(block)) % days
        self._drawn: Numbers = numbers.reshape(DRAWS, -1)[:, :days]

    def means(self, days: Days) -> Floats:
        return np.asarray(days.j[self._drawn].sum(axis=1) / days.share[self._drawn].sum(axis=1))


def interval(values: Floats) -> list[float]:
    edge = (1 - LEVEL) / 2
    low, high = np.quantile(values, [edge, 1 - edge])
    return [rounded(float(low)), rounded(float(high))]


def summary(
    measured: Mapping[str, Runs], baselines: Sequence[str], seed: int, wait_hours: float
) -> dict[str, Any]:
    """Figures by policy, and which baseline is best at each weight."""
    weights = list(measured[CLAIRVOYANT])
    by_day = {
        (name, weight): days_of(runs[weight], weight) for name, runs in measured.items() for weight in weights
    }
    dice = Dice(len(next(iter(by_day.values())).j), seed)
    causal = [name for name in baselines if name in measured]
    best = {weight: min(causal, key=lambda n: by_day[n, weight].mean) for weight in weights if causal}
    told = {
        name: {
            **_of_policy(runs[weights[0]], wait_hours),
            **{key: value for w in weights for key, value in _of_weight(name, w, by_day, dice, best).items()},
        }
        for name, runs in measured.items()
    }
    return {"policies": told, "best_baseline": {f"j{weight:g}": name for weight, name in best.items()}}


def _of_policy(outcomes: Sequence[Outcome], wait_hours: float) -> dict[str, Any]:
    """At the first weight. Means over windows; counts per 30 days of all windows together."""
    months = sum(o.seconds for o in outcomes) / MONTH
    interruptions = sum(o.interruptions for o in outcomes)
    down = sum(float(o.down_seconds.sum()) for o in outcomes)
    figures = {
        "cost_ratio": float(np.mean([o.cost_ratio for o in outcomes])),
        "availability": 1 - float(np.mean([o.down_share for o in outcomes])),
        "moves_per_30d": sum(o.moves for o in outcomes) / months,
        "returns_per_30d": sum(o.returns for o in outcomes) / months,
        "interruptions_per_30d": interruptions / months,
        "refusals_per_30d": sum(o.refusals for o in outcomes) / months,
        "probes_per_30d": sum(o.probes for o in outcomes) / months,
        "probe_cost_ratio": sum(o.probe_usd for o in outcomes) / sum(o.ondemand_usd for o in outcomes),
        "standby_share": sum(o.standby_seconds for o in outcomes) / sum(o.seconds for o in outcomes),
        "standby_cost_ratio": sum(o.standby_usd for o in outcomes) / sum(o.ondemand_usd for o in outcomes),
        "waived_cost_ratio": sum(o.waived_usd for o in outcomes) / sum(o.ondemand_usd for o in outcomes),
        "minutes_down_per_30d": down / 60 / months,
        "worst_recovery_seconds": max(o.worst_down_seconds for o in outcomes),
        "usd_per_30d": sum(float(o.cost_usd.sum()) for o in outcomes) / months,
        "ondemand_usd_per_30d": sum(o.ondemand_usd for o in outcomes) / months,
        "terminate_wait_hours": wait_hours,
    }
    return {name: rounded(value) for name, value in figures.items()}


def _of_weight(
    name: str,
    weight: float,
    by_day: Mapping[tuple[str, float], Days],
    dice: Dice,
    best: Mapping[float, str],
) -> dict[str, Any]:
    """J and regret; against the best baseline its difference with an interval, and the share of the gap closed."""
    own, optimal = by_day[name, weight], by_day[CLAIRVOYANT, weight]
    key = f"j{weight:g}"
    figures: dict[str, Any] = {
        key: rounded(own.mean),
        f"{key}_interval": interval(dice.means(own)),
        "regret" if weight == min(w for _, w in by_day) else f"{key}_regret": rounded(
            own.mean / optimal.mean - 1
        ),
    }
    if best and name != CLAIRVOYANT:
        rival = by_day[best[weight], weight]
        figures[f"{key}_against_best"] = rounded(own.mean - rival.mean)
        figures[f"{key}_against_best_interval"] = interval(dice.means(own) - dice.means(rival))
        figures |= _gap_closed(key, own, rival, optimal, dice)
    return figures


def _gap_closed(key: str, own: Days, rival: Days, optimal: Days, dice: Dice) -> dict[str, Any]:
    """On each draw of days rival and optimum are those of the days that were drawn."""
    gap = rival.mean - optimal.mean
    gaps = dice.means(rival) - dice.means(optimal)
    if gap <= 0 or not (gaps > 0).any():
        return {f"{key}_gap_closed": None, f"{key}_gap_closed_interval": None}
    open_ones = gaps > 0
    drawn = (dice.means(rival) - dice.means(own))[open_ones] / gaps[open_ones]
    return {
        f"{key}_gap_closed": rounded((rival.mean - own.mean) / gap),
        f"{key}_gap_closed_interval": interval(drawn),
    }


def rounded(value: float) -> float:
    return round(value, 6)
