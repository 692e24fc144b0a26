"""What a clone's agent says that it looked at, beside where the state of who serves lies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId
from spotguard.planning.drills import Rehearsed, StatePlace
from spotguard.store import grants
from spotguard.store.tables import instances, storage_resources

Row = sa.Row[Any]
_i, _s = instances.c, storage_resources.c


def look(tx: sa.Connection, drill: Row, result: Any) -> tuple[Rehearsed, StatePlace | None]:
    """An agent is not believed to speak well: what is not of its kind counts as not said."""
    told = result if isinstance(result, dict) else {}
    on_root, volumes = _kind(told, "state_on_root", bool), _kind(told, "state_volumes", list)
    place = StatePlace(drill.instance_id, on_root, _devices(tx, volumes))
    path, mounted_at = _kind(told, "state_path", str), _kind(told, "mounted_at", str)
    return Rehearsed(_kind(told, "has_probe", bool), path, mounted_at, place), _of_serving(tx, drill.agent_id)


def _kind(told: dict[str, Any], name: str, wanted: type) -> Any:
    value = told.get(name)
    return value if isinstance(value, wanted) else None


def _of_serving(tx: sa.Connection, agent_id: str) -> StatePlace | None:
    held = grants.holder(tx, AgentId(agent_id))
    if held is None:
        return None
    words = sa.select(_i.state_on_root, _i.state_volumes).where(_i.id == held.instance_id)
    said = tx.execute(words).one_or_none()
    if said is None:
        return None
    volumes = said.state_volumes.split(",") if said.state_volumes else None
    return StatePlace(held.instance_id, said.state_on_root, _devices(tx, volumes))


def _devices(tx: sa.Connection, volumes: Iterable[Any] | None) -> frozenset[str] | None:
    """As what EC2 shows all of them attached; None where it has not shown one of them."""
    named = {volume for volume in volumes or () if isinstance(volume, str)}
    rows = tx.execute(sa.select(_s.id, _s.device).where(_s.id.in_(named), _s.device.is_not(None))).all()
    return frozenset(row.device for row in rows) if named and len(rows) == len(named) else None
