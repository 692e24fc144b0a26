"""What an ended instance left, and which of it its state lies on, as its agent said while it lived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.store import agents, storage
from spotguard.store.prepared import Prepared
from spotguard.store.tables import storage_resources

Row = sa.Row[Any]
_s = storage_resources.c
_HAD = Prepared(
    sa.select(storage_resources)
    .where(
        _s.kind == "volume",
        _s.ended_at.is_(None),
        _s.last_attached_to == sa.bindparam("machine"),
        sa.or_(_s.attached_to.is_(None), _s.attached_to == sa.bindparam("machine")),
    )
    .order_by(_s.device, _s.id)
)
ON_ROOT = "its state lay on the disk that it booted from, and of that no copy is compared"


@dataclass(frozen=True)
class Left:
    """`volumes`: all that is there. `state`: the one that the state lies on, alone; None: `because` says why none is
    known to be that. `was_said`: its agent has said on which volumes the state lies.
    """

    volumes: list[Row]
    state: Row | None
    because: str | None
    was_said: bool

    @property
    def still_attached(self) -> list[str]:
        return [row.id for row in self.volumes if row.attached_to is not None]


def left_by(tx: sa.Connection, instance_id: InstanceId) -> Left:
    data = storage.data_volumes_of(tx, instance_id)
    known = {row.id for row in data}
    volumes = data + [row for row in _HAD.rows(tx, {"machine": instance_id}) if row.id not in known]
    said = agents.state_volumes(tx, instance_id)
    if agents.state_on_root(tx, instance_id):
        return Left(volumes, None, ON_ROOT, said is not None)
    state, because = _the_only(data) if said is None else _the_said(volumes, said)
    return Left(volumes, state, because, said is not None)


def _the_only(data: list[Row]) -> tuple[Row | None, str | None]:
    """Of one whose agent has not said where its state lies: several volumes may be anything."""
    if len(data) == 1:
        return data[0], None
    if not data:
        return (
            None,
            "it is not known where its state lay: no volume is left besides the one that it booted from",
        )
    named = ", ".join(row.id for row in data)
    return None, f"it is not known on which of {named} its state lies: its agent has not said so"


def _the_said(volumes: list[Row], said: list[str]) -> tuple[Row | None, str | None]:
    if len(said) > 1:
        return (
            None,
            f"its state lies on several volumes ({', '.join(said)}), and one alone tells nothing of it",
        )
    found = next((row for row in volumes if row.id == said[0]), None)
    return found, None if found is not None else f"its state lies on {said[0]}, which it did not leave"
