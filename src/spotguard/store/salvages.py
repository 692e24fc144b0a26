"""Salvages as rows: opened once for each recovery, moved one legal step at a time."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.domain.clock import parse_time
from spotguard.domain.commands import CommandType, CreatedBy, Priority
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.salvages import OPEN_SALVAGE, SALVAGE_LIFE, SalvageStatus
from spotguard.domain.switches import MoveKind, Step, SwitchStatus
from spotguard.planning.deadlines import KEEP_AFTER_LOSS
from spotguard.store import commands, dead_volumes, events, fleet, grants
from spotguard.store.dead_volumes import Left
from spotguard.store.prepared import Prepared
from spotguard.store.stepping import step
from spotguard.store.steps import has
from spotguard.store.tables import salvages, storage_resources, switches

Row = sa.Row[Any]
_v = salvages.c
_LOOKED_AT = sa.exists().where(_v.switch_id == switches.c.id)
_OWED = Prepared(
    sa.select(switches).where(
        switches.c.status == SwitchStatus.COMMITTED.value,
        switches.c.is_recovery,
        switches.c.kind == MoveKind.SYNCED.value,
        sa.or_(switches.c.lost_seconds.is_(None), switches.c.lost_seconds > 0),
        has(switches.c.id, Step.VERIFIED),
        sa.not_(_LOOKED_AT),
    )
)
LOOKS_WITHIN = timedelta(minutes=60)  # once there is a copy
_EVER = timedelta(days=3650)
COPIES_WITHIN = timedelta(hours=6)  # the first snapshot of a large volume takes hours
_SHOWN = [status.value for status in OPEN_SALVAGE - {SalvageStatus.COPYING}]
_MOST = 2**62


def get(tx: sa.Connection, salvage_id: str) -> Row:
    return tx.execute(sa.select(salvages).where(_v.id == salvage_id)).one()


def newest_of(tx: sa.Connection, agent_id: AgentId | str) -> dict[str, Any] | None:
    """With `volume_deleted_at`, None while the volume is there; and `kept_until`, None: until a person deletes it."""
    volumes, died_at = storage_resources.c, switches.c.created_at
    mine = (
        sa.select(
            salvages,
            volumes.ended_at,
            volumes.is_ours,
            volumes.delete_with_instance,
            died_at.label("died_at"),
        )
        .select_from(
            salvages.join(switches, switches.c.id == _v.switch_id).outerjoin(
                storage_resources, volumes.id == _v.volume_id
            )
        )
        .where(_v.agent_id == agent_id)
    )
    found = tx.execute(mine.order_by(_v.created_at.desc(), _v.id).limit(1)).mappings().one_or_none()
    if found is None:
        return None
    goes = found["status"] == SalvageStatus.OFFERED and (found["is_ours"] or found["delete_with_instance"])
    kept_until = found["died_at"] + KEEP_AFTER_LOSS if goes else None
    return {**found, "volume_deleted_at": found["ended_at"], "kept_until": kept_until}


def goes_on(tx: sa.Connection, agent_id: AgentId | str) -> bool:
    """What a dead holder's volume has is being looked at: a move would end the look."""
    of_it = _v.agent_id == agent_id, _v.status.in_([status.value for status in OPEN_SALVAGE])
    return tx.execute(sa.select(_v.id).where(*of_it).limit(1)).first() is not None


def is_open_for(tx: sa.Connection, agent_id: AgentId | str) -> bool:
    """A copy may be attached; while it is made none is."""
    found = sa.select(_v.id).where(_v.agent_id == agent_id, _v.status.in_(_SHOWN))
    return tx.execute(found.limit(1)).first() is not None


def owed(tx: sa.Connection) -> list[Row]:
    """Recoveries by a standby that lack writes, whose new primary is proven, and that nobody has looked at yet."""
    return list(_OWED.rows(tx, {}))


def begin(tx: sa.Connection, now: datetime, switch: Row, called_off: str | None = None) -> bool:
    """A row for the volume on which the dead one's state lies; where `called_off`, or where that is not known, for a
    look that has failed. False: it left nothing.
    """
    fleet.hold(tx, now, AgentId(switch.agent_id))
    if tx.execute(sa.select(_v.id).where(_v.switch_id == switch.id)).first() is not None:
        return True  # by another, or by this transaction, whose commit was not heard of
    held = grants.holder(tx, AgentId(switch.agent_id))
    left = dead_volumes.left_by(tx, InstanceId(switch.old_instance_id))
    if held is None or not left.volumes:
        return False
    because = called_off or left.because
    row = {
        "id": str(uuid.uuid4()),
        "client_id": switch.client_id,
        "agent_id": switch.agent_id,
        "switch_id": switch.id,
        "volume_id": None if left.state is None else left.state.id,
        "instance_id": held.instance_id,
        "status": (SalvageStatus.COPYING if because is None else SalvageStatus.FAILED).value,
        "because": because,
        "created_at": now,
        "deadline_at": now + COPIES_WITHIN,
        "completed_at": None if because is None else now,
    }
    tx.execute(salvages.insert().values(row))
    if because is not None:
        tell(tx, now, get(tx, row["id"]))
    return True


def move(tx: sa.Connection, salvage: Row, wanted: SalvageStatus, **values: Any) -> bool:
    """One legal step from the row that was seen; False: somebody was first."""
    return step(tx, salvages, SALVAGE_LIFE, salvage, wanted, values)


def ask(tx: sa.Connection, now: datetime, salvage: Row) -> bool:
    """The copy is attached: the new primary's agent is asked to compare. False: not by this one."""
    held = grants.holder(tx, AgentId(salvage.agent_id))
    if held is None or held.instance_id != salvage.instance_id:
        return False
    if not move(tx, salvage, SalvageStatus.ATTACHED):
        return False
    command_id = commands.enqueue(
        tx,
        now,
        client_id=ClientId(salvage.client_id),
        agent_id=AgentId(salvage.agent_id),
        instance_id=InstanceId(salvage.instance_id),
        command_type=CommandType.COMPARE_STATE,
        priority=Priority.SCHEDULED,
        created_by=CreatedBy.COORDINATOR,
        expires_at=salvage.deadline_at,
        reason="what did the standby lack?",
        payload={"copy_id": salvage.copy_id},
    )
    tx.execute(sa.update(salvages).where(salvages.c.id == salvage.id).values(command_id=command_id))
    return True


def measured(result: Any) -> dict[str, Any]:
    """The agent's word, parsed: an agent is not believed to speak well. `InvalidInput`."""
    told = result if isinstance(result, dict) else {}
    files, size, newest = told.get("files"), told.get("bytes"), told.get("newest_at")
    counts = [n for n in (files, size) if isinstance(n, int) and not isinstance(n, bool) and 0 <= n < _MOST]
    if len(counts) != 2 or not (newest is None or isinstance(newest, str)):  # noqa: PLR2004 - both of them
        raise InvalidInput("the comparison does not tell files, bytes and newest_at")
    if files and newest is None:
        raise InvalidInput("the comparison tells of files, and not when the newest was written (newest_at)")
    at = None if newest is None else parse_time(newest)
    return {"compared": True, "files": files, "bytes": size, "newest_at": at}


def tell(tx: sa.Connection, now: datetime, salvage: Row) -> None:
    """Its end, for people: what was compared and what is missing, where it lies for how long, and that nobody merges
    it.
    """
    switch = tx.execute(sa.select(switches).where(switches.c.id == salvage.switch_id)).one()
    left = dead_volumes.left_by(tx, InstanceId(switch.old_instance_id))
    if salvage.status == SalvageStatus.OFFERED:
        parts = [_compared(salvage), *_not_looked_at(left, salvage.volume_id), *_until_when(left, switch)]
        message = "; ".join(parts)
    else:
        what = (
            "what the dead instance left"
            if salvage.volume_id is None
            else f"{salvage.volume_id} of the dead instance"
        )
        message = (
            f"{what} could not be compared: {salvage.because}; it may hold what {salvage.instance_id} lacks; kept "
            f"until a person deletes them: {_named(left.volumes) or 'none is left'} (docs/drills.md)"
        )
    detail = {"salvage_id": salvage.id, "switch_id": salvage.switch_id, "volume_id": salvage.volume_id}
    events.append(tx, now, salvage.client_id, salvage.agent_id, "lost_state", message, detail)


def _compared(salvage: Row) -> str:
    what = f"{salvage.instance_id} lacks, or has older, or shorter with the same time"
    by = "by path, time and size: what is in the files was not compared"
    if salvage.files == 0:
        return f"{salvage.volume_id} of the dead instance has no file that {what}, {by}"
    return (
        f"{salvage.volume_id} of the dead instance has {salvage.files} files ({salvage.bytes} bytes) that {what}, "
        f"{by}; the newest is of {salvage.newest_at:%Y-%m-%d %H:%M:%S} UTC; recover them by hand (docs/drills.md), "
        "nothing is merged by itself"
    )


def _not_looked_at(left: Left, looked_at: str) -> list[str]:
    others = _named(row for row in left.volumes if row.id != looked_at)
    if not others:
        return []
    why = "on which the state does not lie" if left.was_said else "its agent has not said where the state lay"
    return [f"not looked at: {others}, {why}"]


def _until_when(left: Left, switch: Row) -> list[str]:
    until = switch.created_at + KEEP_AFTER_LOSS
    ours = _named(row for row in left.volumes if row.is_ours or row.delete_with_instance)
    owners = _named(row for row in left.volumes if not (row.is_ours or row.delete_with_instance))
    told = [f"kept until {until:%Y-%m-%d %H:%M:%S} UTC, then deleted: {ours}"] if ours else []
    return told + ([f"never deleted, since its owner brought it: {owners}"] if owners else [])


def _named(rows: Iterable[Row]) -> str:
    return ", ".join(row.id for row in rows)


def tell_out_of_reach(tx: sa.Connection, now: datetime, salvage: Row) -> None:
    """Once: the server may have attached a copy that it cannot take away any more."""
    why = (
        f"cannot be ended on {salvage.instance_id}: the server has no AWS account for this client any more. Name it "
        "(spotguard client account NAME --region REGION)"
    )
    _tell_what_waits(tx, now, salvage, why)


def tell_held(tx: sa.Connection, now: datetime, salvage: Row) -> None:
    """Once for each copy and instance, whoever is asked: it cannot be taken away again, and what waits for that."""
    why = (
        f"is over, and EC2 does not take it away from {salvage.instance_id}: unmount it there (`findmnt` shows it "
        "below /tmp/spotguard-salvage-)"
    )
    _tell_what_waits(tx, now, salvage, why)


def _tell_what_waits(tx: sa.Connection, now: datetime, salvage: Row, why: str) -> None:
    waits = "no move that users or the engine want begins, and no restore point is made"
    copy = "" if salvage.copy_id is None else f" by its copy {salvage.copy_id}"
    message = f"the look at {salvage.volume_id}{copy} {why}; until then {waits}"
    client, agent = ClientId(salvage.client_id), AgentId(salvage.agent_id)
    events.append_every(tx, now, client, agent, "lost_state", message, _EVER)
