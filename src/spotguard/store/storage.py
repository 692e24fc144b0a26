"""Volumes, snapshots and images as EC2 last showed them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, ClientId, InstanceId, VolumeId
from spotguard.domain.salvages import is_for_a_look
from spotguard.domain.tags import AGENT_TAG, PURPOSE_TAG, SWITCH_TAG
from spotguard.planning.switching import ROOT_DEVICES, STATE_DEVICE
from spotguard.ports.cloud import (
    ImageView,
    SnapshotView,
    StorageRates,
    StorageView,
    Tags,
    VolumeView,
)
from spotguard.store import made_with, our_own, tagged
from spotguard.store.batches import batch_of, batched
from spotguard.store.made_with import NOBODYS
from spotguard.store.prepared import Prepared
from spotguard.store.settled import not_after
from spotguard.store.shared_volumes import as_its_holder_has_it
from spotguard.store.tables import agents, epoch_grants, instances, storage_resources, switches

Row = sa.Row[Any]
_s = storage_resources.c
_i = instances.c
_STATE_VOLUME = Prepared(
    sa.select(storage_resources)
    .where(
        _s.kind == "volume",
        _s.device == STATE_DEVICE,
        _s.ended_at.is_(None),
        sa.or_(
            _s.attached_to == sa.bindparam("machine"),
            sa.and_(_s.attached_to.is_(None), _s.last_attached_to == sa.bindparam("machine")),
        ),
    )
    .order_by(_s.created_at.desc(), _s.id)
    .limit(1)
)
_ALIVE = Prepared(
    sa.select(_s.id, _s.client_id, _s.is_ours, _s.kind, _s.state, _s.attached_to, _s.device).where(
        _s.ended_at.is_(None)
    )
)
_ONE = Prepared(sa.select(storage_resources).where(_s.id == sa.bindparam("resource")))
_KNOWN = Prepared(sa.select(_s.id).where(_s.id.in_(batch_of(_s.id))))
_WITH_DEVICE = Prepared(sa.select(_s.id).where(_s.id.in_(batch_of(_s.id)), _s.device.is_not(None)))
_VOLUMES_OF_AGENT = Prepared(
    sa.select(_s.id)
    .where(_s.agent_id == sa.bindparam("agent"), _s.kind == "volume", _s.ended_at.is_(None))
    .order_by(_s.id)
)


def state_volume_of(tx: sa.Connection, instance_id: InstanceId) -> Row | None:
    """The volume that holds, or after a death held, the workload's state on this instance."""
    return _STATE_VOLUME.first(tx, {"machine": instance_id})


def unknown_of(tx: sa.Connection, volume_ids: Iterable[VolumeId]) -> list[VolumeId]:
    """Those of them that no row tells of."""
    asked = list(volume_ids)
    known = {row.id for some in batched(asked) for row in _KNOWN.rows(tx, some)}
    return [volume_id for volume_id in asked if volume_id not in known]


def with_device(tx: sa.Connection, volume_ids: Sequence[VolumeId]) -> set[str]:
    """Those of them whose device is known."""
    return {row.id for some in batched(volume_ids) for row in _WITH_DEVICE.rows(tx, some)}


def volumes_of_agent(tx: sa.Connection, agent_id: str) -> list[VolumeId]:
    """Every volume of the agent that is not known to be deleted."""
    return [VolumeId(row.id) for row in _VOLUMES_OF_AGENT.rows(tx, {"agent": agent_id})]


def alive(tx: sa.Connection) -> list[Row]:
    """Everything that still costs money, of every tenant."""
    return list(_ALIVE.rows(tx, {}))


def says(row: Row, view: StorageView) -> bool:
    """Whether the row has what EC2 shows: its state, and of a volume who has it."""
    if row.state != view.state:
        return False
    if not isinstance(view, VolumeView) or _is_for_a_look(view, row):
        return True
    shared: list[str | None] = [one.instance_id for one in view.shared_by or ()]
    return row.attached_to in (shared or [view.attached_to])


def saw_volume(
    tx: sa.Connection,
    client_id: ClientId,
    view: VolumeView,
    rates: StorageRates | None,
    *,
    owner: Row | None = None,
    delete_with_instance: bool = False,
) -> None:
    """`owner`: the instance that an untagged volume came with. `rates` None: not known now, a later look tells."""
    known = row_of(tx, view.volume_id)
    if known is None:
        agent_id = _agent_of(tx, client_id, view.tags) if owner is None else owner.agent_id
        if agent_id is None:
            return
        row = _new(client_id, agent_id, "volume", view.volume_id, view.size_gib, view.created_at) | {
            "az": view.az,
            "source_id": view.snapshot_id,
            "switch_id": tagged.named(tx, switches, agent_id, view.tags.get(SWITCH_TAG)),
            "usd_per_gib_month": None if rates is None else rates.volume_usd_per_gib_month,
            "is_ours": owner is None,
            "delete_with_instance": delete_with_instance,
            "purpose": view.tags.get(PURPOSE_TAG, "")[:20] or None,
        }
        if owner is not None:
            row["metered_from"] = max(view.created_at, owner.installed_at or view.created_at)
        shown = _attachment(tx, agent_id, view, None)
        tx.execute(sa.insert(storage_resources), row | shown)
    else:
        shown = _attachment(tx, known.agent_id, view, known)
        _write(tx, known, shown | _rate(known, rates))
    if shown.get("attached_to") is not None and shown.get("device") is not None:
        made_with.replaced_at(tx, shown["attached_to"], shown["device"], view.volume_id)


def _write(tx: sa.Connection, known: Row, shown: dict[str, Any]) -> None:
    """What EC2 shows, where it is not what the row has; what it shows has not ended."""
    values = {name: value for name, value in shown.items() if getattr(known, name) != value}
    if values or known.ended_at is not None:
        tx.execute(sa.update(storage_resources).where(_s.id == known.id).values(ended_at=None, **values))


def _rate(known: Row, rates: StorageRates | None) -> dict[str, Any]:
    """First told stays: what a volume has cost is not reckoned anew."""
    if known.usd_per_gib_month is not None or rates is None:
        return {}
    return {"usd_per_gib_month": rates.volume_usd_per_gib_month}


def saw_owned_volumes(
    tx: sa.Connection,
    client_id: ClientId,
    views: Iterable[VolumeView],
    rates: StorageRates | None,
    owner: Row,
    ephemeral: Container[str],
) -> None:
    """Volumes of an instance that its owner launched; `ephemeral`: those that he wanted deleted with it."""
    for view in views:
        saw_volume(tx, client_id, view, rates, owner=owner, delete_with_instance=view.volume_id in ephemeral)


def data_volumes_of(tx: sa.Connection, instance_id: InstanceId) -> list[Row]:
    """Every volume besides the root that the instance has, or had when it ended, and no other holder has now.

    Carried to a machine that has never been granted anything it is still this one's state.
    """
    return list(_DATA_VOLUMES_OF.rows(tx, {"machine": instance_id}))


def has_kept_state(tx: sa.Connection, agent_id: AgentId) -> bool:
    """Whether one of its instances was ever seen with a volume, besides the root, that was to outlive it."""
    return _HAS_KEPT_STATE.first(tx, {"agent": agent_id}) is not None


def data_volumes_named(tx: sa.Connection, volume_ids: Sequence[str]) -> list[Row]:
    """Those of the named volumes that are still there, whoever has them."""
    if not volume_ids:
        return []
    return list(tx.execute(_DATA_VOLUMES.where(_s.id.in_(volume_ids))).all())


def ended_of(tx: sa.Connection, resource_ids: Sequence[str]) -> list[str]:
    """Those of the named resources that are known to be deleted."""
    if not resource_ids:
        return []
    found = sa.select(_s.id).where(_s.id.in_(resource_ids), _s.ended_at.is_not(None))
    return list(tx.execute(found.order_by(_s.id)).scalars())


_DATA_VOLUMES = (
    sa.select(storage_resources)
    .where(
        _s.kind == "volume",
        _s.ended_at.is_(None),
        _s.device.is_not(None),
        _s.device.not_in(sorted(ROOT_DEVICES)),
    )
    .order_by(_s.device, _s.created_at.desc())
)
_DATA_VOLUMES_OF = Prepared(
    _DATA_VOLUMES.where(
        sa.or_(
            _s.attached_to == sa.bindparam("machine"),
            sa.and_(_s.attached_to.is_(None), _s.last_attached_to == sa.bindparam("machine")),
            sa.and_(
                _s.moved_from == sa.bindparam("machine"),
                sa.or_(
                    _s.attached_to.is_(None),
                    sa.and_(
                        # one of its agent's that has never served: at anybody else's its owner has taken it away
                        _s.attached_to.in_(sa.select(_i.id).where(_i.agent_id == _s.agent_id)),
                        _s.attached_to.not_in(sa.select(epoch_grants.c.instance_id)),
                    ),
                ),
            ),
        )
    )
)
_SERVED = (
    sa.select(epoch_grants.c.epoch).where(epoch_grants.c.instance_id == sa.bindparam("machine")).limit(1)
)
_HAS_KEPT_STATE = Prepared(
    sa.select(_s.id)
    .where(
        _s.agent_id == sa.bindparam("agent"),
        _s.kind == "volume",
        _s.device.is_not(None),
        _s.device.not_in(sorted(ROOT_DEVICES)),
        sa.not_(_s.delete_with_instance),
    )
    .limit(1)
)


def _attachment(tx: sa.Connection, agent_id: str, view: VolumeView, known: Row | None) -> dict[str, Any]:
    """Of a volume that is seen for the first time when nobody has it any more, what its launch tells.

    What is shown for a look, by us or by a person, is nobody's state: a copy, or a volume that had another device.
    """
    held = as_its_holder_has_it(tx, agent_id, view, known) if view.shared_by else view
    if held is None or _is_for_a_look(held, known):
        return {"state": view.state.value}
    return _attached(tx, agent_id, held, known)


def _attached(tx: sa.Connection, agent_id: str, view: VolumeView, known: Row | None) -> dict[str, Any]:
    """`moved_from` only of what one machine alone can have: that the next one has it says then who has it no more."""
    values: dict[str, Any] = {"state": view.state.value, "attached_to": view.attached_to}
    if view.attached_to is None:
        if known is None or known.last_attached_to is None:
            values["last_attached_to"] = made_with.first_holder(tx, agent_id, view)
        if known is None or known.device is None:
            values["device"] = made_with.device(tx, agent_id, view)
        if made_with.is_replaced(tx, view, known, values):
            values |= NOBODYS
    else:
        values |= {"last_attached_to": view.attached_to}
        if view.device is not None:
            values |= {"device": view.device}
        is_alone = view.shared_by is None
        if is_alone and known is not None and known.last_attached_to not in (None, view.attached_to):
            values |= {"moved_from": _whose(tx, known)}
    return values


def _is_for_a_look(view: VolumeView, known: Row | None) -> bool:
    return is_for_a_look(view.device, view.tags, None if known is None else known.device)


def _whose(tx: sa.Connection, known: Row) -> str:
    """Whose state it brings along: who had it last, unless that was only carrying it and never served."""
    served = tx.execute(_SERVED, {"machine": known.last_attached_to}).first() is not None
    return str(known.last_attached_to if served or known.moved_from is None else known.moved_from)


def saw_snapshot(
    tx: sa.Connection, client_id: ClientId, view: SnapshotView, rates: StorageRates | None
) -> None:
    known = row_of(tx, view.snapshot_id)
    if known is not None:
        shown: dict[str, Any] = {"state": view.state.value}
        if known.usd_per_gib_month is None and rates is not None:
            shown["usd_per_gib_month"] = rates.snapshot_usd_per_gib_month
        _write(tx, known, shown)
        return
    agent_id = _agent_of(tx, client_id, view.tags)
    if agent_id is None or not our_own.is_our_snapshot(view):
        return
    row = _new(client_id, agent_id, "snapshot", view.snapshot_id, view.size_gib, view.started_at)
    tx.execute(
        sa.insert(storage_resources),
        row
        | {
            "source_id": view.volume_id,
            "switch_id": tagged.named(tx, switches, agent_id, view.tags.get(SWITCH_TAG)),
            "usd_per_gib_month": None if rates is None else rates.snapshot_usd_per_gib_month,
            "state": view.state.value,
        },
    )


def saw_image(tx: sa.Connection, client_id: ClientId, view: ImageView) -> None:
    row = row_of(tx, view.image_id)
    agent_id = _agent_of(tx, client_id, view.tags)
    owned = _s.id.in_(sorted(view.snapshots.values())), _s.client_id == client_id, _s.image_id.is_(None)
    is_new = row is None and agent_id is not None and our_own.is_our_image(tx, agent_id, view)
    if view.snapshots:
        whose = {"is_ours": False} if row is None and not is_new else {"image_id": view.image_id}
        tx.execute(sa.update(storage_resources).where(*owned).values(**whose))
    if row is not None:
        _write(tx, row, {"state": view.state.value})
    if agent_id is None or not is_new:
        return
    tx.execute(
        sa.insert(storage_resources),
        _new(client_id, agent_id, "image", view.image_id, 0, view.created_at)
        | {
            "switch_id": tagged.named(tx, switches, agent_id, view.tags.get(SWITCH_TAG)),
            "state": view.state.value,
            "purpose": view.tags.get(PURPOSE_TAG, "")[:20] or None,
        },
    )


def _new(
    client_id: ClientId,
    agent_id: str,
    kind: str,
    resource_id: str,
    size_gib: int,
    made_at: datetime,
) -> dict[str, Any]:
    return {
        "id": resource_id,
        "client_id": client_id,
        "agent_id": agent_id,
        "kind": kind,
        "size_gib": size_gib,
        "created_at": made_at,
        "metered_from": made_at,
        "is_ours": True,
        "delete_with_instance": False,
    }


def row_of(tx: sa.Connection, resource_id: str) -> Row | None:
    return _ONE.first(tx, {"resource": resource_id})


def _agent_of(tx: sa.Connection, client_id: ClientId, tags: Tags) -> AgentId | None:
    found = tx.execute(
        sa.select(agents.c.id).where(agents.c.id == tags.get(AGENT_TAG, ""), agents.c.client_id == client_id)
    ).scalar_one_or_none()
    return None if found is None else AgentId(found)


def gone(tx: sa.Connection, at: datetime, resource_ids: Sequence[str]) -> None:
    """Deleted: nothing is billed from here on."""
    if resource_ids:
        over = {"ended_at": at, "state": "deleted", "attached_to": None}
        told = sa.update(storage_resources).where(_s.id.in_(resource_ids), _s.ended_at.is_(None))
        tx.execute(told.values(**over, metered_until=not_after(_s.metered_until, at)))


def monthly_usd(tx: sa.Connection, agent_id: AgentId) -> Decimal:
    """USD per month of the agent's volumes and snapshots."""
    rows = tx.execute(
        sa.select(_s.size_gib, _s.usd_per_gib_month).where(
            _s.agent_id == agent_id, _s.ended_at.is_(None), _s.usd_per_gib_month.is_not(None)
        )
    ).all()
    return sum((row.size_gib * row.usd_per_gib_month for row in rows), Decimal(0))


def moved_away_from(tx: sa.Connection, instance_id: InstanceId) -> Row | None:
    """A volume that held this instance's state and is attached to another one now."""
    found = sa.select(storage_resources).where(
        _s.kind == "volume",
        _s.moved_from == instance_id,
        _s.attached_to.is_not(None),
        _s.attached_to != instance_id,
        _s.ended_at.is_(None),
    )
    return tx.execute(found.order_by(_s.id).limit(1)).first()


def volume_ids_of(tx: sa.Connection, client_id: ClientId) -> list[VolumeId]:
    found = sa.select(_s.id).where(_s.client_id == client_id, _s.kind == "volume", _s.ended_at.is_(None))
    return [VolumeId(row) for row in tx.execute(found.limit(100)).scalars()]
