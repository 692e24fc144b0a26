"""POST register and GET config: an instance becomes known, and learns how it is configured."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import msgspec
from sqlalchemy.engine import Connection
from starlette.requests import Request
from starlette.responses import Response

from spotguard.api import credentials
from spotguard.api.context import Api, reply
from spotguard.api.problems import invalid
from spotguard.domain.agents import AgentStatus, Executor
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import AgentId, InstanceId, is_instance_id, is_workload_name
from spotguard.domain.instances import parse_mode
from spotguard.domain.pools import LINUX, Pool, parse_pool_id, region_of
from spotguard.store import agents, fallbacks, old_ends, traffic
from spotguard.store.registration import Admission, Newcomer
from spotguard.store.registration import register as register_instance
from spotguard.store.secrets import hash_token
from spotguard.wire.agent import AgentConfig, Fallback, Register, Registered, Standby

_DECODER = msgspec.json.Decoder(Register)


async def register(api: Api, request: Request) -> Response:
    said = await api.body(request, _DECODER)
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> tuple[Admission, Registered]:
        client_id, enrolled_by = credentials.enroller(tx, now, token_hash)
        admission = register_instance(
            tx,
            now,
            client_id,
            _newcomer(said),
            enrolled_by=enrolled_by,
            autonomy=api.settings.new_agent_autonomy,
        )
        caller: Any = agents.caller_of_token(tx, now, hash_token(admission.token))
        return admission, Registered(
            agent_id=admission.agent_id,
            agent_token=admission.token,
            role=agents.role_of(caller),
            epoch=caller.epoch,
            config=_config(tx, agents.of_client(tx, client_id, admission.agent_id)),
            replica_id=caller.replica_id,
            intervals=api.settings.intervals,
        )

    admission, registered = await api.write(work)
    if admission.changed_agent:
        api.wakeup.coordinator()
    return reply(registered, 200 if admission.again else 201)


def _newcomer(said: Register) -> Newcomer:
    if not is_workload_name(said.logical_agent_id):
        sentence = "a name has no invisible character, none that turns others around, and no space at an end"
        raise invalid("/logical_agent_id", sentence)
    if not is_instance_id(said.instance_id):
        raise invalid("/instance_id", "not an EC2 instance id (i- and 8 or 17 hexadecimal digits)")
    return Newcomer(
        logical_agent_id=said.logical_agent_id,
        instance_id=InstanceId(said.instance_id),
        boot_id=said.boot_id,
        pool=_pool(said),
        mode=_checked("/mode", parse_mode, said.mode),
        ami_id=said.ami_id,
        agent_version=said.agent_version,
        hostname=said.hostname,
        private_ip=_checked("/private_ip", _address, said.private_ip),
        public_ip=None if said.public_ip is None else _checked("/public_ip", _address, said.public_ip),
        can_sync=said.can_sync,
        has_traffic_script=said.has_traffic_script,
        state_on_root=said.state_on_root,
    )


def _pool(said: Register) -> Pool:
    """Type, zone, region and pool id tell the same of one machine, or it is not believed."""
    if _checked("/az", region_of, said.az) != said.region:
        raise invalid("/region", f"{said.az} does not lie in {said.region}")
    product = LINUX
    if said.pool_id is not None:
        named = _checked("/pool_id", parse_pool_id, said.pool_id)
        if (named.instance_type, named.az) != (said.instance_type, said.az):
            raise invalid("/pool_id", f"a {said.instance_type} in {said.az} does not run in this pool")
        product = named.product
    pool = Pool(said.instance_type, said.az, product, said.az_id)
    _checked("/instance_type", parse_pool_id, pool.id)  # what cannot be written as a pool id has no pool
    return pool


def _address(text: str) -> str:
    """The primary's copies, its user's scripts and DNS records are made with it: nothing else comes so far."""
    try:
        parsed = ip_address(text)
    except ValueError as error:
        raise InvalidInput(f"not an IP address: {text!r}") from error
    if "%" in text:  # a scope may hold anything, and means nothing elsewhere
        raise InvalidInput(f"an IP address without a scope: {text!r}")
    return str(parsed)


def _checked(pointer: str, parse: Any, text: str) -> Any:
    try:
        return parse(text)
    except InvalidInput as error:
        raise invalid(pointer, str(error)) from error


async def config(api: Api, request: Request) -> Response:
    token_hash = credentials.token_hash_of(request)
    now = api.clock.now()

    def work(tx: Connection) -> AgentConfig:
        caller = credentials.agent(tx, now, token_hash, request.path_params["agent_id"])
        return _config(tx, agents.of_client(tx, caller.client_id, caller.agent_id))

    return reply(await api.read(work))


def _config(tx: Connection, row: Any) -> AgentConfig:
    fed = [Standby(s.replica_id, s.instance_id, s.address) for s in agents.standbys(tx, AgentId(row.id))]
    back = fallbacks.of_agent(tx, AgentId(row.id))
    return AgentConfig(
        agent_id=row.id,
        logical_agent_id=row.logical_agent_id,
        config_version=row.config_version,
        status=AgentStatus(row.status),
        enabled=row.enabled,
        autonomy=row.autonomy,
        auto_switch_enabled=row.auto_switch_enabled,
        manual_replica_enabled=row.manual_replica_enabled,
        auto_terminate_enabled=row.auto_terminate_enabled,
        terminate_wait_seconds=row.terminate_wait_seconds,
        replica_count=row.replica_count,
        current_replica_id=row.current_replica_id,
        min_savings_percent=row.min_savings_percent,
        max_switches_per_day=row.max_switches_per_day,
        max_switches_per_week=row.max_switches_per_week,
        min_pool_hours=row.min_pool_hours,
        risk_threshold=row.risk_threshold,
        allowed_instance_types=row.allowed_instance_types,
        allowed_azs=row.allowed_azs,
        max_hourly_usd=row.max_hourly_usd,
        ends_held=old_ends.why_nothing_ends(tx, row),
        standbys=fed,
        fallback=None if back is None else Fallback(back.switch_id, back.instance_id, back.address),
        traffic=_traffic(tx, row),
    )


def _traffic(tx: Connection, row: Any) -> dict[str, Any] | None:
    if row.traffic is None:
        return None
    by_agent = traffic.is_agents(tx, row.client_id, row.traffic)
    return {**row.traffic, "by": (Executor.AGENT if by_agent else Executor.SERVER).value}
