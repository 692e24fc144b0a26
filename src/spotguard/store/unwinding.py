"""A planned move that is given up after its volumes may have left: it ends when EC2 shows them at the old instance."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import SwitchId
from spotguard.domain.switches import MoveKind, SwitchStatus
from spotguard.store import deaths, events, grants
from spotguard.store.prepared import Prepared
from spotguard.store.tables import switches

Row = sa.Row[Any]


def is_needed(tx: sa.Connection, switch: Row) -> bool:
    """The server set out to carry volumes away from a holder that lives: nobody else brings them back."""
    if switch.is_recovery or switch.kind != MoveKind.VOLUME or not switch.plan.get("volumes"):
        return False
    held = grants.holder(tx, switch.agent_id)
    at_home = held is not None and held.instance_id == switch.old_instance_id
    return at_home and not deaths.is_dead(tx, switch.old_instance_id)


def begin(tx: sa.Connection, now: datetime, switch: Row, because: str) -> bool:
    """From here on the move is not granted any more. False when somebody was first."""
    begun = tx.execute(
        sa.update(switches)
        .where(
            switches.c.id == switch.id,
            switches.c.status == SwitchStatus.PREPARING.value,
            switches.c.unwinding_since.is_(None),
        )
        .values(unwinding_since=now, ended_because=because)
    )
    if begun.rowcount != 1:
        return False
    message, detail = f"the volumes are brought back: {because}", {"switch_id": switch.id}
    events.append(tx, now, switch.client_id, switch.agent_id, "switch_unwinding", message, detail)
    return True


def goes_on(tx: sa.Connection, switch_id: SwitchId | str) -> bool:
    """The move is still before its grant, and nobody has given it up."""
    return _GOES_ON.first(tx, {"move": switch_id}) is not None


def goes_back(tx: sa.Connection, switch_id: SwitchId | str) -> bool:
    """It is given up, and its volumes are not all back."""
    return _GOES_BACK.first(tx, {"move": switch_id}) is not None


def _preparing(how: sa.ColumnElement[bool]) -> Prepared:
    mine = switches.c.id == sa.bindparam("move"), switches.c.status == SwitchStatus.PREPARING.value
    return Prepared(sa.select(switches.c.id).where(*mine, how))


_GOES_ON = _preparing(switches.c.unwinding_since.is_(None))
_GOES_BACK = _preparing(switches.c.unwinding_since.is_not(None))
