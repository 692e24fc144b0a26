"""vCPU quotas as the account last told them, and whether one more instance fits beside what runs or is ordered (E8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.errors import InvalidInput, Refused
from spotguard.domain.ids import ClientId, ReplicaId
from spotguard.domain.instances import InstanceState, Mode
from spotguard.domain.pools import Pool, parse_pool_id
from spotguard.domain.quotas import QuotaClass, VcpuQuota
from spotguard.domain.switches import SwitchStatus
from spotguard.market.instance_types import quota_class, vcpus
from spotguard.market.quota_codes import CODES
from spotguard.planning.quotas import Wanted, why_it_does_not_fit
from spotguard.planning.standby import Place
from spotguard.store.intentions import UNSEEN_FOR, unseen_since
from spotguard.store.prepared import Prepared
from spotguard.store.tables import agents, instances, intentions, replica_instances, switches, vcpu_quotas
from spotguard.store.upserts import insert_or_update

Row = sa.Row[Any]
Machine = tuple[str, Mode]  # instance type and market
_i, _r, _s = instances.c, replica_instances.c, switches.c
_USES_NONE = (InstanceState.STOPPED.value, InstanceState.TERMINATED.value)
_QUOTA = Prepared(
    sa.select(vcpu_quotas).where(
        vcpu_quotas.c.client_id == sa.bindparam("client"),
        vcpu_quotas.c.quota_class == sa.bindparam("class"),
        vcpu_quotas.c.mode == sa.bindparam("market"),
    )
)
_RUNNING = Prepared(
    sa.select(_i.instance_type, _i.current_mode, sa.func.count().label("many"))
    .where(
        _i.client_id == sa.bindparam("client"),
        _i.is_active,
        _i.current_mode.is_not(None),
        sa.func.coalesce(_i.ec2_state, "").not_in(_USES_NONE),
    )
    .group_by(_i.instance_type, _i.current_mode)
)
_ASKED = Prepared(sa.select(intentions).where(unseen_since(sa.bindparam("since"), sa.bindparam("client"))))
_MOVES = Prepared(
    sa.select(_s.id, _s.new_instance_type.label("kind"), _s.new_mode.label("mode")).where(
        _s.client_id == sa.bindparam("client"),
        _s.status == SwitchStatus.PREPARING.value,
        _s.new_instance_id.is_(None),
        _s.replica_id.is_(None),
        _s.new_mode.is_not(None),
    )
)
_STANDBYS = Prepared(
    sa.select(_r.id, _r.instance_type.label("kind"), _r.mode)
    .join(agents, agents.c.id == _r.agent_id)
    .where(agents.c.client_id == sa.bindparam("client"), _r.is_active, _r.instance_id.is_(None))
)


def record(tx: sa.Connection, now: datetime, client_id: ClientId, told: Iterable[VcpuQuota]) -> None:
    """What others use is kept apart, so that our own is counted as it is when somebody asks."""
    ours = _ours(tx, now, client_id)
    rows = [
        {
            "client_id": client_id,
            "quota_class": quota.quota_class.value,
            "mode": quota.mode.value,
            "limit_vcpus": quota.limit_vcpus,
            "others_vcpus": max(0, quota.used_vcpus - _sum(ours, quota.quota_class, quota.mode)),
            "seen_at": now,
        }
        for quota in told
    ]
    insert_or_update(tx, vcpu_quotas, rows, ("limit_vcpus", "others_vcpus", "seen_at"))


def why_not(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    pool: Pool,
    mode: Mode,
    ours: Mapping[Machine, int] | None = None,
) -> str | None:
    """Why an instance there would not fit; None when it does, or when nobody knows."""
    try:
        wanted_class, wanted = quota_class(pool.instance_type), vcpus(pool.instance_type)
    except InvalidInput:
        return None
    known = _QUOTA.first(tx, {"client": client_id, "class": wanted_class.value, "market": mode.value})
    if known is None:
        return None
    machines = _ours(tx, now, client_id) if ours is None else ours
    own = _sum(machines, wanted_class, mode)
    quota = VcpuQuota(wanted_class, mode, known.limit_vcpus, known.others_vcpus + own)
    code = CODES[wanted_class, mode]
    return why_it_does_not_fit(Wanted(pool.instance_type, wanted, quota, own, code, known.seen_at), now)


def why_not_two(tx: sa.Connection, now: datetime, client_id: ClientId, pool: Pool, mode: Mode) -> str | None:
    """The same of one more that is to leave room for another."""
    with_it = _ours(tx, now, client_id) + Counter({(pool.instance_type, mode): 1})
    return why_not(tx, now, client_id, pool, mode, with_it)


def require_room(tx: sa.Connection, now: datetime, client_id: ClientId, pool: Pool, mode: Mode) -> None:
    """`Refused` with the numbers, and what to do."""
    because = why_not(tx, now, client_id, pool, mode)
    if because is not None:
        raise Refused(because)


def with_room(
    tx: sa.Connection,
    now: datetime,
    client_id: ClientId,
    places: Sequence[Place],
    replica_id: ReplicaId | None = None,
) -> tuple[Place, ...]:
    """Those of the places that fit; `Refused` as the first of them was when none does. `replica_id`: for whom it is."""
    ours = _ours(tx, now, client_id, but_for=replica_id)
    refused = [(place, why_not(tx, now, client_id, place.pool, place.mode, ours)) for place in places]
    fit = tuple(place for place, because in refused if because is None)
    because = next((because for _, because in refused if because is not None), None)
    if not fit and because is not None:
        raise Refused(because)
    return fit


def _sum(machines: Mapping[Machine, int], wanted: QuotaClass, mode: Mode) -> int:
    return sum(many * _vcpus_in(kind, wanted) for (kind, market), many in machines.items() if market is mode)


def _vcpus_in(instance_type: str, wanted: QuotaClass) -> int:
    """None of one whose name tells neither: it is then among what others use."""
    try:
        return vcpus(instance_type) if quota_class(instance_type) is wanted else 0
    except InvalidInput:
        return 0


def _ours(
    tx: sa.Connection, now: datetime, client_id: ClientId, but_for: ReplicaId | None = None
) -> Counter[Machine]:
    """What runs of this client's, what it has asked EC2 for, and what is ordered and not asked for yet; each once."""
    running = _RUNNING.rows(tx, {"client": client_id})
    ours = Counter({(row.instance_type, Mode(row.current_mode)): int(row.many) for row in running})
    asked = _ASKED.rows(tx, {"client": client_id, "since": now - UNSEEN_FOR})
    for row in asked:
        if row.request["pool_id"] is not None and (but_for is None or row.replica_id != but_for):
            ours[parse_pool_id(row.request["pool_id"]).instance_type, Mode(row.request["mode"])] += 1
    ours.update(_ordered(tx, client_id, {row.switch_id or row.replica_id for row in asked} | {but_for}))
    return ours


def _ordered(tx: sa.Connection, client_id: ClientId, asked: set[str | None]) -> Iterator[Machine]:
    """Moves and standbys whose instance nobody has asked EC2 for: an image is made first."""
    whose = {"client": client_id}
    for row in (*_MOVES.rows(tx, whose), *_STANDBYS.rows(tx, whose)):
        if row.id not in asked:
            yield row.kind, Mode(row.mode)
