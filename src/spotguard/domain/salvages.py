"""Salvage: looking at what a dead holder's volume has that the promoted standby lacks. Nothing is ever merged."""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.life import Life


class SalvageStatus(StrEnum):
    """Where a salvage is in its life."""

    WAITING = "waiting"
    ATTACHED = "attached"
    DETACHING = "detaching"
    OFFERED = "offered"
    FAILED = "failed"


OPEN_SALVAGE = frozenset({SalvageStatus.WAITING, SalvageStatus.ATTACHED, SalvageStatus.DETACHING})

SALVAGE_LIFE = Life(
    "salvage",
    {
        SalvageStatus.WAITING: frozenset({SalvageStatus.ATTACHED, SalvageStatus.DETACHING}),
        SalvageStatus.ATTACHED: frozenset({SalvageStatus.DETACHING}),
        SalvageStatus.DETACHING: frozenset({SalvageStatus.OFFERED, SalvageStatus.FAILED}),
        SalvageStatus.OFFERED: frozenset(),
        SalvageStatus.FAILED: frozenset(),
    },
)
