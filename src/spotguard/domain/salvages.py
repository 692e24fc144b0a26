"""Salvage: a look, by a copy, at what a dead holder's volume has and the promoted standby lacks. Nothing is merged."""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.life import Life


class SalvageStatus(StrEnum):
    """Where a salvage is in its life."""

    COPYING = "copying"  # of its volume, to where the new primary is
    WAITING = "waiting"
    ATTACHED = "attached"
    DETACHING = "detaching"
    OFFERED = "offered"
    FAILED = "failed"


SALVAGE_DEVICE = "/dev/sdy"
"""As what a copy is attached for a look: of the names that EC2 recommends for data, the last but one."""

PURPOSE = "salvage"
"""The tag of the copies that are made for it."""

OPEN_SALVAGE = frozenset(
    {SalvageStatus.COPYING, SalvageStatus.WAITING, SalvageStatus.ATTACHED, SalvageStatus.DETACHING}
)

SALVAGE_LIFE = Life(
    "salvage",
    {
        SalvageStatus.COPYING: frozenset({SalvageStatus.WAITING, SalvageStatus.DETACHING}),
        SalvageStatus.WAITING: frozenset({SalvageStatus.ATTACHED, SalvageStatus.DETACHING}),
        SalvageStatus.ATTACHED: frozenset({SalvageStatus.DETACHING}),
        SalvageStatus.DETACHING: frozenset({SalvageStatus.OFFERED, SalvageStatus.FAILED}),
        SalvageStatus.OFFERED: frozenset(),
        SalvageStatus.FAILED: frozenset(),
    },
)
