"""From replayed policies to what people ask: dollars and minutes in 30 days, with intervals.

An interval is drawn as SpotBench's are: blocks of three calendar days again a thousand times (`backtest.figures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spotguard.advice.replay import CLAIRVOYANT, ON_DEMAND, WHAT, Replayed
from spotguard.advice.wish import HOURS, Disks, Wish
from spotguard.backtest.account import Outcome
from spotguard.backtest.figures import Days, Dice, days_of
from spotguard.backtest.physics import MONTH, Physics
from spotguard.backtest.policy import Floats

LEAST_DAYS = 14
"""Shorter files give no interval: of fewer than five blocks of three days there is nothing to draw again."""

EDGES = (0.025, 0.975)
_NEVER = frozenset({ON_DEMAND, CLAIRVOYANT})  # interrupted
EBS_MONTH_HOURS = 730  # EBS bills by the second of a month that AWS counts so (ports.cloud.StorageRates)


@dataclass(frozen=True)
class Estimate:
    """A figure, and between what it lies with 95 %; None: the file is too short to tell."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PolicyFigures:
    """In 30 days. Costs are of instances, standbys and double running, and of disks as far as they are counted.

    `net_*`: the saving less what the minutes down are worth. `interruptions` None: the file does not tell.
    """

    name: str
    what: str
    cost_usd: Estimate
    saving_usd: Estimate
    saving_share: Estimate
    plan_saving_usd: Estimate  # against the Savings Plan
    net_usd: Estimate
    plan_net_usd: Estimate
    moves: float
    returns: float
    interruptions: float | None
    minutes_down: Estimate
    worst_recovery_seconds: float
    standby_usd: float
    disks_usd: float


def figures(
    replayed: Mapping[str, Replayed], wish: Wish, ondemand_usd: float, *, tells_interruptions: bool
) -> tuple[PolicyFigures, ...]:
    """In the order in which they were replayed."""
    days = len(next(iter(replayed.values())).outcome.day_seconds)
    span = next(iter(replayed.values())).outcome.seconds
    dice = Dice(days, wish.seed) if span >= LEAST_DAYS * 86_400 else None
    return tuple(
        _figures(one, wish, ondemand_usd, dice, tells_interruptions=tells_interruptions)
        for one in replayed.values()
    )


def _figures(
    one: Replayed, wish: Wish, ondemand_usd: float, dice: Dice | None, *, tells_interruptions: bool
) -> PolicyFigures:
    outcome, month_usd = one.outcome, ondemand_usd * HOURS
    disks = disks_usd(one.name, outcome, wish.disks, wish.physics)
    weight = wish.minute_value(ondemand_usd) * 60 / ondemand_usd
    plan_usd = month_usd * float(1 - wish.savings_plan)
    cost = _of(days_of([outcome], 0.0), dice, month_usd, disks)
    burden = _of(days_of([outcome], weight), dice, month_usd, disks)
    months = outcome.seconds / MONTH
    return PolicyFigures(
        name=one.name,
        what=WHAT[one.name],
        cost_usd=cost,
        saving_usd=less(month_usd, cost),
        saving_share=_scaled(less(month_usd, cost), 1 / month_usd),
        plan_saving_usd=less(plan_usd, cost),
        net_usd=less(month_usd, burden),
        plan_net_usd=less(plan_usd, burden),
        moves=outcome.moves / months,
        returns=outcome.returns / months,
        interruptions=outcome.interruptions / months if tells_interruptions or one.name in _NEVER else None,
        minutes_down=_of(_down(outcome), dice, MONTH / 60, 0.0),
        worst_recovery_seconds=outcome.worst_down_seconds,
        standby_usd=outcome.standby_usd / months,
        disks_usd=disks,
    )


def less(whole: float, part: Estimate) -> Estimate:
    """What is left of `whole`."""
    return Estimate(
        whole - part.value,
        None if part.high is None else whole - part.high,
        None if part.low is None else whole - part.low,
    )


def _scaled(told: Estimate, factor: float) -> Estimate:
    low, high = (None if edge is None else edge * factor for edge in (told.low, told.high))
    return Estimate(told.value * factor, low, high)


def _of(days: Days, dice: Dice | None, factor: float, more: float) -> Estimate:
    value = days.mean * factor + more
    if dice is None:
        return Estimate(value, None, None)
    low, high = (float(edge) * factor + more for edge in np.quantile(dice.means(days), EDGES))
    return Estimate(value, low, high)


def _down(outcome: Outcome) -> Days:
    share: Floats = outcome.day_seconds / outcome.seconds
    return Days(outcome.down_seconds / outcome.seconds, share)


def disks_usd(name: str, outcome: Outcome, disks: Disks, physics: Physics) -> float:
    """What SpotGuard makes besides the workload's own volumes, in 30 days: theirs are paid in any case.

    A whole set of volumes while each move's two instances stand, and beside each standby; one snapshot of all of them
    as the newest restore point, counted as if every block were in it (EBS bills only those that are).
    """
    if name == ON_DEMAND:
        return 0.0
    moves = (outcome.moves + outcome.returns) / (outcome.seconds / MONTH)
    standing = HOURS * outcome.standby_seconds / outcome.seconds
    volumes = float(disks.volume_usd_per_gib_month or 0) * (moves * physics.overlap_hours + standing)
    snapshots = float(disks.snapshot_usd_per_gib_month or 0) * HOURS
    return disks.gib * (volumes + snapshots) / EBS_MONTH_HOURS
