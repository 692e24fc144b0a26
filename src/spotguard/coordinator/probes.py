"""Probes: what a tenant's budget buys is launched only to see whether EC2 gives it, and ended in the same pass.

Waiting (row, intention, launch) → ending (EC2 has named it, or may have: it is ended) → over. What was seen is written
once, in the transaction that moves the probe on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from spotguard.coordinator import clones, decide, launches
from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.context import Beat, Context, Row
from spotguard.coordinator.launches import Order
from spotguard.coordinator.trial import Found
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId, InstanceId, ProbeId
from spotguard.domain.instances import Mode
from spotguard.domain.money import ZERO
from spotguard.domain.pools import parse_pool_id
from spotguard.domain.probes import PURPOSE, ProbeStatus
from spotguard.execution.launching import (
    DRY_CODES,
    Exhausted,
    Launched,
    LaunchResult,
    NotYet,
    Stopped,
)
from spotguard.planning.probes import CLEARED_WITHIN, SAME_POOL_AFTER, Lookable, NoProbe, cost, plan, why_none
from spotguard.planning.standby import Place
from spotguard.ports.cloud import Cloud
from spotguard.ports.shape import Shape, UserDataPolicy
from spotguard.store import (
    events,
    fleet,
    grants,
    intentions,
    looks,
    probe_orders,
    probes,
    quarantine,
    restore_orders,
)
from spotguard.store.judges import Judge
from spotguard.store.probe_orders import Stops
from spotguard.store.tables import instances

EVERY_SECONDS = 120.0
MOST_PER_PASS = 3  # tenants; each look is some ten calls of EC2, and the next emergency waits for them
NO_EC2 = "capacity is probed by a server with the client's AWS account, and this client has none"


class Probes:
    """One at a time for each tenant that pays for them; nothing at all for the others."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(EVERY_SECONDS)
        self._frozen: dict[ClientId, str] = {}
        self._due: list[ClientId] = []

    def order_due(self, now: datetime, frozen: dict[ClientId, str], judge: Judge) -> int:
        """What budgets buy now."""
        self._frozen = frozen
        if not self._due and self._beat.is_due(now):
            self._due = [one for one in self.ctx.db.read(probes.with_budget) if self._may_look(now, one)]
        payers, self._due = self._due[:MOST_PER_PASS], self._due[MOST_PER_PASS:]
        if self._due:
            self.ctx.soon(now, clones.SOON_SECONDS)
        if not payers:
            return 0
        found = self.ctx.db.read(lambda tx: decide.look(tx, now, judge, payers))
        return self.ctx.each("probes", payers, lambda client: self._order(now, client, found))

    def _may_look(self, now: datetime, client_id: ClientId) -> bool:
        """Before anybody thinks about pools."""
        stops = self._stops(now, client_id)
        told = self.ctx.db.read(lambda tx: probe_orders.facts(tx, now, client_id, (), stops))
        return why_none(told) is None and self._has_ec2(now, client_id)

    def _stops(self, now: datetime, client_id: ClientId) -> Stops:
        return Stops(self._frozen.get(client_id), throttled=self.ctx.lane_is_kept(client_id, now))

    def _has_ec2(self, now: datetime, client_id: ClientId) -> bool:
        if self.ctx.clouds(client_id) is not None:
            return True
        if self.ctx.news(client_id, NO_EC2, now):
            self.ctx.db.write(lambda tx: events.append(tx, now, client_id, None, "probe", NO_EC2))
        return False

    def _order(self, now: datetime, client_id: ClientId, found: Sequence[Found]) -> bool:
        stops = self._stops(now, client_id)
        pools = self.ctx.db.read(lambda tx: _lookables(tx, now, client_id, found))
        answer = self.ctx.db.read(lambda tx: plan(probe_orders.facts(tx, now, client_id, pools, stops)))
        if isinstance(answer, NoProbe):
            return False
        try:
            bought = self.ctx.db.write(lambda tx: probe_orders.order(tx, now, client_id, pools, stops))
        except Refused:
            return False  # another coordinator was first
        return not isinstance(bought, NoProbe) and self._tend(now, bought)

    def run(self, now: datetime, agenda: Agenda, frozen: dict[ClientId, str]) -> int:
        """The open ones, one step further."""
        self._frozen = frozen
        return self.ctx.each(
            "probes", agenda.of(Work.PROBE), lambda probe_id: self._tend(now, ProbeId(probe_id))
        )

    def _tend(self, now: datetime, probe_id: ProbeId) -> bool:
        probe = self.ctx.db.read(lambda tx: probes.get(tx, probe_id))
        cloud = self.ctx.clouds(ClientId(probe.client_id))
        if cloud is None:
            return self._without_ec2(now, probe)
        if probe.status == ProbeStatus.WAITING and not self._launch(now, cloud, probe):
            return False
        probe = self.ctx.db.read(lambda tx: probes.get(tx, probe_id))
        return probe.status == ProbeStatus.OVER or self._clear(now, cloud, probe)

    def _without_ec2(self, now: datetime, probe: Row) -> bool:
        """Before anything was asked of EC2 it is over; later it waits until its account is back."""
        if self.ctx.db.read(lambda tx: intentions.of_seed(tx, probe.id)):
            return False
        return self._give_up(now, probe, NO_EC2)

    def _launch(self, now: datetime, cloud: Cloud, probe: Row) -> bool:
        """True: it has moved on."""
        stop = self.ctx.db.read(lambda tx: _why_stopped(tx, now, probe))
        stop = stop or self._frozen.get(ClientId(probe.client_id))
        if stop is not None:
            return self._give_up(now, probe, stop)
        try:
            return self._heard(now, probe, launches.carry_on(self.ctx, now, cloud, self._wish(probe)))
        except Refused as refusal:  # a spend cap, or it was given up meanwhile: nothing was written
            return self._give_up(now, probe, str(refusal))

    def _heard(self, now: datetime, probe: Row, result: LaunchResult) -> bool:
        match result:
            case Launched():
                return self._answered(now, probe, result.instance.instance_id)
            case NotYet():
                self.ctx.soon(now, result.again_seconds)
                return False
            case Exhausted(ended=ended) if ended is not None:
                return self._answered(now, probe, ended)
            case Stopped():
                self._tell(now, probe, f"EC2 refuses a probe, a person must act: {result.because}")
                return self._give_up(now, probe, result.because)
            case Exhausted():
                return self._refused(now, probe, result.because)

    def _wish(self, probe: Row) -> Order:
        def ask(tx: sa.Connection) -> Order:
            agent = fleet.agent_row(tx, probe.agent_id)
            held = grants.holder(tx, AgentId(probe.agent_id))
            return Order(
                agent=agent,
                purpose=PURPOSE,
                places=(Place(parse_pool_id(probe.pool_id), Mode.SPOT, probe.usd_per_hour),),
                image_id=probe.image_id,
                devices=(),  # the image brings its own
                voluntary=True,
                probe_id=ProbeId(probe.id),
                source=None if held is None else InstanceId(held.instance_id),
                reshape=lambda shape: shut_in(shape, agent.quarantine_group),
                strikes=False,
            )

        return self.ctx.db.read(ask)

    def _answered(self, now: datetime, probe: Row, instance_id: InstanceId) -> bool:
        """The pool has given an instance: that is all that was to be known."""
        answer = f"{instance_id} was launched"

        def work(tx: sa.Connection) -> bool:
            told = {"instance_id": instance_id, "up": True, "answer": answer}
            return _ends(tx, now, probe, **told) and _saw_up(tx, now, probe, answer)

        return self.ctx.db.write(work)

    def _refused(self, now: datetime, probe: Row, because: str) -> bool:
        """Nothing was made. A pool that is dry has answered; a quota or a cap tells nothing of it."""

        def work(tx: sa.Connection) -> bool:
            codes = {
                one.outcome.error_code for one in intentions.of_seed(tx, probe.id) if one.outcome is not None
            }
            is_dry = bool(codes & DRY_CODES)
            up = False if is_dry else None
            if not _conclude(tx, now, probe, up=up, usd=ZERO, answer=because):
                return False
            if is_dry:
                pool, until = parse_pool_id(probe.pool_id), now + SAME_POOL_AFTER
                client_id = ClientId(probe.client_id)
                quarantine.seen_down(tx, now, client_id, pool, until, f"it refused a probe: {because}")
            return True

        return self.ctx.db.write(work)

    def _give_up(self, now: datetime, probe: Row, because: str) -> bool:
        """What EC2 was asked for may still come: then it is ended."""

        def work(tx: sa.Connection) -> bool:
            probes.hold(tx, now, ClientId(probe.client_id))
            if intentions.of_seed(tx, probe.id):
                return _ends(tx, now, probe, answer=because)
            return _conclude(tx, now, probe, up=None, usd=ZERO, answer=because)

        return self.ctx.db.write(work)

    def _clear(self, now: datetime, cloud: Cloud, probe: Row) -> bool:
        """Over when EC2 shows nothing of it any more."""
        if now > probe.deadline_at:
            self._tell(now, probe, "what a probe launched is not gone yet: EC2 does not end or delete it")
        return clones.clear(self.ctx, now, cloud, _set_apart(probe)) and self.ctx.db.write(
            lambda tx: _settled(tx, now, probe)
        )

    def _tell(self, now: datetime, probe: Row, message: str) -> None:
        if self.ctx.news(probe.client_id, message, now):
            self.ctx.db.write(
                lambda tx: events.append(
                    tx, now, ClientId(probe.client_id), AgentId(probe.agent_id), "probe", message
                )
            )


def shut_in(shape: Shape, group: str | None) -> Shape:
    """As a drill's clone is, and without its owner's user data: nothing is to happen there."""
    return replace(
        clones.in_quarantine(shape, group), user_data=None, user_data_policy=UserDataPolicy.REPLACE
    )


def _lookables(
    tx: sa.Connection, now: datetime, client_id: ClientId, found: Sequence[Found]
) -> list[Lookable]:
    """Of all markets in which its agents run."""
    mine = [one for one in found if one.agent.client_id == client_id and one.flaw is None]
    pools: list[Lookable] = []
    for region in sorted({one.agent.region for one in mine}):
        here = [one for one in mine if one.agent.region == region]
        known = here[0].prospects
        pools += probe_orders.lookables(
            tx, now, client_id, [(one.agent, one.situation) for one in here], known
        )
    return pools


def _why_stopped(tx: sa.Connection, now: datetime, probe: Row) -> str | None:
    if now > probe.deadline_at:
        return "EC2 gave no answer in time"
    client_id = ClientId(probe.client_id)
    budget = probes.budget_of(tx, client_id)
    if probes.spent(tx, client_id, probes.today_of(probe.created_at)) > budget:
        return f"probes may cost {budget.normalize():f} USD a day by now"
    voluntary = restore_orders.why_not(tx, fleet.agent_row(tx, AgentId(probe.agent_id)))
    return voluntary or probe_orders.who_launches(tx, client_id)


def _ends(tx: sa.Connection, now: datetime, probe: Row, **told: object) -> bool:
    return probes.move(tx, probe, ProbeStatus.ENDING, deadline_at=now + CLEARED_WITHIN, **told)


def _saw_up(tx: sa.Connection, at: datetime, probe: Row, because: str) -> bool:
    pool = parse_pool_id(probe.pool_id)
    looks.note(tx, at, ClientId(probe.client_id), pool, up=True, because=f"a probe: {because}")
    return True


def _settled(tx: sa.Connection, now: datetime, probe: Row) -> bool:
    """With what it cost. One whose answer came only now has seen the pool up when it was launched."""
    made = tx.execute(sa.select(instances).where(_launched_for(probe))).all()
    named = probe.up is True and not made  # EC2 had named it, and it was gone before anybody saw it
    usd = sum((cost(probe.usd_per_hour, _seconds(row)) for row in made), probe.usd if named else ZERO)
    came = probe.up is None and bool(made)
    told = {"up": True, "instance_id": made[0].id} if came else {"up": probe.up}
    if not _conclude(tx, now, probe, usd=usd, answer=probe.answer, **told):
        return False
    if came:
        _saw_up(tx, made[0].launched_at, probe, f"{made[0].id} was launched, and its answer was lost")
    return True


def _seconds(row: Row) -> Decimal:
    if row.launched_at is None or row.ended_at is None:
        return Decimal(0)
    return Decimal(str((row.ended_at - row.launched_at).total_seconds()))


def _conclude(
    tx: sa.Connection, now: datetime, probe: Row, *, usd: Decimal, answer: str | None, **told: object
) -> bool:
    return probes.move(tx, probe, ProbeStatus.OVER, usd=usd, answer=answer, completed_at=now, **told)


def _set_apart(probe: Row) -> clones.SetApart:
    return clones.SetApart(
        client_id=ClientId(probe.client_id),
        agent_id=AgentId(probe.agent_id),
        seed=probe.id,
        purpose=PURPOSE,
        mine=_launched_for(probe),
        because=f"a probe of {probe.pool_id} had it, and is over",
    )


def _launched_for(probe: Row) -> sa.ColumnElement[bool]:
    """Its own client's: a tag that names it may stand on anybody's instance."""
    return sa.and_(instances.c.probe_id == probe.id, instances.c.client_id == probe.client_id)
