"""Whose risks decide: the active model of the registry, else the built-in rule; and who is on trial beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from typing import Any

import sqlalchemy as sa

from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.ids import PoolId
from spotguard.domain.models import ModelState
from spotguard.engine.forecast import Prospect
from spotguard.engine.hazard import AgeHazard
from spotguard.models.shelf import Shelf
from spotguard.store import forecasts, models

Row = sa.Row[Any]


@dataclass(frozen=True)
class Judge:
    """`flaw`: why it may not be asked; `hazard` is None then. `for_good`: that will not mend by itself.

    `model_id` None: the built-in rule.
    """

    name: str
    hazard: AgeHazard | None
    model_id: str | None = None
    registered_at: datetime | None = None
    since: datetime | None = None
    flaw: str | None = None
    for_good: bool = False


@dataclass(frozen=True)
class Bench:
    """`shadow` None: no model is on trial."""

    present: Judge
    shadow: Judge | None = None


def built_in() -> Judge:
    rule = forecasts.rule()
    return Judge(rule.name, rule)


def sitting(tx: sa.Connection, now: datetime, shelf: Shelf) -> Bench:
    """As the registry says now. One statement; a model's file is opened once in a process."""
    rows = models.on_duty(tx)
    active, shadow = rows.get(ModelState.ACTIVE), rows.get(ModelState.SHADOW)
    return Bench(
        built_in() if active is None else judge(active, now, shelf),
        None if shadow is None else judge(shadow, now, shelf),
    )


def why_not(judge: Judge, told: Mapping[PoolId, Prospect]) -> str | None:
    """A model that says something other than numbers may not be followed (ruling B14); the built-in rule never does."""
    if judge.model_id is None:
        return None
    dumb = [pool for pool, one in told.items() if not (isfinite(one.rate_per_hour) and isfinite(one.risk_6h))]
    return f"{judge.name} says no number for {min(dumb)}" if dumb else None


def judge(row: Row, now: datetime, shelf: Shelf) -> Judge:
    """One model of the registry, its file opened if it was not before."""
    name = models.label_of(row)
    bare = Judge(name, None, row.id, row.registered_at, row.state_at)
    age = now - row.registered_at
    if age > shelf.stale_after:
        flaw = f"{name} is stale: registered {age.days} days ago, and {shelf.stale_after.days} are the most"
        return replace(bare, flaw=flaw, for_good=True)
    try:
        hazard = shelf.hazard(name, row.file_sha256, forecasts.rule())
    except (NotFound, Refused) as error:
        return replace(bare, flaw=str(error))
    except InvalidInput as error:
        return replace(bare, flaw=str(error), for_good=True)
    return replace(bare, hazard=hazard)
