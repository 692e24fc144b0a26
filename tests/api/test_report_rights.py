"""Who may tell which step: nobody talks another one out of its epoch, or himself into it."""

from __future__ import annotations

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.commands import CommandType
from spotguard.store.tables import (
    epoch_grants,
    instances,
    spot_interruption_events,
    switch_steps,
    switches,
)
from tests.api.world import Machine, Tenant, World, instance_id

HOLDERS = [
    "instance_launched_at",
    "synced_at",
    "gate_closed_at",
    "delta_sent_at",
    "ami_created_at",
    "volumes_moved_at",
    "released_at",
]
AFTER_THE_GRANT = ["instance_ready_at", "traffic_moved_at", "old_terminated_at"]


@pytest.fixture
def switch_id(moving: Machine) -> str:
    return str(moving.next_command()["payload"]["switch_id"])


@pytest.fixture
def successor(world: World, acme: Tenant, moving: Machine, switch_id: str) -> Machine:
    return world.register(acme, letter="b", token=world.enrolment(moving, switch_id=switch_id))


def said(world: World, machine: Machine, switch_id: str, name: str) -> int:
    return machine.post("switch-report", {"switch_id": switch_id, "timing": {name: world.ago(0)}}).status


def granted(world: World, holder: Machine, switch_id: str) -> None:
    done = ("gate_closed_at", "delta_sent_at", "volumes_moved_at", "ami_created_at", "released_at")
    body = {"switch_id": switch_id, "timing": {name: world.ago(0) for name in done}}
    assert holder.post("switch-report", body).body["status"] == "committed"


@pytest.mark.parametrize("name", [name for name in HOLDERS if name != "instance_launched_at"])
def test_the_holders_steps_are_taken_from_the_holder(
    world: World, moving: Machine, successor: Machine, switch_id: str, name: str
):
    before = world.rows(switch_steps)
    assert said(world, successor, switch_id, name) == 409
    assert world.rows(switch_steps) == before
    assert said(world, moving, switch_id, name) == 200


@pytest.mark.parametrize("name", AFTER_THE_GRANT)
def test_nothing_that_follows_the_grant_is_told_before_it(
    world: World, moving: Machine, successor: Machine, switch_id: str, name: str
):
    assert said(world, successor, switch_id, name) == 409
    assert said(world, moving, switch_id, name) == 409
    assert world.rows(instances, instances.c.id == moving.id)[0].is_active
    granted(world, moving, switch_id)
    assert said(world, moving, switch_id, name) == 409, "by who took over, not by who let go"
    assert said(world, successor, switch_id, name) == 200


@pytest.mark.parametrize("name", ["instance_launched_at", "ami_created_at", "volumes_moved_at"])
def test_what_the_server_does_itself_is_not_told_by_an_agent(world: World, name: str):
    tenant = world.tenant("Served", executor=Executor.SERVER)
    holder = world.register(tenant, "web")
    holder.prices({f"t3.medium.ap-south-1{z}": p for z, p in (("a", 0.0312), ("b", 0.0298))})
    wish = {"target": "pool", "pool_id": "t3.medium.ap-south-1b"}
    assert tenant.call("POST", f"/instances/{holder.id}/force-switch", wish).status == 202
    switch_id = holder.next_command()["payload"]["switch_id"]
    assert said(world, holder, switch_id, name) == 409
    named = {"switch_id": switch_id, "new_instance": {"instance_id": instance_id(700)}}
    assert holder.post("switch-report", named).status == 409, "nor the new instance"
    assert said(world, holder, switch_id, "gate_closed_at") == 200


def test_the_successor_names_no_other_new_instance_and_the_holder_may_after_the_fact(
    world: World, acme: Tenant, moving: Machine, switch_id: str
):
    bystander = world.register(acme)
    named = {"switch_id": switch_id, "new_instance": {"instance_id": bystander.id}}
    assert bystander.post("switch-report", named).status == 409
    assert moving.post("switch-report", named).status == 200


def test_who_has_been_seen_in_ec2_is_ended_when_it_is_seen_to_have_ended(
    world: World, moving: Machine, successor: Machine, switch_id: str
):
    seen = instances.update().where(instances.c.id == moving.id).values(ec2_state="running")
    world.write(lambda tx: tx.execute(seen))
    granted(world, moving, switch_id)
    assert said(world, successor, switch_id, "old_terminated_at") == 200
    (old,) = world.rows(instances, instances.c.id == moving.id)
    assert (old.is_active, old.terminated_at) == (True, None)
    assert len(world.rows(epoch_grants)) == 2


@pytest.mark.parametrize("kind", [CommandType.DRILL, CommandType.PROMOTE, CommandType.SWITCH])
def test_nobody_makes_up_a_move_of_another_one(world: World, acme: Tenant, web: Machine, kind: CommandType):
    """A clone names the primary as its old instance: that would be ended in the rows, and its notice answered."""
    clone = world.register(acme, "web")
    command_id = world.command(clone, kind)
    web.post("interruption-signal", {"signal_type": "termination", "signal_time": world.ago(1)})
    told = {
        "command_id": command_id,
        "old_instance": {"instance_id": web.id},
        "new_instance": {"instance_id": clone.id},
        "timing": {name: world.ago(0) for name in ("instance_ready_at", "old_terminated_at")},
    }
    before = world.rows(switches)
    assert clone.post("switch-report", told).status in {404, 409}
    assert world.rows(switches) == before
    assert world.rows(instances, instances.c.id == web.id)[0].is_active
    (event,) = world.rows(spot_interruption_events)
    assert not event.failover_completed
