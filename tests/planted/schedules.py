"""Schedules for a hunt: the seed's own times and agents, with the kinds of faults that the bug needs."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from spotguard.simulation.campaign import AGENTS
from spotguard.simulation.drawing import schedule_of
from spotguard.simulation.fault_kinds import Fault, FaultKind
from spotguard.simulation.servers import NAMES

AGENT_NAMES = tuple(f"{name}-1" for name in NAMES[:AGENTS])


def directed(seed: int, kinds: tuple[FaultKind, ...], hours: float) -> tuple[Fault, ...]:
    """Without kinds the seed's own schedule; else each of its faults becomes one of them."""
    faults = schedule_of(seed, AGENT_NAMES, hours)
    dice = Random(f"hunt:{seed}")
    return tuple(replace(fault, kind=dice.choice(kinds)) for fault in faults) if kinds else faults
