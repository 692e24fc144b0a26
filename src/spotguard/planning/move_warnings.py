"""What a person should know of a move before it starts: pure, one sentence each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind

_GENERATION = re.compile(r"^([a-z]+)(\d+)")


@dataclass(frozen=True)
class Change:
    """From where to where, and how. Prices are USD an hour, None unknown."""

    old: Pool
    old_mode: Mode
    new: Pool
    new_mode: Mode
    kind: MoveKind
    state_gib: int | None
    auto_terminate: bool
    old_usd: Decimal | None
    new_usd: Decimal | None
    quarantined_until: datetime | None = None
    above_risk_limit: str | None = None
    not_back: str | None = None  # why the kept old instance at this place is not gone back to


def warnings(change: Change) -> tuple[str, ...]:
    """In a fixed order; empty is never: the address always changes."""
    return tuple(text for rule in _RULES if (text := rule(change)) is not None)


def _address(_change: Change) -> str:
    return "the private address changes, and so does a public one that is no Elastic IP"


def _zone(change: Change) -> str | None:
    if change.new.az == change.old.az:
        return None
    return (
        f"it goes to another availability zone, {change.new.az}: traffic from {change.old.az} crosses zones"
    )


def _type(change: Change) -> str | None:
    old, new = change.old.instance_type, change.new.instance_type
    if old == new:
        return None
    older = ", of an older generation" if _is_older(new, old) else ""
    return f"another instance type{older}: {new} instead of {old}"


def _is_older(new: str, old: str) -> bool:
    """Within one series, as its name counts: m4 is older than m5ad."""
    one, other = _GENERATION.match(new), _GENERATION.match(old)
    if one is None or other is None or one[1] != other[1]:
        return False
    return int(one[2]) < int(other[2])


def _interruptible(change: Change) -> str | None:
    if change.new_mode is Mode.ONDEMAND or change.old_mode is Mode.SPOT:
        return None
    return "a spot instance may be taken with two minutes' notice or none, and cannot be protected from termination"


def _dearer(change: Change) -> str | None:
    if change.old_usd is None or change.new_usd is None:
        return "a price is not known: what it saves or costs cannot be told"
    if change.new_usd <= change.old_usd:
        return None
    return f"it is dearer: {change.new_usd} instead of {change.old_usd} USD/h"


def _risk(change: Change) -> str | None:
    return None if change.above_risk_limit is None else f"its risk is {change.above_risk_limit}"


def _quarantine(change: Change) -> str | None:
    if change.quarantined_until is None:
        return None
    until = f"{change.quarantined_until:%Y-%m-%d %H:%M} UTC"
    return f"this pool refused or interrupted a launch of yours: it is in quarantine until {until}"


def _image(change: Change) -> str | None:
    if change.kind is not MoveKind.IMAGE:
        return None
    return "an image takes minutes, sometimes hours, and the workload stands still meanwhile"


def _unknown_state(change: Change) -> str | None:
    if change.state_gib is not None or change.kind is not MoveKind.SYNCED:
        return None
    return "no state volume is known: only what the state sync is set up to copy goes along"


def _left_running(change: Change) -> str | None:
    if change.auto_terminate:
        return None
    return "auto-terminate is off: the old instance runs on, and is billed, until somebody ends it"


def _not_back(change: Change) -> str | None:
    if change.not_back is None:
        return None
    return f"a new instance is launched, and the kept old one is not gone back to: {change.not_back}"


_RULES: tuple[Callable[[Change], str | None], ...] = (
    _address,
    _zone,
    _type,
    _interruptible,
    _dearer,
    _risk,
    _quarantine,
    _image,
    _unknown_state,
    _left_running,
    _not_back,
)
