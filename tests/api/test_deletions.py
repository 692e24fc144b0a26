"""GET /agents/{id}/deletion: what a deletion would leave and end, in the deed's own numbers."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import PROVEN_CHECKS
from spotguard.store.deletions import CHANGED
from spotguard.store.tables import instances, metadata, replica_instances
from tests.api.test_leftovers import stray
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World, instance_id

STANDBY = instance_id(77)


@pytest.fixture
def web(world: World, web: Machine) -> Machine:
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    web.heartbeat(workload_healthy=True)
    mine = instances.c.id == web.id
    proven = {"gate": "open", "healthy_streak": PROVEN_CHECKS}
    world.write(lambda tx: tx.execute(sa.update(instances).where(mine).values(**proven)))
    return web


def with_a_standby(world: World, acme: Tenant, web: Machine) -> None:
    assert acme.configure(web, manualReplicaEnabled=True).status == 200
    ready = {"status": "ready", "sync_status": "synced", "instance_id": STANDBY}
    world.write(lambda tx: tx.execute(sa.update(replica_instances).values(**ready)))


def with_disks(world: World, web: Machine) -> None:
    stray(world, web, "vol-1", attached_to=web.id, is_ours=False)
    stray(world, web, "vol-2", attached_to=web.id, is_ours=False, usd_per_gib_month=None)


def preview(acme: Tenant, web: Machine) -> Any:
    return acme.get(f"/agents/{web.agent_id}/deletion")


def delete(acme: Tenant, web: Machine, seen: str | None = None) -> Any:
    return acme.call("DELETE", f"/agents/{web.agent_id}" + (f"?asSeen={seen}" if seen else ""))


def everything(world: World) -> dict[str, list[Any]]:
    return {table.name: world.rows(table) for table in metadata.sorted_tables}


def test_the_numbers_before_are_those_of_the_deed(world: World, acme: Tenant, web: Machine):
    with_a_standby(world, acme, web)
    with_disks(world, web)
    before = everything(world)
    told = preview(acme, web)
    assert everything(world) == before, "a look changes nothing"
    machine, known, unknown = told["left"]
    assert [one["resourceId"] for one in told["left"]] == [web.id, "vol-1", "vol-2"]
    assert (known["usdPerMonth"], unknown["usdPerMonth"]) == ("0.800000", None)
    assert float(machine["usdPerMonth"]) + 0.8 == pytest.approx(float(told["usdPerMonth"]))
    assert told["standbys"] == [STANDBY]
    done = delete(acme, web, told.pop("asSeen"))
    assert done.status == 200
    assert {name: done.body[name] for name in told} == told


def test_what_has_changed_since_it_was_shown_is_shown_again_before_anything_is_deleted(
    world: World, acme: Tenant, web: Machine
):
    seen = preview(acme, web)["asSeen"]
    with_disks(world, web)
    refused = delete(acme, web, seen)
    assert (refused.status, refused.body["detail"]) == (409, CHANGED)
    assert acme.agent(web)["status"] == "online"
    seen = preview(acme, web)["asSeen"]
    with_a_standby(world, acme, web)
    assert delete(acme, web, seen).status == 409, "what would end is part of it"
    shown = preview(acme, web)
    web.prices({POOL_A: 0.0412, POOL_B: 0.0298})
    assert delete(acme, web, shown["asSeen"]).status == 200, "a price that moves is no other deletion"


def test_without_having_looked_it_is_deleted_all_the_same(acme: Tenant, web: Machine):
    assert delete(acme, web).status == 200


def test_of_a_deleted_one_it_tells_what_still_goes_on(world: World, acme: Tenant, web: Machine):
    with_disks(world, web)
    done = delete(acme, web).body
    told = preview(acme, web)
    assert (told["left"], told["standbys"]) == (done["left"], [])
    assert delete(acme, web, "another").status == 200, "again is harmless"


def test_it_is_refused_as_the_deed_is_and_nobody_elses_is_told(world: World, acme: Tenant, web: Machine):
    order = {"target": "pool", "poolId": POOL_B}
    assert acme.call("POST", f"/instances/{web.id}/force-switch", order).status == 202
    refused = acme.call("GET", f"/agents/{web.agent_id}/deletion")
    assert (refused.status, refused.body) == (409, delete(acme, web).body)
    other = world.tenant("Other")
    assert other.call("GET", f"/agents/{web.agent_id}/deletion").status == 404


@pytest.mark.parametrize("dies", ["not", "before", "after"])
def test_copies_go_with_an_agent_that_was_served_and_stay_where_they_may_be_all_that_is_left(
    world: World, acme: Tenant, web: Machine, dies: str
):
    def ends() -> None:
        dead = {"is_active": False, "ec2_state": "terminated", "terminated_at": world.clock.now()}
        world.write(lambda tx: tx.execute(sa.update(instances).values(**dead)))

    for copy in ("snapshot", "image"):
        stray(world, web, f"{copy}-1", kind=copy, last_attached_to=None)
    if dies == "before":
        ends()
    world.clock.pass_seconds(60)
    left = {one["resourceId"] for one in delete(acme, web).body["left"]}
    world.clock.pass_seconds(60)
    if dies == "after":
        ends()
    cleaned = {
        one["resourceId"]
        for one in acme.get("/leftovers")["items"]
        if one["looseBecause"] == "no machine, move, image or agent needs it"
    }
    copies = {"snapshot-1", "image-1"}
    assert (left & copies, cleaned & copies) == ((copies, set()) if dies == "before" else (set(), copies))
