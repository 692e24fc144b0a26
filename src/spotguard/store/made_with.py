"""Whose a volume was that nobody has seen attached: what the launch that made it tells (ruling B9).

EC2 does not tell who had a free volume last. Its tags name the switch or replica for which
it was made, together with an instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import InstanceId
from spotguard.domain.tags import DRILL_TAG, PROBE_TAG, REPLICA_TAG, SWITCH_TAG
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.ports.cloud import Tags, VolumeView
from spotguard.store.tables import instances, storage_resources

SAME_LAUNCH = timedelta(minutes=10)  # EC2 makes an instance's volumes as it starts it
_s = storage_resources.c
_i = instances.c


def first_holder(tx: sa.Connection, agent_id: str, view: VolumeView) -> InstanceId | None:
    """The one instance of this agent that was launched at the same time for the same: a switch, a drill and so on."""
    roles = _roles(view.tags)
    if not roles:
        return None
    rows = tx.execute(
        sa.select(_i.id, _i.launched_at, _i.created_at).where(_i.agent_id == agent_id, sa.or_(*roles))
    ).all()
    alike = [row.id for row in rows if _is_near(row.launched_at or row.created_at, view.created_at)]
    return InstanceId(alike[0]) if len(alike) == 1 else None


def _roles(tags: Tags) -> list[sa.ColumnElement[bool]]:
    named = (
        (_i.switch_id, tags.get(SWITCH_TAG)),
        (_i.replica_id, tags.get(REPLICA_TAG)),
        (_i.drill_id, tags.get(DRILL_TAG)),
        (_i.probe_id, tags.get(PROBE_TAG)),
    )
    return [column == value for column, value in named if value is not None]


def _is_near(launched_at: datetime, made_at: datetime) -> bool:
    return abs(launched_at - made_at) <= SAME_LAUNCH


def device(tx: sa.Connection, agent_id: str, view: VolumeView) -> str | None:
    """Made from a snapshot: where the snapshot's volume had been. Empty: where the agent's volumes of its size are."""
    if view.snapshot_id is not None:
        copied = sa.select(_s.source_id).where(_s.id == view.snapshot_id)
        return _only(tx, _s.id.in_(copied))
    alike = _s.agent_id == agent_id, _s.size_gib == view.size_gib
    return _only(tx, sa.and_(*alike, _s.device.not_in(sorted(ROOT_DEVICES))))


def _only(tx: sa.Connection, wanted: sa.ColumnElement[bool]) -> str | None:
    """The device of all volumes so described; None when they differ, or there is none."""
    found: Any = tx.execute(
        sa.select(_s.device).where(_s.kind == "volume", _s.device.is_not(None), wanted).distinct()
    ).scalars()
    devices = list(found)
    return devices[0] if len(devices) == 1 else None


NOBODYS = {"last_attached_to": None, "moved_from": None}
"""Whose it was is not known any more: a person says so, and no clean-up deletes it."""


def is_replaced(
    tx: sa.Connection, view: VolumeView, known: sa.Row[Any] | None, values: Mapping[str, Any]
) -> bool:
    """Another volume has come to the place that this one had, as the row or the new `values` tell it."""
    holder, device = (values.get(name, getattr(known, name, None)) for name in ("last_attached_to", "device"))
    if holder is None or device is None:
        return False
    others = sa.select(_s.id).where(*_at(holder, device), _s.id != view.volume_id)
    return tx.execute(others.limit(1)).first() is not None


def replaced_at(tx: sa.Connection, holder: str, device: str, by: str) -> None:
    """`by` is seen at a place that other volumes had, which nobody has now: whose state they hold, a person knows."""
    free = _s.attached_to.is_(None), _s.id != by
    tx.execute(sa.update(storage_resources).where(*_at(holder, device), *free).values(**NOBODYS))


def _at(holder: str, device: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _s.kind == "volume",
        _s.ended_at.is_(None),
        _s.last_attached_to == holder,
        _s.device == device,
    )
