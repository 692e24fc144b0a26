"""Capacity probes: an instance is launched in a pool only to learn whether it gives capacity now, and ended at once."""

from __future__ import annotations

from enum import StrEnum

from spotguard.domain.life import Life

PURPOSE = "probe"
"""`spotguard:purpose` of an instance that is launched only to look."""


class ProbeStatus(StrEnum):
    """Where a probe is in its life."""

    WAITING = "waiting"
    ENDING = "ending"
    OVER = "over"


OPEN_PROBE = frozenset({ProbeStatus.WAITING, ProbeStatus.ENDING})

PROBE_LIFE = Life(
    "probe",
    {
        # wished for, and EC2 has not answered; a refusal made nothing, so that it is over
        ProbeStatus.WAITING: frozenset({ProbeStatus.ENDING, ProbeStatus.OVER}),
        # answered, or given up: what was made, or may have been, is ended
        ProbeStatus.ENDING: frozenset({ProbeStatus.OVER}),
        ProbeStatus.OVER: frozenset(),
    },
)
