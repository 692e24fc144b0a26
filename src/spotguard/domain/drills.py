"""Rehearsals: a real failover on purpose, and a restore point that is booted in quarantine. Their life, their terms."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from spotguard.domain.life import Life

PURPOSE = "drill"
"""`spotguard:purpose` of a clone that is launched to rehearse, and ended again."""


class DrillKind(StrEnum):
    """What is rehearsed."""

    FAILOVER = "failover"
    RESTORE = "restore"


class DrillStatus(StrEnum):
    """Where a drill is in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ending"
    PASSED = "passed"
    FAILED = "failed"


OPEN_DRILL = frozenset({DrillStatus.WAITING, DrillStatus.RUNNING, DrillStatus.ENDING})

DRILL_LIFE = Life(
    "drill",
    {
        # a restore only: its clone is wished for, and EC2 has not named it yet
        DrillStatus.WAITING: frozenset({DrillStatus.RUNNING, DrillStatus.ENDING, DrillStatus.FAILED}),
        DrillStatus.RUNNING: frozenset({DrillStatus.ENDING, DrillStatus.PASSED, DrillStatus.FAILED}),
        # a restore only: it is judged, and what it made is not gone yet
        DrillStatus.ENDING: frozenset({DrillStatus.PASSED, DrillStatus.FAILED}),
        DrillStatus.PASSED: frozenset(),
        DrillStatus.FAILED: frozenset(),
    },
)

PASSED_COUNTS_FOR = timedelta(days=90)
"""So long a passed failover drill allows autonomy `auto` (ruling B17): instances, images and teams change."""
