"""Every policy by its name on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import partial

from spotguard.backtest.baselines import BASELINES
from spotguard.backtest.engine import Engine
from spotguard.backtest.measuring import CLAIRVOYANT
from spotguard.backtest.paying import PayingEngine
from spotguard.backtest.policy import Make, Policies
from spotguard.backtest.shipped import RulesV1
from spotguard.domain.errors import BadSetting
from spotguard.engine.stakes import INTERRUPTION_MINUTES

UNPROBED = "engine-unprobed"
"""The engine as production has it, where no launch is made only to look: measured where it is named."""

PAYING = "engine-paying"
"""The engine as production has it where a tenant pays for looks, `PAID_A_DAY`: measured where it is named."""

PAID_A_DAY = Decimal(1)  # USD, of one workload

WEIGHING = frozenset({"engine", "engine-unrailed", UNPROBED, PAYING})
"""Policies that decide by what a minute of downtime is worth."""


def shipped(wait_hours: float, interruption_minutes: float = INTERRUPTION_MINUTES) -> dict[str, Make]:
    """`rules-v1` knows no risk; `engine` is the same rules with the figures of the age-hazard rule."""
    engine = partial(Engine, wait_hours=wait_hours, interruption_minutes=interruption_minutes)
    return {
        "rules-v1": RulesV1,
        "rules-v1-unrailed": partial(RulesV1, railed=False),
        "engine": engine,
        "engine-unrailed": partial(engine, railed=False),
        UNPROBED: partial(engine, probing=False),
        PAYING: partial(
            PayingEngine,
            usd_per_day=PAID_A_DAY,
            wait_hours=wait_hours,
            interruption_minutes=interruption_minutes,
        ),
    }


def policies(
    wanted: Sequence[str], wait_hours: float, interruption_minutes: float = INTERRUPTION_MINUTES
) -> Policies:
    """All but those of production, unless some are named; the clairvoyant takes part in any case. `BadSetting` for an
    unknown name.
    """
    known: dict[str, Make] = {**BASELINES, **shipped(wait_hours, interruption_minutes)}
    unknown = [name for name in wanted if name not in known and name != CLAIRVOYANT]
    if unknown:
        raise BadSetting(f"no policy is called {unknown[0]!r}; there are {', '.join([*known, CLAIRVOYANT])}")
    chosen = wanted or [name for name in known if name not in (UNPROBED, PAYING)]
    return {name: make for name, make in known.items() if name in chosen}
