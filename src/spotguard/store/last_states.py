"""Disks that hold what a workload lost when it came back from an image, or may hold what a promoted standby lacks: kept
for a person, whosever they were.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.salvages import SalvageStatus
from spotguard.domain.switches import MoveKind, SwitchStatus
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.store.prepared import Prepared
from spotguard.store.steps import IS_GRANTED
from spotguard.store.tables import epoch_grants, replica_instances, salvages, storage_resources, switches

Row = sa.Row[Any]
_s = storage_resources.c
_r = replica_instances.c
_e = epoch_grants.c
_FROM_AN_IMAGE = (
    switches.c.agent_id == _s.agent_id,
    switches.c.is_recovery,
    switches.c.kind == MoveKind.IMAGE.value,
    IS_GRANTED,
)


def is_last_state() -> sa.ColumnElement[bool]:
    """For a WHERE on `storage_resources`: what was written last may lie there alone."""
    return sa.or_(_is_older_image(), _is_not_in_its_image(), _is_uncompared())


def _had_it(instance_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Last, or before whoever has looked into it since."""
    return sa.or_(instance_id == _s.last_attached_to, instance_id == _s.moved_from)


def _is_uncompared(*more: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Of a holder that died unheard, whose promoted standby lacks writes: no look has told how many they are. `more`:
    what else holds of that recovery.
    """
    was_compared = sa.exists().where(
        salvages.c.switch_id == switches.c.id, salvages.c.status == SalvageStatus.OFFERED.value
    )
    return sa.exists().where(
        switches.c.agent_id == _s.agent_id,
        switches.c.is_recovery,
        switches.c.kind == MoveKind.SYNCED.value,
        IS_GRANTED,
        sa.or_(switches.c.lost_seconds.is_(None), switches.c.lost_seconds > 0),
        _had_it(switches.c.old_instance_id),
        sa.not_(was_compared),
        *more,
    )


def _is_older_image() -> sa.ColumnElement[bool]:
    """Nothing was taken from it by the recovery that followed its machine's death.

    A disk of the holder that died; of an earlier one that had not been cleaned up by then, since the image may be older
    than what it left; or of a standby that had been in sync and was gone by then, too.
    """
    of_holder = sa.exists().where(
        *_FROM_AN_IMAGE,
        _e.agent_id == _s.agent_id,
        _had_it(_e.instance_id),
        _e.epoch <= switches.c.from_epoch,
    )
    of_standby = sa.exists().where(
        *_FROM_AN_IMAGE,
        _r.agent_id == _s.agent_id,
        _r.instance_id == _s.last_attached_to,
        _r.synced_at.is_not(None),
        _r.status != ReplicaStatus.PROMOTED.value,
        _r.created_at <= switches.c.created_at,
    )
    return sa.or_(of_holder, of_standby)


def _is_not_in_its_image() -> sa.ColumnElement[bool]:
    """A planned move by an image that was made while the volume was attached to nobody. The root is in every image."""
    image = storage_resources.alias("image").c
    lacks = sa.exists().where(image.switch_id == switches.c.id, image.kind == "image", image.is_partial)
    return sa.exists().where(
        switches.c.agent_id == _s.agent_id,
        sa.not_(switches.c.is_recovery),
        switches.c.kind == MoveKind.IMAGE.value,
        IS_GRANTED,
        _had_it(switches.c.old_instance_id),
        sa.or_(_s.device.is_(None), _s.device.not_in(sorted(ROOT_DEVICES))),
        lacks,
    )


_FREE = sa.select(storage_resources).where(
    _s.kind == "volume",
    _s.ended_at.is_(None),
    _s.attached_to.is_(None),
    sa.or_(_s.is_ours, _s.delete_with_instance),
)
_IMAGED = Prepared(_FREE.where(_is_older_image()).order_by(_s.created_at, _s.id))
_NOT_IMAGED = Prepared(_FREE.where(_is_not_in_its_image()).order_by(_s.created_at, _s.id))
_HAS_NO_LOOK_LEFT = sa.or_(
    switches.c.status == SwitchStatus.COMPLETED.value,
    sa.exists().where(salvages.c.switch_id == switches.c.id, salvages.c.status == SalvageStatus.FAILED.value),
)
_OF_A_PROMOTED = _FREE.where(sa.not_(_is_older_image())).order_by(_s.created_at, _s.id)
_UNCOMPARED = Prepared(_OF_A_PROMOTED.where(_is_uncompared(_HAS_NO_LOOK_LEFT)))
_AWAITED = Prepared(_OF_A_PROMOTED.where(_is_uncompared(), sa.not_(_is_uncompared(_HAS_NO_LOOK_LEFT))))


def after_an_image(tx: sa.Connection) -> list[Row]:
    """Of every tenant: the workload came back from an image."""
    return list(_IMAGED.rows(tx, {}))


def not_in_their_image(tx: sa.Connection) -> list[Row]:
    """Of every tenant: their holder's successor was launched from an image that lacks them."""
    return list(_NOT_IMAGED.rows(tx, {}))


def uncompared(tx: sa.Connection) -> list[Row]:
    """Of every tenant: a standby took over, and no look will tell what it lacks."""
    return list(_UNCOMPARED.rows(tx, {}))


def awaits_its_look(tx: sa.Connection) -> list[Row]:
    """The same, of those whose look goes on or is to begin."""
    return list(_AWAITED.rows(tx, {}))
