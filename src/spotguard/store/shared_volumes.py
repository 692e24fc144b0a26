"""Volumes that several machines may have at once (Multi-Attach): whose state one is, of all that have it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from spotguard.ports.cloud import VolumeView
from spotguard.store.tables import epoch_grants

_g = epoch_grants.c


def as_its_holder_has_it(
    tx: sa.Connection, agent_id: str, view: VolumeView, known: sa.Row[Any] | None
) -> VolumeView | None:
    """As the one that served last among them has it: who else has it says nothing of its state.

    None: it stays whose it was, since none of them has served after that one.
    """
    devices = {one.instance_id: one.device for one in view.shared_by or ()}
    asked = {*devices, *([] if known is None else [known.last_attached_to or ""])}
    served = sa.select(_g.instance_id).where(_g.agent_id == agent_id, _g.instance_id.in_(sorted(asked)))
    newest = tx.execute(served.order_by(_g.epoch.desc()).limit(1)).scalar()
    if newest in devices:
        return replace(view, attached_to=newest, device=devices[newest])
    return view if known is None else None
