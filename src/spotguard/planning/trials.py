"""Has a model in shadow beaten the present one on live outcomes? Only by enough of them, on enough days, clearly.

Each outcome is a pair: both said how likely an interruption or refusal within the hour was, and then it came or not.
Outcomes of one day hang together (pools fall together), so the interval is by days: the variance of a mean of clusters
(Cameron and Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_OUTCOMES = 300
LEAST_FALLS = 20  # where nothing falls, whoever says "never" looks best
LEAST_DAYS = 14
SPREADS = 2.2  # Student's t of 95 % at 13 degrees of freedom is 2.16; with more days it is less


@dataclass(frozen=True)
class Day:
    """Sums over one day's outcomes: how many, how many fell, the squared errors of either."""

    outcomes: int
    falls: int
    present: float
    shadow: float


@dataclass(frozen=True)
class Judgement:
    """Brier scores (mean squared errors: less is better); `better_by` ± `margin`: the present one's less the shadow's.

    None: not known yet.
    """

    beats: bool
    because: str
    outcomes: int
    falls: int
    days: int
    present_brier: float | None
    shadow_brier: float | None
    better_by: float | None
    margin: float | None


def judge(days: Sequence[Day]) -> Judgement:
    """`beats`: the shadow may take the present one's place without anybody's force."""
    outcomes, falls = sum(day.outcomes for day in days), sum(day.falls for day in days)
    if not outcomes:
        return Judgement(False, "no live outcome is known yet", 0, 0, 0, None, None, None, None)
    present, shadow = sum(day.present for day in days), sum(day.shadow for day in days)
    better_by = (present - shadow) / outcomes
    margin = _margin(days, better_by, outcomes)
    because = _too_few(outcomes, falls, len(days)) or _compared(better_by, margin)
    return Judgement(
        beats=_too_few(outcomes, falls, len(days)) is None and _is_clear(better_by, margin),
        because=because,
        outcomes=outcomes,
        falls=falls,
        days=len(days),
        present_brier=present / outcomes,
        shadow_brier=shadow / outcomes,
        better_by=better_by,
        margin=margin,
    )


def _margin(days: Sequence[Day], mean: float, outcomes: int) -> float | None:
    if len(days) < 2:  # noqa: PLR2004 - one day tells nothing of how days differ
        return None
    spread = sum((day.present - day.shadow - mean * day.outcomes) ** 2 for day in days)
    return SPREADS * math.sqrt(len(days) / (len(days) - 1) * spread) / outcomes


def _too_few(outcomes: int, falls: int, days: int) -> str | None:
    wanted = (
        (outcomes, LEAST_OUTCOMES, "outcomes"),
        (falls, LEAST_FALLS, "falls"),
        (days, LEAST_DAYS, "days"),
    )
    lacking = [f"{have} of {least} {what}" for have, least, what in wanted if have < least]
    return f"too little is known: {', '.join(lacking)}" if lacking else None


def _is_clear(better_by: float, margin: float | None) -> bool:
    return margin is not None and better_by > margin


def _compared(better_by: float, margin: float | None) -> str:
    told = f"its Brier score is better by {better_by:+.5f} ± {0.0 if margin is None else margin:.5f}"
    return f"{told}: clear of zero" if _is_clear(better_by, margin) else f"{told}: not clear of zero"
