"""`/instances`: machines, what they could cost elsewhere, and moving them by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from sqlalchemy.engine import Connection

from spotguard.api.client.desk import AskedFor, AtDesk, Days, Desk, TheInstance, router
from spotguard.api.problems import invalid
from spotguard.domain.commands import CreatedBy, Priority
from spotguard.domain.decisions import PoolAssessment
from spotguard.domain.errors import InvalidInput, Refused
from spotguard.domain.ids import AgentId, InstanceId
from spotguard.domain.instances import Mode, Role
from spotguard.domain.pools import LINUX, PRODUCT_SUFFIX, parse_pool_id
from spotguard.domain.switches import MoveKind, Trigger
from spotguard.planning.guard_rails import RiskRule
from spotguard.store import (
    agents,
    decisions,
    fleet,
    forecasts,
    judges,
    move_orders,
    move_rows,
    moves,
    ondemand,
    pools,
    prices,
    views_instances,
)
from spotguard.store.fallbacks import Kept
from spotguard.store.move_orders import MoveOrder
from spotguard.wire.client import FallbackState, InstanceState, Listed
from spotguard.wire.client_controls import (
    ForcedSwitch,
    ForceSwitch,
    InstancePricing,
    KeptInstance,
    Mark,
    MovePreview,
    PlannedStep,
    PlannedTraffic,
    PoolOffer,
    PriceHistory,
    PriceSeries,
)

routes = router()
_ROLE_FIELDS = {"role"}
HERE = "the workload runs here"
NO_PRICE = "no recent price is known"  # as a click on it would be refused; on demand the pool may still serve


def _state(row: Any) -> InstanceState:
    same = {name: getattr(row, name) for name in InstanceState.model_fields if name not in _ROLE_FIELDS}
    return InstanceState(**same, role=agents.role_of(row).value)


@routes.get("/instances")
async def instances(
    desk: AtDesk, asked: AskedFor, active: Annotated[bool | None, Query()] = None
) -> Listed[InstanceState]:
    page = await desk.read(lambda tx: views_instances.page(tx, desk.client_id, asked, active=active))
    return Listed(items=[_state(row) for row in page.rows], next_cursor=page.next_cursor)


@routes.get("/instances/{instanceId}")
async def instance(desk: AtDesk, instance_id: TheInstance) -> InstanceState:
    return _state(await desk.read(lambda tx: views_instances.instance(tx, desk.client_id, instance_id)))


@routes.get("/instances/{instanceId}/pricing")
async def pricing(desk: AtDesk, instance_id: TheInstance) -> InstancePricing:
    def work(tx: Connection) -> InstancePricing:
        row = views_instances.instance(tx, desk.client_id, instance_id)
        on_demand = _ondemand(tx, desk.client_id, row)
        offers: list[PoolOffer] = []
        if row.agent_id is not None:
            agent = agents.of_client(tx, desk.client_id, row.agent_id)
            by_type = ondemand.prices_of(tx, desk.client_id, agent.region) if agent.region else {}
            bare = fleet.assess_pools(tx, desk.now, desk.client_id, agent)
            judge = judges.sitting(tx, desk.now, desk.api.shelf).present
            assessed = forecasts.with_risks(tx, desk.now, desk.client_id, bare, judge.hazard)
            present = row.current_pool_id if row.current_mode == Mode.SPOT else None
            risk = RiskRule(agent.risk_threshold, is_return=decisions.is_forced_stay(tx, agent))
            offers = [
                _offer(one, by_type.get(one.pool.instance_type, on_demand), present, risk) for one in assessed
            ]
        return InstancePricing(
            current_mode=row.current_mode, current_pool=row.current_pool_id, on_demand=on_demand, pools=offers
        )

    return await desk.read(work)


def _ondemand(tx: Connection, client_id: Any, row: Any) -> Decimal | None:
    known = None
    if row.region and row.instance_type:
        known = ondemand.price_of(tx, client_id, row.region, row.instance_type)
    return known if known is not None else row.ondemand_price


def _offer(one: PoolAssessment, on_demand: Decimal | None, present: str | None, rule: RiskRule) -> PoolOffer:
    saving = None
    if one.usd_per_hour is not None and on_demand:
        saving = ((1 - one.usd_per_hour / on_demand) * 100).quantize(Decimal("0.01"))
    product = "" if one.pool.product == LINUX else PRODUCT_SUFFIX[one.pool.product]
    why_not = _why_not(one, present, rule)
    return PoolOffer(
        id=one.pool.id,
        name=f"{one.pool.instance_type} {one.pool.az}{product}",
        az=one.pool.az,
        price=one.usd_per_hour,
        age_seconds=one.age_seconds,
        saving_percent=saving,
        risk=None if one.risk_6h is None else one.risk_6h * 100,
        quarantined_until=one.quarantined_until,
        allowed=why_not is None,
        because=why_not or rule.although(one.risk_6h) or one.because,
        above_risk_limit=rule.exceeded(one.risk_6h) is not None,
    )


def _why_not(one: PoolAssessment, present: str | None, rule: RiskRule) -> str | None:
    """Why SpotGuard would not move the workload there now."""
    if one.pool.id == present:
        return HERE if one.quarantined_until is None else f"{HERE}; {one.because}"
    if not one.allowed or one.quarantined_until is not None:
        return one.because
    return NO_PRICE if one.usd_per_hour is None else rule.why_not(one.risk_6h)


@routes.get("/instances/{instanceId}/price-history")
async def price_history(desk: AtDesk, instance_id: TheInstance, days: Days = 7) -> PriceHistory:
    def work(tx: Connection) -> PriceHistory:
        row = views_instances.instance(tx, desk.client_id, instance_id)
        since = desk.now - timedelta(days=days)
        series: list[PriceSeries] = []
        if row.region and row.instance_type:
            listed = pools.list_pools(tx, instance_types=[row.instance_type], region=row.region)
            known = pools.known_to(tx, desk.client_id, [pool.id for pool in listed])
            ids = sorted(known)
            steps = prices.price_steps(tx, desk.client_id, ids, since, desk.now)
            series = [PriceSeries(id=pool_id, points=steps.get(pool_id, [])) for pool_id in ids]
        marks = views_instances.marks(tx, row.agent_id, since) if row.agent_id else ()
        return PriceHistory(
            pools=series,
            on_demand_price=_ondemand(tx, desk.client_id, row),
            marks=[Mark(time=at, kind=kind, label=label) for at, kind, label in marks],
        )

    return await desk.read(work)


@routes.post("/instances/{instanceId}/force-switch", status_code=202)
async def force_switch(desk: AtDesk, instance_id: TheInstance, wanted: ForceSwitch) -> ForcedSwitch:
    """Move the workload that this instance serves; refused for any other instance."""
    target = _target(wanted)

    def work(tx: Connection) -> ForcedSwitch:
        opened = moves.open_ordered(tx, desk.now, _order(tx, desk, instance_id, wanted, target))
        return ForcedSwitch(
            command_id=opened.command_id,
            switch_id=opened.switch_id,
            kind=opened.kind.value,
            kept=_kept(opened.kept),
        )

    forced = await desk.write(work)
    desk.wake(instance_id)
    return forced


@routes.post("/instances/{instanceId}/force-switch/preview")
async def preview_switch(desk: AtDesk, instance_id: TheInstance, wanted: ForceSwitch) -> MovePreview:
    """What the same order would do now, or the refusal that it would meet. Nothing is done, nothing is reserved."""
    target = _target(wanted)

    def work(tx: Connection) -> MovePreview:
        order = move_orders.preview(tx, desk.now, _order(tx, desk, instance_id, wanted, target))
        return preview_of(desk.now, order)

    return await desk.write(work)


def _order(
    tx: Connection, desk: Desk, instance_id: InstanceId, wanted: ForceSwitch, target: Any
) -> MoveOrder:
    row = views_instances.instance(tx, desk.client_id, instance_id)
    if agents.role_of(row) is not Role.PRIMARY:
        raise Refused("this instance does not serve its workload: switch the one that does")
    return MoveOrder(
        client_id=desk.client_id,
        agent_id=AgentId(row.agent_id),
        trigger=Trigger.MANUAL,
        created_by=CreatedBy.USER,
        priority=Priority.USER,
        target_pool=target,
        target_mode=Mode.ONDEMAND if target is None else Mode.SPOT,
        replica_id=None,
        kind=None if wanted.kind is None else MoveKind(wanted.kind),
        close_by=None,
        reason="forced by its user",
        plan_extra={},
        hazard=judges.sitting(tx, desk.now, desk.api.shelf).present.hazard,
    )


def preview_of(now: datetime, order: MoveOrder) -> MovePreview:
    """A prepared order as people see it before it is given."""
    plan, old, new = order.plan, order.prices["old"], order.prices["new"]
    steps = move_rows.plan_json(order)["steps"]
    return MovePreview(
        kind=plan.kind.value,
        because=plan.because,
        target_mode=order.mode.value,
        target_pool=order.target.id if order.mode is Mode.SPOT else None,
        downtime_minutes=plan.downtime_minutes,
        downtime_from=plan.downtime_from,
        overlap_minutes=plan.overlap_minutes,
        overlap_from=plan.overlap_from,
        overlap_usd=plan.overlap_usd,
        old_usd_per_hour=old,
        new_usd_per_hour=new,
        on_demand_usd_per_hour=order.prices["on_demand"],
        saved_usd_per_hour=None if old is None or new is None else old - new,
        state_gib=plan.state_gib,
        traffic=None if plan.traffic is None else PlannedTraffic.model_validate(plan.traffic),
        auto_terminate=order.agent.auto_terminate_enabled,
        terminate_wait_seconds=order.agent.terminate_wait_seconds,
        deadline_at=move_rows.deadline(now, order),
        steps=[PlannedStep.model_validate(step) for step in steps],
        warnings=list(order.warnings),
        kept=_kept(order.kept),
    )


def _kept(kept: Kept | None) -> KeptInstance | None:
    if kept is None:
        return None
    return KeptInstance(
        instance_id=kept.instance_id,
        goes_back=kept.why_not is None,
        because=kept.why_not or "it is in sync: a last pass with the gate closed brings what it lacks",
        state=None if kept.told is None else FallbackState.model_validate(kept.told),
    )


def _target(wanted: ForceSwitch) -> Any:
    if wanted.target != "pool":
        if wanted.pool_id is not None:
            raise invalid("/poolId", "on-demand has no pool: leave it out, or choose target pool")
        return None
    if wanted.pool_id is None:
        raise invalid("/poolId", "target pool needs the pool's id")
    try:
        return parse_pool_id(wanted.pool_id)
    except InvalidInput as error:
        raise invalid("/poolId", str(error)) from error
