"""AWS interruption signals and what SpotGuard answers to them."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from spotguard.domain.errors import InvalidInput


class SignalType(StrEnum):
    """What AWS says of an instance: it may go, or it will."""

    REBALANCE = "rebalance-recommendation"
    TERMINATION = "instance-termination"


class SignalAction(StrEnum):
    """What the server answers to a signal (contract: POST interruption-signal)."""

    NONE = "none"
    MONITOR = "monitor"
    CREATE_REPLICA = "create_replica"
    HAND_OVER = "hand_over"
    PROMOTE = "promote"
    RELAUNCH = "relaunch"


_OLDER_SPELLINGS = {
    "termination-notice": SignalType.TERMINATION,
    "termination": SignalType.TERMINATION,
    "rebalance": SignalType.REBALANCE,
}

REBALANCE_COUNTS_FOR = timedelta(hours=2)
"""From when the server heard of it: AWS gives no all-clear (ruling B7). A termination notice counts for good."""

NOTICE_SECONDS = 120  # AWS: the interruption comes two minutes after the notice


def parse_signal_type(text: str) -> SignalType:
    """The signal under its one name; older spellings are accepted here and nowhere else."""
    if text in _OLDER_SPELLINGS:
        return _OLDER_SPELLINGS[text]
    try:
        return SignalType(text)
    except ValueError as error:
        raise InvalidInput(f"unknown signal type: {text[:40]!r}") from error
