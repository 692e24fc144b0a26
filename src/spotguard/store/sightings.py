"""What EC2 shows of instances and storage, written when it has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.domain.ids import AgentId, ClientId, InstanceId, PoolId
from spotguard.domain.instances import EndReason, InstanceState, Mode
from spotguard.domain.tags import AGENT_TAG, DRILL_TAG, PROBE_TAG, REPLICA_TAG, SWITCH_TAG
from spotguard.ports.cloud import InstanceView, Tags
from spotguard.ports.intentions import TOKEN_TAG
from spotguard.store import looks, ondemand, pools, quarantine, replicas, tagged
from spotguard.store.boots import is_of_a_former_start, write_of_boot
from spotguard.store.prepared import Prepared
from spotguard.store.settled import not_after
from spotguard.store.tables import (
    agents,
    drills,
    epoch_grants,
    instance_runs,
    instances,
    probes,
    replica_instances,
    spot_pools,
    switches,
)
from spotguard.store.upserts import insert_missing

Row = sa.Row[Any]

_ACTIVE = Prepared(
    sa.select(
        instances.c.id,
        instances.c.client_id,
        instances.c.agent_id,
        instances.c.ec2_state,
        instances.c.launched_at,
        instances.c.installed_at,
        instances.c.absent_since,
        instances.c.absent_looks,
        instances.c.last_heartbeat_at,
        instances.c.boot_id,
        instances.c.intention_token,
        instances.c.current_mode,
    ).where(
        # an agent's word that it has ended is no proof: EC2 tells when, and until then it is looked at
        sa.or_(
            instances.c.is_active,
            sa.and_(instances.c.ec2_state.is_not(None), instances.c.ec2_state != "terminated"),
        )
    )
)
_ONE = Prepared(sa.select(instances).where(instances.c.id == sa.bindparam("machine")))


def active(tx: sa.Connection) -> list[Row]:
    """Every instance of the installation whose end EC2 has not shown."""
    return list(_ACTIVE.rows(tx, {}))


def saw(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    views: Iterable[InstanceView],
    boots: Mapping[str, str | None] | None = None,
) -> None:
    """`boots`: which boot of each instance was registered before EC2 was asked."""
    for view in views:
        _saw(tx, now, client_id, view, (boots or {}).get(view.instance_id))


def _saw(
    tx: sa.Connection, now: datetime, client_id: ClientId, view: InstanceView, boot_id: str | None
) -> None:
    """One instance as EC2 shows it. Its row is made here when it has not registered yet."""
    known = get(tx, view.instance_id) or _made(tx, now, client_id, view)
    if known is None or known.client_id != client_id:
        return  # another tenant's: this one's account cannot speak for it
    if view.state is InstanceState.STOPPED and (
        known.boot_id != boot_id or is_of_a_former_start(now, view.launched_at, known.boot_id)
    ):
        return  # whoever looked was held up, or EC2's answer was: it has been started meanwhile
    agent_id = known.agent_id
    if view.end_reason is EndReason.INTERRUPTED and known.end_reason is None:
        why = f"AWS interrupted {view.instance_id}"
        looks.note(tx, now, client_id, view.pool, up=False, because=why)
    if _came_to_nothing(view, known):
        why = f"{view.instance_id} ended before it ran ({view.end_code})"
        quarantine.strike(tx, now, client_id, view.pool, why)
    if _runs_again(view, known):
        insert_missing(tx, instance_runs, [_former_run(view, known)])
    shown = _shown(now, view, known) | _probe_of(tx, view, known)
    if view.state is InstanceState.STOPPED:
        write_of_boot(tx, view.instance_id, boot_id, shown)
    else:
        _write(tx, view.instance_id, shown)
    if agent_id is not None:
        _retime_steps(tx, view)
        replicas.recount(tx, agent_id)


def _made(tx: sa.Connection, now: datetime, client_id: ClientId, view: InstanceView) -> Row | None:
    """Its row, whoever was first to write it down; None: it is nobody's, or has ended."""
    agent_id = _agent_of(tx, client_id, view.tags)
    if agent_id is None or view.state is InstanceState.TERMINATED:
        return None
    pools.ensure_pools(tx, now, [view.pool])
    insert_missing(tx, instances, [_new_row(tx, now, client_id, agent_id, view)])
    if view.mode is Mode.SPOT and PROBE_TAG not in view.tags:  # a probe tells of its look itself
        looks.launched(tx, now, client_id, view.pool, view.instance_id)
    return get(tx, view.instance_id)


_ALWAYS_SHOWN = (
    "ec2_state",
    "hibernates",
    "seen_at",
    "absent_since",
    "absent_looks",
    "launched_at",
    "ended_at",
    "end_reason",
    "metered_from",
    "updated_at",
)
_SHOWN = Prepared(
    sa.update(instances)
    .where(instances.c.id == sa.bindparam("machine"))
    .values({name: sa.bindparam(f"now_{name}") for name in _ALWAYS_SHOWN})
)


def _write(tx: sa.Connection, instance_id: InstanceId, shown: dict[str, Any]) -> None:
    if shown.keys() == set(_ALWAYS_SHOWN):
        values = {f"now_{name}": value for name, value in shown.items()}
        _SHOWN.change(tx, values | {"machine": instance_id})
    else:
        tx.execute(sa.update(instances).where(instances.c.id == instance_id).values(**shown))


def _agent_of(tx: sa.Connection, client_id: ClientId, tags: Tags) -> AgentId | None:
    """The agent that the tag names, if it is this tenant's."""
    found = tx.execute(
        sa.select(agents.c.id).where(agents.c.id == tags.get(AGENT_TAG, ""), agents.c.client_id == client_id)
    ).scalar_one_or_none()
    return None if found is None else AgentId(found)


def _new_row(
    tx: sa.Connection, now: datetime, client_id: ClientId, agent_id: AgentId, view: InstanceView
) -> dict[str, Any]:
    agent = tx.execute(sa.select(agents).where(agents.c.id == agent_id)).one()
    fixed = ondemand.price_of(tx, client_id, view.pool.region, view.pool.instance_type)
    return {
        "id": view.instance_id,
        "client_id": client_id,
        "agent_id": agent_id,
        "instance_type": view.pool.instance_type,
        "region": view.pool.region,
        "az": view.pool.az,
        "az_id": view.pool.az_id,
        "ami_id": view.image_id,
        "current_mode": view.mode.value,
        "current_pool_id": view.pool.id if view.mode is Mode.SPOT else None,
        "ondemand_price": fixed,
        "baseline_ondemand_price": agent.baseline_ondemand_price,
        "private_ip": view.private_ip,
        "public_ip": view.public_ip,
        "created_at": now,
        "switch_id": tagged.named(tx, switches, agent_id, view.tags.get(SWITCH_TAG)),
        "replica_id": tagged.named(tx, replica_instances, agent_id, view.tags.get(REPLICA_TAG)),
        "drill_id": tagged.named(tx, drills, agent_id, view.tags.get(DRILL_TAG)),
        "probe_id": tagged.named(tx, probes, agent_id, view.tags.get(PROBE_TAG)),
        "is_active": True,
        **_shown(now, view, None),
    }


def _probe_of(tx: sa.Connection, view: InstanceView, known: Row) -> dict[str, Any]:
    """An agent in the image may have been faster than our look: it carries no workload all the same."""
    if known.probe_id is not None or PROBE_TAG not in view.tags:
        return {}
    probe_id = tagged.named(tx, probes, known.agent_id, view.tags[PROBE_TAG])
    return {} if probe_id is None else {"probe_id": probe_id}


def _shown(now: datetime, view: InstanceView, known: Row | None) -> dict[str, Any]:
    over = view.state is InstanceState.TERMINATED
    values: dict[str, Any] = {
        "ec2_state": view.state.value,
        "hibernates": view.hibernates,
        "seen_at": now,
        "absent_since": None,
        "absent_looks": 0,
        "launched_at": view.launched_at,
        "ended_at": view.ended_at,
        "end_reason": None if view.end_reason is None else view.end_reason.value,
        "metered_from": _metered_from(now, view, known),
        "updated_at": now,
    }
    if known is not None and known.ended_at is None and view.ended_at is not None and known.metered_until:
        values["metered_until"] = min(
            known.metered_until, view.ended_at
        )  # settled beyond an end not yet known
    if known is not None and known.metered_until and _runs_again(view, known):
        values["metered_until"] = min(known.metered_until, _former_run(view, known)["ended_at"])
    if TOKEN_TAG in view.tags and (known is None or known.intention_token != view.tags[TOKEN_TAG]):
        values["intention_token"] = view.tags[TOKEN_TAG]
    if over:
        values |= {"is_active": False, "terminated_at": view.ended_at or now}
    return values


def _came_to_nothing(view: InstanceView, known: Row) -> bool:
    """EC2 gave it and took it back while it was pending, as where a key has no grant for the spot service (E28): asked
    again at once, the pool would do it again.
    """
    ended = view.state in (InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED)
    was_pending = known.ec2_state == InstanceState.PENDING.value
    return view.mode is Mode.SPOT and ended and was_pending and view.end_reason is None


_HAS_RUN = (InstanceState.RUNNING.value, InstanceState.STOPPING.value, InstanceState.STOPPED.value)


def _runs_again(view: InstanceView, known: Row) -> bool:
    """It was stopped and started: a new run, and a new launch time. From pending on a launch time still moves."""
    return (
        known.ec2_state in _HAS_RUN and known.launched_at is not None and view.launched_at > known.launched_at
    )


def _former_run(view: InstanceView, known: Row) -> dict[str, Any]:
    """A stop that no look showed ended at the next start at the latest: costs are rather over- than understated."""
    return {
        "instance_id": view.instance_id,
        "launched_at": known.launched_at,
        "metered_from": known.metered_from or known.launched_at,
        "ended_at": known.ended_at or view.launched_at,
    }


def _metered_from(now: datetime, view: InstanceView, known: Row | None) -> datetime:
    """Its own launch, if that was ours; else its enrolment: what came before is its owner's affair."""
    if TOKEN_TAG in view.tags or known is None:
        return view.launched_at
    return max(view.launched_at, known.installed_at or now)


def _retime_steps(tx: sa.Connection, view: InstanceView) -> None:
    """A replica tells when EC2 launched it."""
    _RETIME.change(tx, {"machine": view.instance_id, "launched": view.launched_at})


_RETIME = Prepared(
    sa.update(replica_instances)
    .where(
        replica_instances.c.instance_id == sa.bindparam("machine"),
        replica_instances.c.launched_at != sa.bindparam("launched"),
    )
    .values(launched_at=sa.bindparam("launched"))
)


def is_missed(instance: Row) -> bool:
    """An earlier look did not show it either, and it has not said a word since."""
    since, heard_at = instance.absent_since, instance.last_heartbeat_at
    return since is not None and (heard_at is None or heard_at < since)


def missed(tx: sa.Connection, now: datetime, instance: Row) -> None:
    """A look did not show it: that proves nothing yet."""
    since, looks = (instance.absent_since, instance.absent_looks) if is_missed(instance) else (now, 0)
    tx.execute(
        sa.update(instances)
        .where(instances.c.id == instance.id, instances.c.absent_looks == instance.absent_looks)
        .values(absent_since=since, absent_looks=looks + 1)
    )


def said_to_have_ended(
    tx: sa.Connection,
    agent_id: AgentId | str,
    instance_id: InstanceId | str | None,
    now: datetime,
    at: datetime,
) -> None:
    """By an agent: believed only of an instance that the server never saw in EC2, otherwise it looks there."""
    tx.execute(
        sa.update(instances)
        .where(
            instances.c.id == instance_id,
            instances.c.agent_id == agent_id,
            instances.c.is_active,
            instances.c.ec2_state.is_(None),
        )
        .values(
            is_active=False,
            terminated_at=at,
            metered_until=not_after(instances.c.metered_until, at),
            updated_at=now,
        )
    )


def vanished(tx: sa.Connection, now: datetime, instance: Row) -> bool:
    """Ruling B4: once running, launched over an hour ago, absent in three looks over five minutes: terminated.

    False: somebody has seen or heard it since its row was read.
    """
    gone = tx.execute(
        sa.update(instances)
        .where(
            instances.c.id == instance.id,
            instances.c.ec2_state != InstanceState.TERMINATED.value,
            instances.c.absent_looks == instance.absent_looks,
            sa.func.coalesce(instances.c.last_heartbeat_at < instance.absent_since, sa.true()),
        )
        .values(
            ec2_state=InstanceState.TERMINATED.value,
            is_active=False,
            ended_at=sa.func.coalesce(instances.c.ended_at, instance.absent_since),
            terminated_at=instance.absent_since,
            metered_until=not_after(instances.c.metered_until, instance.absent_since),
            updated_at=now,
        )
    )
    if gone.rowcount == 1 and instance.agent_id is not None:
        replicas.recount(tx, AgentId(instance.agent_id))
    return gone.rowcount == 1


def ever_held(tx: sa.Connection, instance_id: InstanceId | str) -> bool:
    """It held an epoch once: clean-up never touches it (invariant 7)."""
    found = sa.select(epoch_grants.c.epoch).where(epoch_grants.c.instance_id == instance_id).limit(1)
    return tx.execute(found).first() is not None


def reprice(
    tx: sa.Connection,
    region: str,
    spot: dict[PoolId, Decimal],
    fixed: dict[str, Decimal],
    whose: Collection[ClientId] | None = None,
) -> None:
    """`instances.spot_price` and `ondemand_price` are the present ones; written only where they changed.

    `whose`: the tenants whose account names its zones so; None: everybody's whose instance lies in the zone meant.
    """
    for row in _PRICED.rows(tx, {"here": region}):
        is_meant = row.client_id in whose if whose is not None else not row.elsewhere
        told = spot.get(row.current_pool_id) if is_meant and row.current_pool_id else None
        wanted = {
            "spot_price": (row.spot_price if told is None else told) if row.current_pool_id else None,
            "ondemand_price": fixed.get(row.instance_type, row.ondemand_price),
        }
        if (row.spot_price, row.ondemand_price) != (wanted["spot_price"], wanted["ondemand_price"]):
            values = {"machine": row.id, "spot": wanted["spot_price"], "fixed": wanted["ondemand_price"]}
            _REPRICE.change(tx, values)


_PRICED = Prepared(
    sa.select(
        instances.c.id,
        instances.c.client_id,
        instances.c.current_pool_id,
        instances.c.instance_type,
        instances.c.spot_price,
        instances.c.ondemand_price,
        sa.and_(
            instances.c.az_id != "", sa.func.coalesce(instances.c.az_id != spot_pools.c.az_id, sa.false())
        ).label("elsewhere"),
    )
    .outerjoin(spot_pools, spot_pools.c.id == instances.c.current_pool_id)
    .where(instances.c.is_active, instances.c.region == sa.bindparam("here"))
)
_REPRICE = Prepared(
    sa.update(instances)
    .where(instances.c.id == sa.bindparam("machine"))
    .values(spot_price=sa.bindparam("spot"), ondemand_price=sa.bindparam("fixed"))
)


def get(tx: sa.Connection, instance_id: InstanceId | str) -> Row | None:
    return _ONE.first(tx, {"machine": instance_id})
