"""Every policy by its name on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from spotguard.backtest.baselines import BASELINES
from spotguard.backtest.measuring import CLAIRVOYANT
from spotguard.backtest.policy import Make, Policies
from spotguard.backtest.shipped import RulesV1
from spotguard.domain.errors import BadSetting

SHIPPED: dict[str, Make] = {
    "rules-v1": RulesV1,
    "rules-v1-unrailed": partial(RulesV1, railed=False),
}
WEIGHING: frozenset[str] = frozenset()
"""Policies that decide by what a minute of downtime is worth."""


def policies(wanted: Sequence[str]) -> Policies:
    """All, unless some are named; the clairvoyant takes part in any case. `BadSetting` for an unknown name."""
    known: dict[str, Make] = {**BASELINES, **SHIPPED}
    unknown = [name for name in wanted if name not in known and name != CLAIRVOYANT]
    if unknown:
        raise BadSetting(f"no policy is called {unknown[0]!r}; there are {', '.join([*known, CLAIRVOYANT])}")
    return {name: make for name, make in known.items() if not wanted or name in wanted}
