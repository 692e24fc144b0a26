"""`GET /agents/{id}/controls`: each control says what the order itself would, in every situation, and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import KillLevel
from spotguard.ports.server import Reply
from spotguard.store import kill
from spotguard.store.tables import metadata, replica_instances
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World, instance_id

Situation = Callable[[World, Tenant, Machine], None]


@pytest.fixture
def web(web: Machine) -> Machine:
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    web.heartbeat(workload_healthy=True)
    return web


def calm(_world: World, _acme: Tenant, _web: Machine) -> None:
    pass


def disabled(_world: World, acme: Tenant, web: Machine) -> None:
    assert acme.configure(web, enabled=False).status == 200


def deleted(_world: World, acme: Tenant, web: Machine) -> None:
    assert acme.call("DELETE", f"/agents/{web.agent_id}").status == 200


def stopped(world: World, acme: Tenant, _web: Machine) -> None:
    world.write(
        lambda tx: kill.set_level(
            tx, world.clock.now(), acme.id, kill.CLIENT, KillLevel.VOLUNTARY, "a look at it"
        )
    )


def moving(_world: World, acme: Tenant, web: Machine) -> None:
    order = {"target": "pool", "poolId": POOL_B}
    assert acme.call("POST", f"/instances/{web.id}/force-switch", order).status == 202


def signalled(world: World, _acme: Tenant, web: Machine) -> None:
    said = {"signal_type": "rebalance-recommendation", "signal_time": world.ago(1)}
    assert web.post("interruption-signal", said).status == 200


def with_a_wish(_world: World, acme: Tenant, web: Machine) -> None:
    assert acme.configure(web, manualReplicaEnabled=True).status == 200


def with_a_ready_standby(world: World, acme: Tenant, web: Machine) -> None:
    with_a_wish(world, acme, web)
    ready = {"status": "ready", "sync_status": "synced", "instance_id": instance_id(77)}
    world.write(lambda tx: tx.execute(sa.update(replica_instances).values(**ready)))


def manual_without_a_standby(world: World, acme: Tenant, web: Machine) -> None:
    with_a_wish(world, acme, web)
    gone = {"status": "failed", "is_active": False}
    world.write(lambda tx: tx.execute(sa.update(replica_instances).values(**gone)))


def awaiting_an_answer(_world: World, acme: Tenant, web: Machine) -> None:
    assert acme.configure(web, autonomy="approve").status == 200


SITUATIONS: tuple[Situation, ...] = (
    calm,
    disabled,
    deleted,
    stopped,
    moving,
    signalled,
    with_a_wish,
    with_a_ready_standby,
    manual_without_a_standby,
    awaiting_an_answer,
)


def orders(acme: Tenant, web: Machine, controls: Any) -> dict[str, Callable[[], Reply]]:
    """The calls that the page makes, by the control that stands before each."""
    agent = f"/agents/{web.agent_id}"

    def drill(kind: str) -> Callable[[], Reply]:
        return lambda: acme.call("POST", f"{agent}/drill", {"kind": kind, "dryRun": False})

    def promote(replica: str) -> Callable[[], Reply]:
        path = f"/api/agents/{web.agent_id}/replicas/{replica}/promote"
        return lambda: web.world.link.call("POST", path, token=acme.token, body={})

    calls: dict[str, Callable[[], Reply]] = {
        "automatic": lambda: acme.configure(web, autoSwitchEnabled=True),
        "manual": lambda: acme.configure(web, manualReplicaEnabled=True),
        "autonomyAuto": lambda: acme.configure(web, autonomy="auto"),
        "createReplica": lambda: acme.call("POST", f"{agent}/replicas"),
        "failoverDrill": drill("failover"),
        "restoreDrill": drill("restore"),
        "delete": lambda: acme.call("DELETE", agent),
        "move": lambda: acme.call("POST", f"/instances/{web.id}/force-switch", {"target": "ondemand"}),
    }
    return {**calls, **{f"promote {one}": promote(one) for one in controls["promote"]}}


def told(acme: Tenant, web: Machine) -> Any:
    return acme.get(f"/agents/{web.agent_id}/controls")


def flat(controls: Any) -> dict[str, Any]:
    named = {name: one for name, one in controls.items() if name not in {"promote", "approve"}}
    return {**named, **{f"promote {key}": one for key, one in controls["promote"].items()}}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.__name__)
def test_each_control_says_what_its_order_is_answered(situation: Situation):
    acme, web = begun(World(), situation)
    controls = told(acme, web)
    names = ["promote" if name.startswith("promote") else name for name in flat(controls)]
    for name in names:
        said = flat(controls)[at(name, controls)]
        reply = orders(acme, web, controls)[at(name, controls)]()
        assert said["allowed"] is (reply.status < 300), (name, said, reply)
        if said["allowed"]:  # what was refused has changed nothing
            acme, web = begun(World(), situation)
            controls = told(acme, web)
        else:
            assert said["because"] == reply.body["detail"], name


def begun(world: World, situation: Situation) -> tuple[Tenant, Machine]:
    acme = world.tenant("Acme")
    web = world.register(acme, "web")
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    web.heartbeat(workload_healthy=True)
    situation(world, acme, web)
    return acme, web


def at(name: str, controls: Any) -> str:
    return f"promote {next(iter(controls['promote']))}" if name == "promote" else name


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.__name__)
def test_looking_changes_nothing(situation: Situation):
    world = World()
    acme, web = begun(world, situation)
    before = {table.name: world.rows(table) for table in metadata.sorted_tables}
    called = world.bell.coordinator_calls
    told(acme, web)
    assert {table.name: world.rows(table) for table in metadata.sorted_tables} == before
    assert world.bell.coordinator_calls == called


def test_a_standby_that_is_ready_may_be_promoted_and_nothing_else_may_while_it_is(world: World):
    acme, web = begun(world, with_a_ready_standby)
    controls = told(acme, web)
    assert [one["allowed"] for one in controls["promote"].values()] == [True]
    assert "a replica is alive already" in controls["createReplica"]["because"]
    assert controls["approve"] is None


def test_another_tenant_is_told_nothing(world: World, web: Machine):
    assert world.tenant("Globex").call("GET", f"/agents/{web.agent_id}/controls").status == 404


def test_under_the_kill_switch_a_manual_replica_is_refused_by_the_control_and_by_the_order(
    world: World, acme: Tenant, web: Machine
):
    """A switch that says 'no new standbys' lets nobody order one."""
    stopped(world, acme, web)
    told = acme.get(f"/agents/{web.agent_id}/controls")["manual"]
    assert not told["allowed"]
    assert told["because"] == (
        "the kill switch stands at voluntary: no new standby is made, "
        f"for this client until spotguard kill-switch none --client {acme.id}"
    )
    refused = acme.configure(web, manualReplicaEnabled=True)
    assert (refused.status, told["because"] in str(refused.body)) == (409, True)
    assert world.rows(replica_instances) == []


def test_under_the_kill_switch_who_has_the_mode_on_stores_it_anew_and_clicks_for_no_replica(
    world: World, acme: Tenant, web: Machine
):
    manual_without_a_standby(world, acme, web)
    stopped(world, acme, web)
    assert acme.configure(web, manualReplicaEnabled=True).status == 200
    told = acme.get(f"/agents/{web.agent_id}/controls")["createReplica"]
    assert (told["allowed"], "the kill switch" in told["because"]) == (False, True)
