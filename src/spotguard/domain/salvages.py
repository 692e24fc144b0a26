"""Salvage: a look, by a copy, at what a dead holder's volume has and the promoted standby lacks. Nothing is merged."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from spotguard.domain.life import Life
from spotguard.domain.tags import PURPOSE_TAG


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


def is_for_a_look(device: str | None, tags: Mapping[str, str], had: str | None) -> bool:
    """A copy for one, or the volume itself: a move keeps each volume's device. `had`: its device before; None where
    that is not known.
    """
    is_shown = device == SALVAGE_DEVICE and had not in (None, SALVAGE_DEVICE)
    return is_shown or tags.get(PURPOSE_TAG) == PURPOSE


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
