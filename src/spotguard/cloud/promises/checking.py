"""Checking all promises on one provider, within a budget, and leaving nothing behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from spotguard.cloud.promises.all import PROMISES, sentence
from spotguard.cloud.promises.stage import Broken, Stage
from spotguard.domain.errors import CloudError, PoolDry, Refused
from spotguard.ports.cloud import StorageRates

LAUNCHES_PER_PROMISE = 2  # the most that one makes
HOURS_PER_LAUNCH = Decimal("0.5")  # all waits of a promise together; EC2 bills at least a minute
GIB_PER_LAUNCH = 20
_HOURS_PER_MONTH = 730


class Outcome(StrEnum):
    """How a promise came out."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_JUDGED = "not judged"  # no capacity, or EC2 did not answer


@dataclass(frozen=True)
class Result:
    """One promise, and what was left behind if clearing up failed."""

    promise: str
    outcome: Outcome
    because: str = ""
    left: str | None = None


def most_it_may_cost(usd_per_hour: Decimal, rates: StorageRates, promises: int = len(PROMISES)) -> Decimal:
    """Every launch at the on-demand price for as long as it may live, with its disks."""
    disks = rates.volume_usd_per_gib_month * GIB_PER_LAUNCH / _HOURS_PER_MONTH
    launches = promises * LAUNCHES_PER_PROMISE
    return launches * HOURS_PER_LAUNCH * (usd_per_hour + disks)


def require_budget(most_usd: Decimal, budget_usd: Decimal) -> None:
    if most_usd > budget_usd:
        raise Refused(
            f"it may cost {most_usd:.2f} USD; the budget is {budget_usd:.2f}: raise it, or take a smaller type"
        )


def check(
    stage_of: Callable[[str], Stage], wanted: Iterable[str], tell: Callable[[Result], None]
) -> list[Result]:
    """Each promise whose sentence holds one of the wanted words (all, if there are none), on a stage of its own."""
    words = tuple(wanted)
    results: list[Result] = []
    for promise in PROMISES:
        if words and not any(word in sentence(promise) for word in words):
            continue
        results.append(_check(stage_of(promise.__name__), promise))
        tell(results[-1])
    return results


def _check(stage: Stage, promise: Callable[[Stage], None]) -> Result:
    outcome, because = Outcome.KEPT, ""
    left = None
    try:
        promise(stage)
    except Broken as broken:
        outcome, because = Outcome.BROKEN, str(broken)
    except PoolDry as error:
        outcome, because = Outcome.NOT_JUDGED, str(error)
    except CloudError as error:
        outcome, because = Outcome.BROKEN, f"{type(error).__name__}: {error}"
    finally:
        left = _clear(stage)
    return Result(sentence(promise), outcome, because, left)


def _clear(stage: Stage) -> str | None:
    try:
        stage.clear()
    except (Broken, CloudError) as error:
        return f"{stage.tags}: {error}"
    return None
