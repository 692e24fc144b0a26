"""How the images that we make are named: the name is the handle by which one that was begun is found again."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_RESTORE = re.compile(r"spotguard-restore-(?P<agent>.+)-(?P<hour>\d{8}T\d{2})")
_HOUR = "%Y%m%dT%H"
_CLOCKS = timedelta(hours=1)  # EC2's CreationDate is by its own clock, and later than the call
_BY_ITSELF = re.compile(
    r"spotguard-i-[0-9a-f]+-\d+"
)  # an agent's, of its instance and epoch, without a switch


def of_move(switch_id: str) -> str:
    return f"spotguard-{switch_id}"


def of_restore_point(agent_id: str, at: datetime) -> str:
    return f"spotguard-restore-{agent_id}-{at.astimezone(UTC).strftime(_HOUR)}"


def is_of_restore_point(name: str, agent_id: str, made_at: datetime) -> bool:
    """And made when it says: a later copy may bear the same name."""
    found = _RESTORE.fullmatch(name)
    if found is None or found["agent"] != agent_id:
        return False
    try:
        hour = datetime.strptime(found["hour"], _HOUR).replace(tzinfo=UTC)
    except ValueError:
        return False
    return hour - _CLOCKS <= made_at <= hour + timedelta(hours=1) + _CLOCKS


def is_of_move(name: str, switch_id: str | None) -> bool:
    """`switch_id` None: of an agent that moved by itself."""
    return bool(_BY_ITSELF.fullmatch(name)) if switch_id is None else name == of_move(switch_id)
