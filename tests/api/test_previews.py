"""What a switch would be and cost, before it is ordered: the same answer, or the same refusal, and nothing done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandType
from spotguard.domain.switches import PLANNED, MoveKind
from spotguard.store.tables import metadata
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World, instance_id

TO_B = {"target": "pool", "poolId": POOL_B}


@pytest.fixture
def web(world: World, acme: Tenant) -> Machine:
    """The primary, on spot in zone a, with prices of both zones."""
    machine = world.register(acme, "web")
    machine.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    return machine


def preview(acme: Tenant, machine: Machine, wanted: Any = TO_B) -> Any:
    reply = acme.call("POST", f"/instances/{machine.id}/force-switch/preview", wanted)
    assert reply.status == 200, reply
    return reply.body


def everything(world: World) -> dict[str, list[Any]]:
    return {table.name: world.rows(table) for table in metadata.sorted_tables}


def test_the_plan_its_minutes_and_its_cost_are_shown(world: World, acme: Tenant, web: Machine):
    told = preview(acme, web)
    assert (told["kind"], told["targetMode"], told["targetPool"]) == ("synced", "spot", POOL_B)
    assert (told["downtimeMinutes"], told["downtimeFrom"]) == (0.2, "assumed")
    assert (told["overlapMinutes"], told["overlapFrom"]) == (32.0, "assumed"), "2 to boot, 30 to wait"
    assert told["overlapUsd"] == "0.015893", "32 minutes at 0.0298 USD/h"
    assert (told["oldUsdPerHour"], told["newUsdPerHour"], told["savedUsdPerHour"]) == (
        "0.031200",
        "0.029800",
        "0.001400",
    )
    assert told["onDemandUsdPerHour"] == "0.041600"
    assert told["deadlineAt"] > rfc3339(world.clock.now())
    assert any("another availability zone" in text for text in told["warnings"])
    steps = [(step["step"], step["withinSeconds"], step["whenLate"]) for step in told["steps"]]
    assert steps == [(r.step.value, r.seconds, r.late.value) for r in PLANNED[MoveKind.SYNCED]]


@pytest.mark.parametrize("wanted", [TO_B, {"target": "ondemand"}, {**TO_B, "kind": "image"}])
def test_nothing_is_done(world: World, acme: Tenant, web: Machine, wanted: Any):
    before, called = everything(world), list(world.bell.agents)
    preview(acme, web, wanted)
    assert everything(world) == before
    assert world.bell.agents == called


def test_the_order_that_follows_keeps_the_same_plan(world: World, acme: Tenant, web: Machine):
    told = preview(acme, web)
    reply = acme.call("POST", f"/instances/{web.id}/force-switch", TO_B)
    switch = acme.get(f"/switches/{reply.body['switchId']}")
    plan = switch["plan"]
    assert (switch["kind"], plan["kind_because"], plan["warnings"]) == (
        told["kind"],
        told["because"],
        told["warnings"],
    )
    assert plan["overlap_usd"] == told["overlapUsd"]
    assert [step["step"] for step in plan["steps"]] == [step["step"] for step in told["steps"]]
    assert switch["deadlineAt"] == told["deadlineAt"]
    due = {"step": "launched", "at": rfc3339(world.clock.now() + timedelta(seconds=300)), "late": "unwind"}
    assert switch["due"] == due


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"target": "pool", "poolId": POOL_A}, 409),
        ({"target": "pool", "poolId": "t3.medium.ap-south-1c"}, 409),
        ({**TO_B, "kind": "volume"}, 409),
        ({"target": "pool"}, 422),
        ({**TO_B, "kind": "snapshot"}, 422),
        ({**TO_B, "dryRun": True}, 422),
    ],
)
def test_what_the_order_would_be_refused_for_the_preview_is_too(
    acme: Tenant, web: Machine, wanted: Any, status: int
):
    for path in ("force-switch/preview", "force-switch"):
        assert acme.call("POST", f"/instances/{web.id}/{path}", wanted).status == status


def test_a_cap_is_told_before_the_order(world: World, acme: Tenant, web: Machine):
    acme.call("PUT", "/limits", {"maxInstances": 1})
    before = everything(world)
    reply = acme.call("POST", f"/instances/{web.id}/force-switch/preview", TO_B)
    assert (reply.status, "limit of 1 instances" in reply.body["detail"]) == (409, True)
    assert everything(world) == before


def done_before(world: World, web: Machine, seconds: int, minutes: int) -> None:
    """One move as the specification reports it: `seconds` of a closed gate, `minutes` from launch to ready."""
    world.machines += 1
    ready = world.clock.now()
    timing = {
        "instance_launched_at": rfc3339(ready - timedelta(minutes=minutes)),
        "gate_closed_at": rfc3339(ready - timedelta(seconds=seconds)),
        "instance_ready_at": rfc3339(ready),
    }
    body = {
        "command_id": world.command(web, CommandType.SWITCH),
        "old_instance": {"instance_id": web.id},
        "new_instance": {"instance_id": instance_id(700 + world.machines)},
        "timing": timing,
    }
    assert web.post("switch-report", body).status == 200
    asked = web.next_command()["id"]
    assert web.post(f"commands/{asked}/result", {"status": "completed"}).status == 200


def test_after_three_moves_their_medians_stand_instead_of_what_is_assumed(
    world: World, acme: Tenant, web: Machine
):
    """A report after the fact is of kind image."""
    acme.configure(web, autoTerminateEnabled=False)
    for seconds, minutes in ((60, 5), (600, 12), (90, 7)):
        told = preview(acme, web, {**TO_B, "kind": "image"})
        assert told["downtimeFrom"] == "assumed"
        done_before(world, web, seconds, minutes)
    told = preview(acme, web, {**TO_B, "kind": "image"})
    assert (told["downtimeMinutes"], told["downtimeFrom"]) == (1.5, "measured over 3 moves")
    assert (told["overlapMinutes"], told["overlapFrom"]) == (7.0, "measured over 3 moves")
    assert preview(acme, web)["downtimeFrom"] == "assumed", "of synced moves nothing is measured"


def test_another_tenants_moves_tell_nothing(world: World, acme: Tenant, web: Machine):
    other = world.register(world.tenant("Other"), number=900)
    for _ in range(3):
        done_before(world, other, 60, 5)
    assert preview(acme, web, {**TO_B, "kind": "image"})["downtimeFrom"] == "assumed"


def test_a_workload_without_a_state_sync_moves_by_image_and_no_standby_is_made(
    world: World, acme: Tenant, web: Machine
):
    web.heartbeat(can_sync=False)
    told = preview(acme, web)
    assert (told["kind"], "no verified sync" in told["because"]) == ("image", True)
    agent = f"/agents/{web.agent_id}"
    synced = {**TO_B, "kind": "synced"}
    for refused in (
        acme.call("POST", f"/instances/{web.id}/force-switch/preview", synced),
        acme.call("POST", f"/instances/{web.id}/force-switch", synced),
        acme.configure(web, manualReplicaEnabled=True),
    ):
        assert (refused.status, "state_path" in refused.body["detail"]) == (409, True), refused
    assert acme.get(f"{agent}/replicas")["items"] == []
    ordered = acme.call("POST", f"/instances/{web.id}/force-switch", TO_B)
    assert acme.get(f"/switches/{ordered.body['switchId']}")["kind"] == "image"


def test_a_standby_made_before_the_sync_was_taken_away_is_neither_promoted_nor_made_anew(
    world: World, acme: Tenant, web: Machine
):
    assert acme.configure(web, manualReplicaEnabled=True).status == 200
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    standby = world.register(acme, letter="b", token=world.enrolment(web, replica_id=replica["id"]))
    synced = {"sync_status": "synced", "state_transfer_progress": 100, "position": 1}
    assert standby.post(f"replicas/{replica['id']}/sync-status", synced).status == 200
    web.heartbeat(can_sync=False)
    promote = f"/api/agents/{web.agent_id}/replicas/{replica['id']}/promote"
    refused = world.link.call("POST", promote, token=acme.token, body={})
    assert (refused.status, "state_path" in refused.body["detail"]) == (409, True), refused
    refused = acme.call("POST", f"/agents/{web.agent_id}/replicas")
    assert (refused.status, "state_path" in refused.body["detail"]) == (409, True), refused
