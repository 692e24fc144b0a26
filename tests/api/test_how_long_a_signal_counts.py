"""One rule for what a screen shows, a drill is refused for and a standby is judged by (ruling B7)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spotguard.domain.ids import AgentId, ClientId, InstanceId
from spotguard.domain.signals import SignalType
from spotguard.store import live_signals, signals
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World, instance_id

UNDER = "the serving instance has an interruption signal: a real hand-over comes first"
HOURS = timedelta(hours=1)


@pytest.fixture
def web(web: Machine) -> Machine:
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    web.heartbeat(workload_healthy=True)
    return web


def told(web: Machine, world: World, kind: str) -> None:
    assert web.post("interruption-signal", {"signal_type": kind, "signal_time": world.ago(1)}).status == 200


def later(world: World, web: Machine, span: timedelta) -> None:
    world.clock.time += span
    web.heartbeat(workload_healthy=True)


def shown(acme: Tenant, web: Machine) -> str | None:
    signal = acme.agent(web)["lastSignal"]
    return None if signal is None else signal["signalType"]


def drill_is_refused_for_it(acme: Tenant, web: Machine) -> bool:
    return acme.get(f"/agents/{web.agent_id}/controls")["failoverDrill"]["because"] == UNDER


def test_a_recommendation_counts_for_two_hours_on_the_screen_and_for_a_drill(
    world: World, acme: Tenant, web: Machine
):
    told(web, world, "rebalance-recommendation")
    later(world, web, 2 * HOURS - timedelta(seconds=1))
    assert (shown(acme, web), drill_is_refused_for_it(acme, web)) == ("rebalance-recommendation", True)
    later(world, web, timedelta(seconds=1))
    assert (shown(acme, web), drill_is_refused_for_it(acme, web)) == (None, False)


def test_a_notice_counts_for_good(world: World, acme: Tenant, web: Machine):
    told(web, world, "rebalance-recommendation")
    later(world, web, timedelta(seconds=1))
    told(web, world, "instance-termination")
    later(world, web, 18 * HOURS)
    assert shown(acme, web) == "instance-termination"
    assert world.read(lambda tx: live_signals.signalled(tx, world.clock.now(), [web.id])) == {web.id}


def test_a_newer_signal_of_its_standby_hides_none_of_the_serving_instance(
    world: World, acme: Tenant, web: Machine
):
    told(web, world, "rebalance-recommendation")
    world.clock.time += timedelta(minutes=1)
    world.write(
        lambda tx: signals.receive(
            tx,
            world.clock.now(),
            client_id=ClientId(acme.id),
            agent_id=AgentId(web.agent_id),
            instance_id=InstanceId(instance_id(77)),
            signal_type=SignalType.TERMINATION,
            signal_time=world.clock.now(),
            action_time=None,
        )
    )
    assert shown(acme, web) == "rebalance-recommendation"
    assert drill_is_refused_for_it(acme, web)
