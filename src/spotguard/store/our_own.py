"""Which machines, snapshots and images are ours. Our tags alone say nothing: who makes a backup of our volume, copies
our image or launches another machine like ours takes them along.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from spotguard.domain import image_names
from spotguard.domain.ids import AgentId
from spotguard.domain.tags import SWITCH_TAG
from spotguard.ports.cloud import ImageView, SnapshotView
from spotguard.ports.intentions import TOKEN_TAG
from spotguard.store.intentions import agents_token
from spotguard.store.prepared import Prepared
from spotguard.store.tables import instances, intentions, storage_resources

Row = sa.Row[Any]
_t = intentions.c
_i = instances.c
_s = storage_resources.c
_COPIED_FROM = "vol-ffffffff"  # the source that EC2 names for a snapshot that was copied (CopySnapshot)

_LAUNCH = Prepared(sa.select(_t.token).where(_t.token.in_([sa.bindparam("token"), sa.bindparam("agents")])))
_NAMED = Prepared(sa.select(_t.token).where(_t.resource_id == sa.bindparam("machine")).limit(1))
_ALIKE = Prepared(
    sa.select(_i.id)
    .where(
        _i.client_id == sa.bindparam("client"),
        _i.intention_token == sa.bindparam("token"),
        _i.id != sa.bindparam("machine"),
    )
    .limit(1)
)
_OTHER_IMAGE = Prepared(
    sa.select(_s.id)
    .where(
        _s.agent_id == sa.bindparam("agent"),
        _s.kind == "image",
        _s.switch_id == sa.bindparam("switch"),
        _s.id != sa.bindparam("image"),
    )
    .limit(1)
)


def is_launch_known(tx: sa.Connection, machine: Row) -> bool:
    """This database knows the launch whose token the machine carries, its own or its agent's.

    What it does not know although the tag is ours was launched after the backup that it was restored from, and may be
    the one that serves.
    """
    role = machine.replica_id or machine.switch_id
    agents = machine.intention_token if role is None else agents_token(role)
    if _LAUNCH.first(tx, {"token": machine.intention_token, "agents": agents}) is not None:
        return True
    return _is_named(tx, machine)


def was_launched_by_us(tx: sa.Connection, machine: Row) -> bool:
    """And the launch gave this machine. EC2 gives one for a token: of two, its owner launched one like ours."""
    if _is_named(tx, machine):
        return True
    alike = {"client": machine.client_id, "token": machine.intention_token, "machine": machine.id}
    return is_launch_known(tx, machine) and _ALIKE.first(tx, alike) is None


def _is_named(tx: sa.Connection, machine: Row) -> bool:
    return _NAMED.first(tx, {"machine": machine.id}) is not None


def is_our_snapshot(view: SnapshotView) -> bool:
    """No volume's tags, which a backup of it carries, and no copy of a snapshot: ours never have a token."""
    return TOKEN_TAG not in view.tags and view.volume_id != _COPIED_FROM


def is_our_image(tx: sa.Connection, agent_id: AgentId, view: ImageView) -> bool:
    """By its name, which no image of its owner's has, and when it was made. A move makes one."""
    switch_id = view.tags.get(SWITCH_TAG)
    if TOKEN_TAG in view.tags:
        return False
    if image_names.is_of_restore_point(view.name, agent_id, view.created_at):
        return True
    if not image_names.is_of_move(view.name, switch_id):
        return False
    other = {"agent": agent_id, "switch": switch_id, "image": view.image_id}
    return switch_id is None or _OTHER_IMAGE.first(tx, other) is None
