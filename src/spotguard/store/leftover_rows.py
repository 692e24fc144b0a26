"""Which machines and resources nothing refers to any more (invariants 6 and 7)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import OPEN_COMMAND, CommandType, CreatedBy, Priority
from spotguard.domain.drills import OPEN_DRILL
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.probes import OPEN_PROBE
from spotguard.domain.replicas import LIVE_REPLICA
from spotguard.domain.salvages import OPEN_SALVAGE
from spotguard.domain.salvages import PURPOSE as SALVAGE
from spotguard.domain.switches import SwitchStatus
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.store import claims, commands, grants, our_own, tickets
from spotguard.store.last_states import is_last_state
from spotguard.store.prepared import Prepared
from spotguard.store.restore_points import PURPOSE
from spotguard.store.served import is_deleted, is_unserved, was_given_up
from spotguard.store.steps import IS_OPEN
from spotguard.store.tables import (
    agents,
    drills,
    epoch_grants,
    instances,
    intentions,
    probes,
    replica_instances,
    salvages,
    storage_resources,
    switches,
)
from spotguard.store.tables import commands as commands_table

Row = sa.Row[Any]
_s = storage_resources.c
_i = instances.c
_LIVE = [status.value for status in LIVE_REPLICA]

_held = sa.exists().where(epoch_grants.c.instance_id == _i.id)
# Each half is a look by a key: an OR within would be a walk through all that lives, for every machine.
_standby = sa.or_(
    sa.exists().where(replica_instances.c.live_instance_id == _i.id),
    sa.exists().where(replica_instances.c.id == _i.replica_id, replica_instances.c.status.in_(_LIVE)),
)
_moving = sa.or_(
    sa.exists().where(switches.c.new_instance_id == _i.id, IS_OPEN),
    sa.exists().where(switches.c.id == _i.switch_id, IS_OPEN),
)
_wished = sa.exists().where(
    intentions.c.status == "open",
    sa.or_(intentions.c.token == _i.intention_token, intentions.c.resource_id == _i.id),
)


_ticketed = tickets.may_be_used_by(_i.id)
_rehearsing = sa.exists().where(
    drills.c.status.in_([status.value for status in OPEN_DRILL]), drills.c.id == _i.drill_id
)
_probing = sa.exists().where(
    probes.c.status.in_([status.value for status in OPEN_PROBE]), probes.c.id == _i.probe_id
)
_ROLELESS = (
    sa.not_(_held),
    sa.not_(_standby),
    sa.not_(_moving),
    sa.not_(_wished),
    sa.not_(_ticketed),
    sa.not_(_rehearsing),
    sa.not_(_probing),
)
_IDLE: sa.Select[Any] = sa.select(instances).where(_i.id == sa.bindparam("machine"), _i.is_active, *_ROLELESS)
_ORPHANS = Prepared(sa.select(instances).where(_i.is_active, _i.intention_token.is_not(None), *_ROLELESS))


def idle_machine(tx: sa.Connection, instance_id: InstanceId) -> Row | None:
    """The row of a running machine that never held an epoch, may hold none by a ticket, and has no role."""
    return tx.execute(_IDLE, {"machine": instance_id}).one_or_none()


def orphan_machines(tx: sa.Connection) -> list[Row]:
    """Ours (launched with a token of ours), running, and without any role."""
    return list(_ORPHANS.rows(tx, {}))


def ask_agent_to_end(tx: sa.Connection, now: datetime, row: Row, because: str) -> bool:
    """Where the server has no EC2: a command for the primary's agent, one at a time."""
    held = grants.holder(tx, row.agent_id)
    c = commands_table.c
    is_open = sa.select(c.id).where(
        c.agent_id == row.agent_id,
        c.command_type == CommandType.RETIRE_REPLICA.value,
        c.status.in_([status.value for status in OPEN_COMMAND]),
    )
    if held is None or tx.execute(is_open.limit(1)).first() is not None:
        return False
    commands.enqueue(
        tx,
        now,
        client_id=ClientId(row.client_id),
        agent_id=AgentId(row.agent_id),
        instance_id=InstanceId(held.instance_id),
        command_type=CommandType.RETIRE_REPLICA,
        priority=Priority.SCHEDULED,
        created_by=CreatedBy.COORDINATOR,
        expires_at=now + timedelta(minutes=10),
        reason=because,
        payload={
            "instance_id": row.id,
            "replica_id": row.replica_id,
            "made_at": rfc3339(row.launched_at or row.created_at),
        },
        epoch=held.epoch,
    )
    return True


def of_switch(tx: sa.Connection, switch: Row) -> list[Row]:
    """Volumes that the ended old instance left and nobody has, and the move's snapshots.

    A volume that its owner brought is his, unless he had wanted it deleted with its instance.
    """
    old = tx.execute(sa.select(_i.is_active).where(_i.id == switch.old_instance_id)).scalar_one_or_none()
    if old or _served_later(tx, switch):
        return []  # it is left running, with all that it has; or what it left is a later move's to delete
    wanted = sa.or_(_s.is_ours, _s.delete_with_instance)
    volumes = sa.and_(
        _s.kind == "volume",
        wanted,
        _s.last_attached_to == switch.old_instance_id,
        sa.or_(_s.attached_to.is_(None), _s.attached_to == switch.old_instance_id),
        sa.not_(is_last_state()),
    )
    snapshots = sa.and_(
        _s.kind == "snapshot",
        _s.switch_id == switch.id,
        _s.is_ours,
        sa.exists().where(switches.c.id == switch.id, switches.c.is_recovery),
    )
    mine = sa.and_(_s.agent_id == switch.agent_id, _s.ended_at.is_(None), sa.or_(volumes, snapshots))
    rows = tx.execute(sa.select(storage_resources).where(mine)).all()
    return [row for row in rows if not _may_be_newest(tx, row)]


def _served_later(tx: sa.Connection, switch: Row) -> bool:
    """The old instance was given an epoch again, as after a move back to it."""
    g = epoch_grants.c
    again = sa.select(g.epoch).where(
        g.agent_id == switch.agent_id, g.instance_id == switch.old_instance_id, g.epoch > switch.from_epoch
    )
    return tx.execute(again.limit(1)).first() is not None


def of_owners(tx: sa.Connection, switch: Row | None = None) -> list[Row]:
    """Volumes that their owners brought and nobody has any more, since a move has ended the instance: of every agent
    that is protected, or those that the old instance of this switch has left.
    """
    if switch is None:
        return list(_OF_OWNERS.rows(tx, {}))
    last = _s.last_attached_to == switch.old_instance_id
    return list(tx.execute(sa.select(storage_resources).where(*_OWNERS, last)).all())


def unreferenced(tx: sa.Connection) -> list[Row]:
    """Volumes, snapshots and images of ours that no machine, move or agent needs."""
    return [row for row in _UNREFERENCED.rows(tx, {}) if not _may_be_newest(tx, row)]


def unreferenced_of(tx: sa.Connection, agent_id: AgentId) -> list[Row]:
    """Those of this agent."""
    return [row for row in _UNREFERENCED_OF.rows(tx, {"agent": agent_id}) if not _may_be_newest(tx, row)]


def of_unknown(tx: sa.Connection) -> list[Row]:
    """Volumes that no row needs, and that may hold the newest state of all: kept for a person."""
    return [row for row in _UNREFERENCED.rows(tx, {}) if _may_be_newest(tx, row)]


def _may_be_newest(tx: sa.Connection, thing: Row) -> bool:
    """Who had it last served by its own word, or may have by a ticket of which nobody has said what came of it, or was
    launched after the backup that this database was restored from, or is somebody else's machine.
    """
    if thing.kind != "volume" or thing.last_attached_to is None:
        return False
    if tickets.nobody_said(tx, thing.last_attached_to):
        return True
    last = tx.execute(sa.select(instances).where(_i.id == thing.last_attached_to)).one_or_none()
    if last is None:
        return True
    if last.intention_token is None:
        return False
    return not our_own.was_launched_by_us(tx, last) or claims.has_served_unknown(tx, thing.agent_id, last.id)


def stranded(tx: sa.Connection) -> list[Row]:
    """Volumes that a move took from who served, and nobody needs: kept for a person, whosever they were.

    One that was told stays told as long as nobody has it, though its agent is without a proven holder for a while.
    """
    return list(_STRANDED.rows(tx, {}))


def _open_switch_needs_it() -> sa.ColumnElement[bool]:
    """Before the grant a move may need anything of its agent's; after it only its own copies and the old one's volumes.

    A move stays open for a day when the dead holder's volume is kept for a person.
    """
    own = sa.or_(
        _s.switch_id == switches.c.id,
        _s.last_attached_to == switches.c.old_instance_id,
        _s.moved_from == switches.c.old_instance_id,
    )
    is_needed = sa.or_(switches.c.status == SwitchStatus.PREPARING.value, own)
    return sa.exists().where(switches.c.agent_id == _s.agent_id, IS_OPEN, is_needed)


def _free_volume() -> sa.ColumnElement[bool]:
    """Attached to nobody, and last to one that has ended; never the state of the present holder, nor of an open move.

    What a holder left is its move's to delete; here only what that move did not find. Of a volume that nobody was
    ever seen with nothing is known, and while nobody is proven to serve every volume may be the one that is needed.
    """
    kept = _stranded_state(), is_last_state(), _left_to_its_user()
    return sa.and_(_needless_volume(), *(sa.not_(one) for one in kept))


def _left_to_its_user() -> sa.ColumnElement[bool]:
    """Who served a deleted agent had it: its user's own again, and told as left. A move that its deletion has ended may
    have waited for him, or for a proof, before it let go of it. Where nobody served, so is what a standby had received.
    """
    served = sa.exists().where(epoch_grants.c.instance_id == _s.last_attached_to)
    return sa.and_(
        is_deleted(_s.agent_id), sa.or_(served, may_be_last_copy(_s.agent_id, _s.last_attached_to))
    )


def may_be_last_copy(
    agent_id: sa.ColumnElement[str], machine: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    """Its user deleted the agent while nobody was proven to serve, and the machine was a standby of it in sync."""
    was_in_sync = sa.exists().where(
        replica_instances.c.agent_id == agent_id,
        replica_instances.c.instance_id == machine,
        replica_instances.c.synced_at.is_not(None),
    )
    return sa.and_(was_in_sync, was_given_up(agent_id))


def _needless_volume() -> sa.ColumnElement[bool]:
    last_lives = sa.exists().where(_i.id == _s.last_attached_to, _i.is_active)
    last_holds = sa.exists().where(
        epoch_grants.c.instance_id == _s.last_attached_to, epoch_grants.c.status == "held"
    )
    return sa.and_(
        _s.kind == "volume",
        _s.attached_to.is_(None),
        _s.last_attached_to.is_not(None),
        sa.not_(is_unserved(_s.agent_id)),
        sa.not_(last_lives),
        sa.not_(last_holds),
        sa.not_(tickets.may_be_used_by(_s.last_attached_to)),
        sa.not_(_open_switch_needs_it()),
    )


def _stranded_state() -> sa.ColumnElement[bool]:
    """It came from somebody who served to somebody who never did: the state of a move that came to nothing."""
    from_server = sa.exists().where(epoch_grants.c.instance_id == _s.moved_from)
    at_server = sa.exists().where(epoch_grants.c.instance_id == _s.last_attached_to)
    return sa.and_(from_server, sa.not_(at_server), _s.device.not_in(sorted(ROOT_DEVICES)))


def _loose_copy() -> sa.ColumnElement[bool]:
    """A finished snapshot of no open move, which no image of ours owns; it waits until its agent is served."""
    image = storage_resources.alias("image")
    owned = sa.exists().where(
        image.c.kind == "image",
        image.c.ended_at.is_(None),
        sa.or_(image.c.switch_id == _s.switch_id, image.c.id == _s.image_id),
    )
    is_needed = sa.or_(*_copy_is_needed(), owned)
    return sa.and_(_s.kind == "snapshot", sa.not_(is_needed))


def _copy_is_needed() -> tuple[sa.ColumnElement[bool], ...]:
    return is_unserved(_s.agent_id), was_given_up(_s.agent_id), _open_switch_needs_it()


def _loose_image() -> sa.ColumnElement[bool]:
    """No agent and no running machine was made from it; restore points have a life of their own. While its agent is
    not served, it may be all that is left of it.
    """
    by_agent = sa.exists().where(agents.c.ami_id == _s.id, agents.c.deleted_at.is_(None))
    by_machine = sa.exists().where(_i.ami_id == _s.id, _i.is_active)
    return sa.and_(
        _s.kind == "image",
        sa.func.coalesce(_s.purpose, "") != PURPOSE,
        sa.not_(by_agent),
        sa.not_(by_machine),
        *(sa.not_(needs_it) for needs_it in _copy_is_needed()),
    )


def _loose_look() -> sa.ColumnElement[bool]:
    """The copy of a dead holder's volume, which EC2 showed only after its look was over."""
    looks = sa.exists().where(
        salvages.c.agent_id == _s.agent_id, salvages.c.status.in_([status.value for status in OPEN_SALVAGE])
    )
    return sa.and_(_s.kind == "volume", _s.purpose == SALVAGE, _s.attached_to.is_(None), sa.not_(looks))


_LOOSE: sa.Select[Any] = sa.select(storage_resources).where(
    _s.ended_at.is_(None), _s.is_ours, sa.or_(_free_volume(), _loose_copy(), _loose_image(), _loose_look())
)
_UNREFERENCED = Prepared(_LOOSE)
_UNREFERENCED_OF = Prepared(_LOOSE.where(_s.agent_id == sa.bindparam("agent")))
_STRANDED = Prepared(
    sa.select(storage_resources)
    .where(
        _s.kind == "volume",
        _s.ended_at.is_(None),
        _s.attached_to.is_(None),
        _stranded_state(),
        sa.or_(_s.suspect_since.is_not(None), _needless_volume()),
    )
    .order_by(_s.created_at, _s.id)
)
_OWNERS = (
    _s.kind == "volume",
    _s.ended_at.is_(None),
    sa.or_(
        _s.attached_to.is_(None), _s.attached_to == _s.last_attached_to
    ),  # EC2 shows it with who has ended
    _s.is_ours.is_(False),
    _s.delete_with_instance.is_(False),
    sa.exists().where(epoch_grants.c.instance_id == _s.last_attached_to),
    sa.exists().where(_i.id == _s.last_attached_to, sa.not_(_i.is_active)),
)
_OF_OWNERS = Prepared(
    sa.select(storage_resources).where(
        *_OWNERS,
        _needless_volume(),
        sa.exists().where(agents.c.id == _s.agent_id, agents.c.deleted_at.is_(None)),
    )
)
