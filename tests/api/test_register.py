"""Registration: who is who."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spotguard.domain.agents import Autonomy, KillLevel
from spotguard.domain.clock import rfc3339
from spotguard.ports.server import Reply
from spotguard.store import kill
from spotguard.store.tables import agent_events, agent_tokens, agents, epoch_grants, instances, switches
from tests.api.world import TYPE, Machine, Tenant, World, instance_id


def test_the_first_of_its_name_is_primary_with_epoch_one(world: World, acme: Tenant):
    reply = world.link.call("POST", "/api/agents/register", token=acme.token, body=world.describe())
    assert reply.status == 201
    assert (reply.body["role"], reply.body["epoch"]) == ("primary", 1)
    assert reply.body["intervals"] == {
        "heartbeat_seconds": 60,
        "pricing_seconds": 60,
        "signal_poll_seconds": 1,
        "command_wait_seconds": 25,
    }
    (agent,) = world.rows(agents)
    assert agent.instance_id == instance_id(1)
    assert agent.current_pool_id == "t3.medium.ap-south-1a"
    assert (agent.status, agent.instance_count, agent.replica_count) == ("online", 1, 0)
    (grant,) = world.rows(epoch_grants)
    assert (grant.epoch, grant.proof, grant.status) == (1, "first", "held")


def test_new_agents_only_observe_unless_the_installation_says_otherwise(acme: Tenant, web: Machine):
    assert acme.agent(web)["config"]["autonomy"] == "observe"
    demo = World(Autonomy.AUTO)
    tenant = demo.tenant()
    assert tenant.agent(demo.register(tenant))["config"]["autonomy"] == "auto"


def test_the_same_instance_again_gets_a_new_token_and_the_old_one_is_revoked(
    world: World, acme: Tenant, web: Machine
):
    reply = world.link.call("POST", "/api/agents/register", token=acme.token, body=world.describe(number=1))
    assert reply.status == 200
    assert (reply.body["agent_id"], reply.body["role"], reply.body["epoch"]) == (web.agent_id, "primary", 1)
    assert web.heartbeat().status == 401
    web.token = reply.body["agent_token"]
    assert web.heartbeat().status == 200
    assert len(world.rows(agent_events, agent_events.c.kind == "registered")) == 1


def test_a_second_instance_of_the_name_is_passive(world: World, acme: Tenant, web: Machine):
    clone = world.register(acme, "web")
    assert (clone.reply["role"], clone.reply["epoch"]) == ("passive", 1)
    assert clone.agent_id == web.agent_id
    assert acme.agent(web)["instanceId"] == web.id
    assert acme.agent(web)["instanceCount"] == 2


def test_a_stopped_and_started_holder_receives_the_next_epoch(world: World, acme: Tenant, web: Machine):
    """Its former boot is over; whoever prepares a grant on that boot's death must fail."""
    again = world.register(acme, "web", number=1, boot_id="boot-of-another-day")
    assert (again.reply["role"], again.reply["epoch"]) == ("primary", 2)
    assert [(g.epoch, g.status) for g in world.rows(epoch_grants)] == [(1, "ended"), (2, "held")]


def test_under_the_kill_switch_nobody_is_granted_on_what_the_former_boot_had_sent(
    world: World, moving: Machine
):
    """It may have taken its workload back since, and died before anybody heard."""
    now = world.clock.now()
    world.write(lambda tx: kill.set_level(tx, now, kill.EVERYONE, kill.EVERYONE, KillLevel.ALL, "restored"))
    world.register(moving.tenant, "web", number=1, boot_id="boot-of-another-day")
    (switch,) = world.rows(switches)
    assert switch.status == "unwound"


def test_a_launch_enrols_with_its_single_use_token(world: World, acme: Tenant, web: Machine):
    token = world.enrolment(web)
    launched = world.register(acme, "web", token=token)
    assert launched.reply["role"] == "passive"
    assert world.register(acme, "web", token=token, number=2).id == launched.id  # its disk was lost
    thief = world.link.call("POST", "/api/agents/register", token=token, body=world.describe(number=77))
    assert thief.status == 409
    assert not world.rows(instances, instances.c.id == instance_id(77)), "nothing half-applied"


@pytest.mark.parametrize("launch", ["drill_id", "switch_id"])
def test_what_a_launch_was_given_takes_nobody_elses_place(
    world: World, acme: Tenant, web: Machine, launch: str
):
    """Whoever reads a clone's user data names the primary: it would be ended with the drill, or its epoch be taken."""
    token = world.enrolment(web, **{launch: "00000000-0000-4000-8000-000000000000"})
    said = world.describe(number=1, boot_id="boot-of-another-day")
    assert world.link.call("POST", "/api/agents/register", token=token, body=said).status == 409
    assert web.heartbeat().body["role"] == "primary"
    (machine,) = world.rows(instances)
    assert (machine.drill_id, machine.replica_id, machine.switch_id) == (None, None, None)
    assert [grant.epoch for grant in world.rows(epoch_grants)] == [1]


def test_an_enrolment_token_expires_and_fits_one_name(world: World, acme: Tenant, web: Machine):
    world.register(acme, "db")
    other = world.link.call(
        "POST", "/api/agents/register", token=world.enrolment(web), body=world.describe("db")
    )
    assert other.status == 409
    token = world.enrolment(web, valid_seconds=60)
    world.clock.pass_seconds(61)
    late = world.link.call("POST", "/api/agents/register", token=token, body=world.describe())
    assert late.status == 409
    assert "expired" in late.body["detail"]


def test_an_enrolment_token_does_nothing_else(world: World, web: Machine):
    token = world.enrolment(web)
    for method, path in (("GET", "/api/client/me"), ("GET", f"/api/agents/{web.agent_id}/config")):
        assert world.link.call(method, path, token=token).status == 403


def test_the_successor_of_a_move_enrols_as_such(world: World, acme: Tenant, moving: Machine):
    switch = acme.get("/switches")["items"][0]
    successor = world.register(acme, "web", letter="b", token=world.enrolment(moving, switch_id=switch["id"]))
    assert successor.reply["role"] == "successor"
    told = acme.get(f"/switches/{switch['id']}")
    assert told["newInstanceId"] == successor.id
    assert [step["step"] for step in told["steps"]] == ["decided", "launched", "enrolled"]
    stray = world.register(acme, "web", letter="b", token=world.enrolment(moving, switch_id=switch["id"]))
    assert stray.reply["role"] == "passive", "a launch that was tried twice"


def test_another_agents_instance_is_refused(world: World, acme: Tenant, web: Machine):
    reply = world.link.call(
        "POST", "/api/agents/register", token=acme.token, body=world.describe("db", number=1)
    )
    assert reply.status == 409
    assert len(world.rows(agents)) == 1, "nothing half-applied"


def test_what_boots_from_a_dead_ones_disk_is_a_new_agent_if_its_settings_name_it_otherwise_at_its_first_start(
    world: World, acme: Tenant, web: Machine
):
    """As people are told whose state lies on that disk; by the old name it is bound to the old agent for good."""

    def started(name: str, number: int) -> Reply:
        body = world.describe(name, number=number)
        return world.link.call("POST", "/api/agents/register", token=acme.token, body=body)

    anew = started("web-2", 70)
    assert (anew.status, anew.body["role"], anew.body["epoch"]) == (201, "primary", 1)
    assert anew.body["agent_id"] != web.agent_id
    assert started("web", 71).body["role"] == "passive"
    assert started("web-2", 71).status == 409


def test_another_tenants_instance_is_refused(world: World, web: Machine):
    other = world.tenant("Other")
    reply = world.link.call(
        "POST", "/api/agents/register", token=other.token, body=world.describe("web", number=1)
    )
    assert reply.status == 404
    assert [a.client_id for a in world.rows(agents)] == [web.tenant.id]


def test_a_deleted_name_stays_deleted(world: World, acme: Tenant, web: Machine):
    assert acme.call("DELETE", f"/agents/{web.agent_id}").status == 200
    reply = world.link.call("POST", "/api/agents/register", token=acme.token, body=world.describe())
    assert reply.status == 409
    assert "another logical_agent_id" in reply.body["detail"]


def test_no_token_is_at_rest(world: World, web: Machine):
    everything = repr(world.rows(agent_tokens)) + repr(world.rows(agent_events)) + repr(world.rows(agents))
    assert web.token not in everything
    assert web.tenant.token not in everything


def test_what_contradicts_itself_is_refused(world: World, acme: Tenant):
    wrong = {
        "/region": {"region": "eu-west-1"},
        "/az": {"az": "nowhere"},
        "/pool_id": {"pool_id": f"{TYPE}.ap-south-1b"},
        "/mode": {"mode": "reserved"},
        "/instance_id": {"instance_id": "i-launching"},
        "/instance_type": {"instance_type": "big"},
        "/boot_id": {"boot_id": ""},
        "/hostname": {"hostname": "web\n"},
        "/logical_agent_id": {"logical_agent_id": "x" * 256},
    }
    for pointer, change in wrong.items():
        reply = world.link.call(
            "POST", "/api/agents/register", token=acme.token, body=world.describe() | change
        )
        assert reply.status == 422, change
        assert reply.body["errors"][0]["pointer"] == pointer
    assert not world.rows(agents)


@pytest.mark.parametrize("told", ["private_ip", "public_ip"])
@pytest.mark.parametrize(
    "address",
    [
        "",
        "-oProxyCommand=touch /tmp/x",
        "10.0.0.5 ",
        "10.0.0.5\n",
        "$(id)",
        "10.0.0",
        "db.internal",
        "fe80::1%$(id)",
    ],
)
def test_what_is_no_address_is_refused(world: World, acme: Tenant, told: str, address: str):
    """The primary's rsync is called with it, and its user's scripts are told it."""
    said = world.describe() | {told: address}
    reply = world.link.call("POST", "/api/agents/register", token=acme.token, body=said)
    assert (reply.status, reply.body["errors"][0]["pointer"]) == (422, f"/{told}")


@pytest.mark.parametrize("address", ["10.0.0.5", "fd00:ec2::1"])
def test_an_address_of_either_family_is_taken(world: World, acme: Tenant, address: str):
    machine = world.register(acme, private_ip=address, public_ip=address)
    (row,) = world.rows(instances, instances.c.id == machine.id)
    assert (row.private_ip, row.public_ip) == (address, address)


@pytest.mark.parametrize(
    "name", ["\u200b", " ", " web", "web\u00a0", "a\u202egnp.exe", "web\u2066", "we\ufeffb", "web\u0085"]
)
def test_a_name_that_nobody_can_tell_from_another_is_refused(world: World, acme: Tenant, name: str):
    reply = world.link.call("POST", "/api/agents/register", token=acme.token, body=world.describe(name))
    assert (reply.status, reply.body["errors"][0]["pointer"]) == (422, "/logical_agent_id")


@pytest.mark.parametrize(
    "name", ["web", "prod db 1", "\u05d0\u05d1\u05d2 3", "caf\u00e9", "<b>", "=1+1", "\U0001f600"]
)
def test_any_other_name_is_taken_as_it_is(world: World, acme: Tenant, name: str):
    assert acme.agent(world.register(acme, name))["logicalAgentId"] == name


def test_everything_that_is_wrong_is_named_at_once(world: World, acme: Tenant):
    empty = world.link.call("POST", "/api/agents/register", token=acme.token, body={})
    required = {"logical_agent_id", "instance_id", "instance_type", "region", "az", "mode", "agent_version"}
    required |= {"hostname", "private_ip", "boot_id"}
    assert empty.status == 422
    assert {one["pointer"] for one in empty.body["errors"]} == {f"/{name}" for name in required}
    body = world.describe() | {"az": 7, "boot_id": ""}
    del body["region"]
    mixed = world.link.call("POST", "/api/agents/register", token=acme.token, body=body)
    assert [one["pointer"] for one in mixed.body["errors"]] == ["/region", "/az", "/boot_id"]


def test_config_tells_settings_and_enrolled_standbys(web: Machine):
    config = web.get("config").body
    assert config["auto_switch_enabled"] is True
    assert config["terminate_wait_seconds"] == 1800
    assert config["standbys"] == []


def test_a_registration_of_a_boot_that_is_over_was_held_back_and_takes_nothing_from_the_boot_that_serves(
    world,
):
    tenant = world.tenant()
    first = world.register(tenant, number=1, boot_id="monday")
    again = world.register(tenant, number=1, boot_id="tuesday")
    assert again.heartbeat(epoch=2, gate="open").body["role"] == "primary"
    late = world.link.call(
        "POST", "/api/agents/register", token=tenant.token, body=world.describe(number=1, boot_id="monday")
    )
    assert (late.status, "this boot of the instance is over" in late.body["detail"]) == (409, True)
    assert again.heartbeat(epoch=2, gate="open").body["role"] == "primary"
    assert first.heartbeat(epoch=1).status == 401


def test_nor_does_that_of_a_boot_that_has_never_been_heard(world):
    """EC2 says when a boot began; a time that is still to come is nobody's order."""
    tenant = world.tenant()
    world.register(tenant, number=1, boot_id="2026-02-28T10:00:00Z")
    third = world.register(tenant, number=1, boot_id="2026-02-28T12:00:00Z")

    def asks(boot_id):
        told = world.describe(number=1, boot_id=boot_id)
        return world.link.call("POST", "/api/agents/register", token=tenant.token, body=told)

    assert asks("2026-02-28T11:00:00Z").status == 409
    ahead = world.clock.now() + timedelta(minutes=5)  # by a server's clock that is behind
    world.register(tenant, number=2, boot_id=rfc3339(ahead))
    late = world.describe(number=2, boot_id="2026-02-28T11:00:00Z")
    assert world.link.call("POST", "/api/agents/register", token=tenant.token, body=late).status == 409
    assert third.heartbeat(epoch=2, gate="open").body["role"] == "primary"
    assert asks("2036-01-01T00:00:00Z").status == 201
    assert asks("2026-02-28T13:00:00Z").status == 201
