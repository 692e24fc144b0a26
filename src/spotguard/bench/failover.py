"""`spotguard bench failover`: from a notice that is visible to the first write that the standby acknowledges.

Each run takes the serving instance of a site away: with a notice and the server up, with a notice and the server
killed before, or without a word. What is measured is measured at the workload's client, which finds by the agents'
health endpoints who serves. A run begins when the standby is ready and its state young.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from spotguard.bench.lab.handovers import NANO, percentile
from spotguard.bench.lab.site import SERVER, NotInTime, Site, Stopped
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.replicas import ReplicaStatus, SyncStatus
from spotguard.domain.switches import SwitchStatus
from spotguard.domain.tickets import TicketStatus
from spotguard.store.tables import handover_tickets, pool_quarantines, replica_instances, switches

NOTICE_SECONDS = 120
READY_SECONDS = 240.0  # a new standby: launched, booted, enrolled, synced
SERVED_SECONDS = 400.0
SETTLED_SECONDS = 240.0


class Kind(StrEnum):
    """What becomes of the serving instance, and whether the server can help."""

    SERVER_UP = "server_up"
    SERVER_DOWN = "server_down"
    UNHEARD_DEATH = "unheard_death"


@dataclass(frozen=True)
class Run:
    """One failover. `lost`: acknowledged records that the new one did not have; `gap_seconds`: the span of those."""

    kind: Kind
    seconds: float
    lost: int
    gap_seconds: float

    def __str__(self) -> str:
        lost = f", {self.lost} records lost ({self.gap_seconds:.1f} s)" if self.lost else ""
        return f"{self.kind}: {self.seconds:.2f} s{lost}"


def measure(site: Site, kinds: Sequence[Kind], told: Callable[[Run], None]) -> dict[str, Any]:
    """One run of each kind in turn, until the site is stopped; overlaps and what the state volume holds at the end."""
    runs = []
    with suppress(Stopped):
        for kind in kinds:
            runs.append(_one(site, kind))
            told(runs[-1])
    return {"runs": runs, "overlaps": _overlaps(site), "doubled": _doubled(site)}


def summary(runs: Sequence[Run], overlaps: int, doubled: int, wall_seconds: float) -> dict[str, Any]:
    """The contract's keys and a few more. Seconds, null of a kind without runs; `lost_writes` after a notice alone, the
    gap of a death beside it.
    """
    by_kind = {kind: [run for run in runs if run.kind is kind] for kind in Kind}
    noticed = [run for run in runs if run.kind is not Kind.UNHEARD_DEATH]
    return {
        "runs": len(runs),
        **{
            kind.value: seconds_of([run.seconds for run in found]) if found else None
            for kind, found in by_kind.items()
        },
        "overlaps": overlaps,
        "lost_writes": sum(run.lost for run in noticed),
        "doubled_writes": doubled,
        "runs_by_kind": {kind.value: len(found) for kind, found in by_kind.items()},
        "unheard_death_gap": _gap(by_kind[Kind.UNHEARD_DEATH]),
        "wall_seconds": round(wall_seconds, 1),
    }


def seconds_of(values: Sequence[float]) -> dict[str, float]:
    """p50, p99 (nearest rank) and max."""
    return {
        **{f"p{percent}": round(percentile(values, percent), 3) for percent in (50, 99)},
        "max": round(max(values), 3),
    }


def _gap(deaths: Sequence[Run]) -> dict[str, Any] | None:
    if not deaths:
        return None
    return {
        "records": {
            "p50": percentile([run.lost for run in deaths], 50),
            "max": max(run.lost for run in deaths),
        },
        "seconds": seconds_of([run.gap_seconds for run in deaths]),
    }


def _one(site: Site, kind: Kind) -> Run:
    _forgive(site)
    site.until(
        lambda: _is_ready(site), seconds=READY_SECONDS, what="a standby is ready and named by a ticket"
    )
    old = InstanceId(site.agent().instance_id)
    if kind is Kind.SERVER_DOWN:
        site.supervisor.hold_back(SERVER)
    begun = _strike(site, old, kind)
    first = site.until(
        lambda: _first_by_another(site, old), seconds=SERVED_SECONDS, what="another one acknowledges a record"
    )
    if kind is Kind.SERVER_DOWN:
        site.supervisor.let_go(SERVER)
        site.await_server()
    _settle(site, old)
    lost, gap = _lost(site, first, old)
    return Run(kind, first[0] / NANO - begun, lost, gap)


def _forgive(site: Site) -> None:
    """A few pools lose instance after instance within minutes here: after some of it all would be in quarantine, and
    the next standby on demand, which nobody gives notice to.
    """
    site.db.write(lambda tx: tx.execute(sa.delete(pool_quarantines)))


def _strike(site: Site, old: InstanceId, kind: Kind) -> float:
    """When the notice is visible, or the instance is gone: seconds since 1970."""
    with site.wire.exclusively() as ec2:
        if kind is Kind.UNHEARD_DEATH:
            ec2.controls.fail_instance(old)
        else:
            ec2.controls.interrupt(old, notice_seconds=NOTICE_SECONDS)
        return time.time()


def _is_ready(site: Site) -> bool:
    """The standby, the ticket in the holder's hand, and that nothing of the failover before is still going on.

    Every kind of run begins so, that they may be compared. The ticket comes with the holder's next heartbeat.
    """
    live = sa.select(replica_instances).where(
        replica_instances.c.is_active, replica_instances.c.status == ReplicaStatus.READY.value
    )
    standbys = site.rows(live.where(replica_instances.c.sync_status == SyncStatus.SYNCED.value))
    return len(standbys) == 1 and not _moving(site) and _is_named(site, standbys[0].instance_id)


def _is_named(site: Site, standby: str) -> bool:
    tickets = sa.select(handover_tickets.c.id).where(
        handover_tickets.c.status == TicketStatus.OUT.value,
        handover_tickets.c.to_instance_id == standby,
        handover_tickets.c.acknowledged_at.is_not(None),
        handover_tickets.c.asked_back_at.is_(None),
    )
    return bool(site.rows(tickets))


def _moving(site: Site) -> bool:
    """After a death without a word a move stays `committed` for a day, with what the dead one left kept."""
    going_on = switches.c.status == SwitchStatus.PREPARING.value
    return bool(site.rows(sa.select(switches.c.id).where(going_on)))


def _first_by_another(site: Site, old: str) -> tuple[int, str, int] | None:
    """(nanoseconds, instance, number) of the first record after the old one's last."""
    notes = site.acks(200_000)
    if not notes or notes[-1][2] == old:
        return None
    newest = notes[-1][2]
    mine = [note for note in reversed(notes) if note[2] == newest]
    return int(mine[-1][1]), newest, int(mine[-1][0])


def _settle(site: Site, old: InstanceId) -> None:
    """The rows know who serves, the old one is gone, no move is being prepared."""

    def is_over() -> bool:
        with site.wire.exclusively() as ec2:
            machine = ec2.world.machines.get(old)
            gone = machine is None or machine.state is InstanceState.TERMINATED
        return gone and site.agent().instance_id != old and not _moving(site)

    site.until(is_over, seconds=SETTLED_SECONDS, what=f"{old} is gone and the rows know who serves")


def _lost(site: Site, first: tuple[int, str, int], old: str) -> tuple[int, float]:
    """How many acknowledged records the new one did not have when it began, and how old the oldest was then."""
    _, instance, number = first
    answer = next((note[3] for note in site.acks() if int(note[0]) == number and note[2] == instance), "")
    if not answer.startswith("missing"):
        return 0, 0.0
    last_known = int(answer.split()[1])
    acknowledged = [note for note in site.acks() if note[2] == old and last_known < int(note[0]) < number]
    if not acknowledged:
        raise NotInTime("the client's notes do not reach back to what is missing")
    newest, oldest = int(acknowledged[-1][1]), int(acknowledged[0][1])
    return number - 1 - last_known, (newest - oldest) / NANO


def _overlaps(site: Site) -> int:
    """By the witness: opened while another one served."""
    return len(site.overlaps())


def _doubled(site: Site) -> int:
    written = site.records(site.agent().instance_id)
    return len(written) - len(set(written))
