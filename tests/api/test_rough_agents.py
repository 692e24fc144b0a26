"""Agents written from the contract alone, without any optional field: a move and a promotion end as it says."""

from __future__ import annotations

from typing import Any

import pytest

from spotguard.domain.commands import CommandType
from tests.api.world import POOL_A, POOL_B, POOL_C, Machine, Tenant, World

OPTIONAL = ("az_id", "pool_id", "public_ip")  # without an ami_id no move is accepted, and the refusal says so
OLD_HALF = ("synced_at", "gate_closed_at", "delta_sent_at", "ami_created_at")


class Rough:
    """One of them, with the client's token or the one of its launch's user data."""

    def __init__(self, world: World, acme: Tenant, token: str | None = None, **more: Any) -> None:
        said = {name: value for name, value in world.describe(**more).items() if name not in OPTIONAL}
        self.world, self.acme, self.said, self.token = world, acme, said, token or acme.token
        self.speaks: Machine

    @property
    def id(self) -> str:
        return str(self.said["instance_id"])

    @property
    def end(self) -> dict[str, Any]:
        return {"instance_id": self.id, "mode": "spot", "pool_id": f"t3.medium.{self.said['az']}"}

    def register(self) -> str:
        reply = self.world.link.call("POST", "/api/agents/register", token=self.token, body=self.said)
        assert reply.status in {200, 201}, reply
        told = reply.body
        self.speaks = Machine(
            self.world,
            self.acme,
            self.id,
            self.said["az"],
            "spot",
            told["agent_id"],
            told["agent_token"],
            told,
        )
        return str(told["role"])

    def beat(self) -> str:
        said = {"status": "online", "instance_id": self.id, "mode": "spot", "pool_id": self.end["pool_id"]}
        reply = self.speaks.post("heartbeat", said)
        assert reply.status == 200, reply
        return str(reply.body["role"])

    def commands(self) -> list[dict[str, Any]]:
        return list(self.speaks.get("pending-commands").body["commands"])

    def done(self, command: dict[str, Any]) -> None:
        assert self.speaks.post(f"commands/{command['id']}/result", {"status": "completed"}).status == 200

    def report(self, command: dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"command_id": command["id"], "trigger": "manual", **more}
        reply = self.speaks.post("switch-report", body)
        assert reply.status == 200, reply
        return dict(reply.body)


@pytest.fixture
def old(world: World, acme: Tenant) -> Rough:
    rough = Rough(world, acme)
    assert rough.register() == "primary"
    assert rough.beat() == "primary"
    prices = [
        {"id": pool, "price": price} for pool, price in ((POOL_A, 0.031), (POOL_B, 0.029), (POOL_C, 0.03))
    ]
    said = {"pools": prices, "on_demand_price": 0.0416}
    assert rough.speaks.post("pricing-report", said).status == 200
    return rough


def opens(new: Rough) -> None:
    (promote,) = [c for c in new.commands() if c["command_type"] == "promote"]
    new.done(promote)
    assert new.beat() == "primary"


@pytest.mark.parametrize("beats_after_its_registration", [True, False])
@pytest.mark.parametrize("with_its_launchs_token", [True, False])
@pytest.mark.parametrize("registers", ["before it is named", "after"])
def test_a_move_of_rough_agents(
    world: World,
    acme: Tenant,
    old: Rough,
    registers: str,
    with_its_launchs_token: bool,
    beats_after_its_registration: bool,
):
    wish = {"target": "pool", "pool_id": POOL_B}
    assert acme.call("POST", f"/instances/{old.id}/force-switch", wish).status == 202
    (command,) = old.commands()
    switch_id = command["payload"]["switch_id"]
    token = world.enrolment(old.speaks, switch_id=switch_id) if with_its_launchs_token else None
    new = Rough(world, acme, token, letter="b")
    launched = {
        "timing": {"instance_launched_at": world.ago(1)},
        "new_instance": new.end,
        "old_instance": old.end,
    }
    if registers == "after":
        old.report(command, **launched)
    new.register()
    if beats_after_its_registration:
        new.beat()
    if registers != "after":
        old.report(command, **launched)
    new.commands()
    new.beat()
    assert old.report(command)["target"]["instance_id"] == new.id
    old.report(command, timing={name: world.ago(0) for name in OLD_HALF})
    ended = old.report(command, timing={"released_at": world.ago(0)})
    assert ended["status"] == "committed"
    assert new.beat() == "primary"
    assert old.beat() != "primary"
    opens(new)
    assert acme.agent(new.speaks)["instanceId"] == new.id


@pytest.mark.parametrize("with_its_launchs_token", [True, False])
@pytest.mark.parametrize("registers", ["before it is named", "after"])
def test_a_promotion_of_rough_agents(
    world: World, acme: Tenant, old: Rough, registers: str, with_its_launchs_token: bool
):
    acme.configure(old.speaks, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{old.speaks.agent_id}/replicas")["items"]
    token = world.enrolment(old.speaks, replica_id=replica["id"]) if with_its_launchs_token else None
    new = Rough(world, acme, token, letter="b")
    ordered = world.command(old.speaks, CommandType.LAUNCH_REPLICA, payload={"replica_id": replica["id"]})
    launch = next(c for c in old.commands() if c["id"] == ordered)
    if registers != "after":
        new.register()
    named = {"status": "completed", "result": {"instance_id": new.id}}
    assert old.speaks.post(f"commands/{launch['id']}/result", named).status == 200
    if registers == "after":
        assert new.register() == "standby"
    assert new.beat() == "standby"
    said = {"sync_status": "synced", "state_transfer_progress": 100.0, "sync_latency_ms": 40}
    for status in ("out-of-sync", "synced"):
        told = new.speaks.post(f"replicas/{replica['id']}/sync-status", said | {"sync_status": status})
        assert told.status == 200, told
    assert told.body["status"] == "ready"
    path = f"/api/agents/{old.speaks.agent_id}/replicas/{replica['id']}/promote"
    promoted = world.link.call("POST", path, token=acme.token, body={})
    assert promoted.status == 200, promoted
    (command,) = [c for c in old.commands() if c["command_type"] == "switch"]
    old.report(command, timing={name: world.ago(0) for name in OLD_HALF if name != "ami_created_at"})
    assert old.report(command, timing={"released_at": world.ago(0)})["status"] == "committed"
    assert new.beat() == "primary"
    opens(new)
    assert acme.agent(new.speaks)["instanceId"] == new.id


def test_a_replica_is_not_named_by_who_serves_or_by_a_strangers_instance(
    world: World, acme: Tenant, old: Rough
):
    acme.configure(old.speaks, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{old.speaks.agent_id}/replicas")["items"]
    ordered = world.command(old.speaks, CommandType.LAUNCH_REPLICA, payload={"replica_id": replica["id"]})
    old.commands()
    others, theirs = world.register(acme, "mail"), world.register(world.tenant("Other"), "web")
    for instance_id, status in ((old.id, 409), (others.id, 409), (theirs.id, 404)):
        named = {"status": "completed", "result": {"instance_id": instance_id}}
        assert old.speaks.post(f"commands/{ordered}/result", named).status == status
    (replica,) = acme.get(f"/agents/{old.speaks.agent_id}/replicas")["items"]
    assert replica["instanceId"] is None


def test_one_instance_is_not_named_for_two_replicas(world: World, acme: Tenant, old: Rough):
    new = Rough(world, acme, letter="b")
    new.register()
    path = f"/agents/{old.speaks.agent_id}/replicas"

    def launched() -> int:
        replica = next(row for row in acme.get(path)["items"] if row["isActive"])
        wish = {"replica_id": replica["id"]}
        ordered = world.command(old.speaks, CommandType.LAUNCH_REPLICA, payload=wish)
        old.commands()
        named = {"status": "completed", "result": {"instance_id": new.id}}
        return old.speaks.post(f"commands/{ordered}/result", named).status

    acme.configure(old.speaks, manualReplicaEnabled=True)
    assert launched() == 200
    (first,) = acme.get(path)["items"]
    acme.call("DELETE", f"{path}/{first['id']}")
    if not any(row["isActive"] for row in acme.get(path)["items"]):
        assert acme.call("POST", path, {}).status in {200, 201, 202}
    assert launched() == 409


def with_a_ready_standby(world: World, acme: Tenant, old: Rough) -> Rough:
    acme.configure(old.speaks, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{old.speaks.agent_id}/replicas")["items"]
    standby = Rough(world, acme, world.enrolment(old.speaks, replica_id=replica["id"]), letter="b")
    assert standby.register() == "standby"
    assert standby.beat() == "standby"
    said = {"sync_status": "synced", "state_transfer_progress": 100.0, "sync_latency_ms": 40}
    told = standby.speaks.post(f"replicas/{replica['id']}/sync-status", said)
    assert told.body["status"] == "ready"
    return standby


def test_a_move_past_a_ready_standby_is_not_kept_by_a_ticket_that_neither_knows(
    world: World, acme: Tenant, old: Rough
):
    """A release is for ever: with a ticket out that nobody destroys nobody would ever follow."""
    standby = with_a_ready_standby(world, acme, old)
    assert old.beat() == "primary"
    wish = {"target": "pool", "pool_id": POOL_C}
    assert acme.call("POST", f"/instances/{old.id}/force-switch", wish).status == 202
    command = next(c for c in old.commands() if c["command_type"] == "switch")
    new = Rough(
        world, acme, world.enrolment(old.speaks, switch_id=command["payload"]["switch_id"]), letter="c"
    )
    new.register()
    new.beat()
    old.report(command, new_instance=new.end, old_instance=old.end)
    old.report(command, timing={name: world.ago(0) for name in OLD_HALF})
    old.report(command, timing={"released_at": world.ago(0)})
    for agent in (old, standby, new):
        agent.beat()
    assert new.beat() == "primary"
    opens(new)
