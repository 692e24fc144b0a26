"""POST switch-report: what an agent tells of a move."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import credentials
from spotguard.api.context import Api, reply
from spotguard.api.moments import happened_at
from spotguard.api.problems import invalid
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import AgentId, ClientId, CommandId, InstanceId, SwitchId, is_instance_id
from spotguard.domain.instances import parse_mode
from spotguard.domain.money import parse_price
from spotguard.domain.pools import parse_pool_id, region_of
from spotguard.domain.switches import STEP_OF_TIMING, TIMING_NAME, Step, parse_trigger
from spotguard.store import report_ends, reports
from spotguard.wire.agent import MoveTarget, ReportedInstance, SwitchReply, SwitchReport

_DECODER = msgspec.json.Decoder(SwitchReport)


async def switch_report(api: Api, request: Request) -> Response:
    said = await api.body(request, _DECODER)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> reports.Applied:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        return reports.apply_switch_report(
            tx,
            now,
            client_id=ClientId(caller.client_id),
            agent_id=AgentId(caller.agent_id),
            instance_id=InstanceId(caller.instance_id),
            report=_report(said, now),
            lease_seconds=api.settings.lease_seconds,
        )

    applied = await api.write(work)
    if said.timing or said.new_instance:
        api.wakeup.coordinator()
    if applied.granted:
        api.wakeup.agent(applied.row.new_instance_id)
    return reply(
        SwitchReply(
            switch_id=applied.row.id,
            savings_impact=applied.row.savings_impact,
            recorded=[step.value for step in applied.recorded],
            target=MoveTarget(*applied.target) if applied.target else None,
            status=applied.row.status,
        )
    )


def _report(said: SwitchReport, now: datetime) -> report_ends.SwitchReport:
    prices = said.pricing
    return report_ends.SwitchReport(
        command_id=CommandId(said.command_id) if said.command_id else None,
        switch_id=SwitchId(said.switch_id) if said.switch_id else None,
        trigger=None if said.trigger is None else _checked("/trigger", parse_trigger, said.trigger),
        old=_end(said.old_instance, "/old_instance"),
        new=_end(said.new_instance, "/new_instance"),
        timing=_timing(said, now),
        on_demand=_price(prices and prices.on_demand, "/pricing/on_demand"),
        old_spot=_price(prices and prices.old_spot, "/pricing/old_spot"),
        new_spot=_price(prices and prices.new_spot, "/pricing/new_spot"),
        destroyed=tuple(said.destroyed),
        remarks=tuple(said.remarks),
    )


def _timing(said: SwitchReport, now: datetime) -> dict[Step, datetime]:
    """The specification's five names and the others of `TIMING_NAME`; null is not told.

    Who has let go serves no more, whatever its clock says: that is believed with any times.
    """
    lets_go = said.timing.get(TIMING_NAME[Step.RELEASED]) is not None
    timing: dict[Step, datetime] = {}
    for name, text in said.timing.items():
        pointer = f"/timing/{name[:40]}"
        if name not in STEP_OF_TIMING:
            raise invalid(pointer, f"not a step of a move: {', '.join(TIMING_NAME.values())}")
        step = STEP_OF_TIMING[name]
        if text is None:
            continue
        if step in reports.SERVER_STEPS:
            raise invalid(pointer, "the server itself records this step")
        timing[step] = happened_at(text, now, pointer, whatever_it_says=lets_go)
    return timing


def _end(told: ReportedInstance | None, pointer: str) -> report_ends.End | None:
    if told is None:
        return None
    if not is_instance_id(told.instance_id):
        raise invalid(f"{pointer}/instance_id", "not an EC2 instance id")
    pool = None if told.pool_id is None else _checked(f"{pointer}/pool_id", parse_pool_id, told.pool_id)
    az = told.az or (pool.az if pool else None)
    if pool is not None and told.az is not None and pool.az != told.az:
        raise invalid(f"{pointer}/az", f"{told.pool_id} does not lie in {told.az}")
    return report_ends.End(
        instance_id=InstanceId(told.instance_id),
        instance_type=told.instance_type or (pool.instance_type if pool else None),
        region=told.region or (_checked(f"{pointer}/az", region_of, az) if az else None),
        az=az,
        mode=None if told.mode is None else _checked(f"{pointer}/mode", parse_mode, told.mode).value,
        pool_id=told.pool_id,
        ami_id=told.ami_id,
    )


def _price(told: object, pointer: str) -> Decimal | None:
    return None if told is None else _checked(pointer, parse_price, told)


def _checked(pointer: str, parse: Any, text: Any) -> Any:
    try:
        return parse(text)
    except InvalidInput as error:
        raise invalid(pointer, str(error)) from error
