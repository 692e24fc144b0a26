"""POST config with a route: what is stored, what the agent is told of it, and every clear refusal."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.store.tables import agent_events, agents
from tests.api.world import Machine, Tenant, World

ARN = "arn:aws:elasticloadbalancing:{}:123456789012:targetgroup/web/0123456789abcdef"
GROUP = {"driver": "target-group", "arn": ARN.format("ap-south-1"), "port": 8080}
DNS = {"driver": "dns", "zoneId": "Z0123", "name": "web.example.org"}


def test_a_route_is_stored_shown_and_told_to_the_agent(acme: Tenant, web: Machine):
    version = web.heartbeat().body["config_version"]
    shown = acme.configure(web, traffic={**GROUP, "healthSeconds": 10}).body["traffic"]
    assert (shown["driver"], shown["port"], shown["healthSeconds"]) == ("target-group", 8080, 10)
    assert shown["zoneId"] is None
    assert web.heartbeat().body["config_version"] > version
    assert web.get("config").body["traffic"] == {**GROUP, "health_seconds": 10, "by": "agent"}
    assert acme.agent(web)["config"]["traffic"] == shown


def test_null_takes_it_away_and_what_is_not_named_stays(world: World, acme: Tenant, web: Machine):
    acme.configure(web, traffic=DNS)
    assert acme.configure(web, maxSwitchesPerDay=2).body["traffic"]["ttlSeconds"] == 60
    assert acme.configure(web, traffic=None).body["traffic"] is None
    assert web.get("config").body["traffic"] is None
    (row,) = world.rows(agents, agents.c.traffic.is_(None))
    assert row.id == web.agent_id


@pytest.mark.parametrize(
    ("route", "by"), [(DNS, "server"), ({"driver": "script", "expectedSeconds": 5}, "agent")]
)
def test_who_calls_aws_moves_it_and_a_script_runs_on_the_instance(world: World, route, by):
    tenant = world.tenant("Other", Executor.SERVER)
    machine = world.register(tenant, "web-9")
    tenant.configure(machine, traffic=route)
    assert machine.get("config").body["traffic"]["by"] == by


@pytest.mark.parametrize(
    ("route", "pointer"),
    [
        ({}, "/traffic"),
        ({"driver": "pigeon"}, "/traffic"),
        ("elastic-ip", "/traffic"),
        ([], "/traffic"),
        ({**GROUP, "arn": "arn:aws:s3:::bucket"}, "/traffic/arn"),
        ({**GROUP, "arn": ARN.format("eu-west-1")}, "/traffic"),
        ({key: value for key, value in GROUP.items() if key != "arn"}, "/traffic/arn"),
        ({**GROUP, "port": 70_000}, "/traffic/port"),
        ({**GROUP, "port": "80"}, "/traffic/port"),
        ({**GROUP, "command": ["sh"]}, "/traffic/command"),
        ({"driver": "elastic-ip", "allocationId": "1.2.3.4"}, "/traffic/allocationId"),
        ({**DNS, "name": "web"}, "/traffic/name"),
        ({**DNS, "ttlSeconds": 0}, "/traffic/ttlSeconds"),
        ({**DNS, "zoneId": "/hostedzone/Z"}, "/traffic/zoneId"),
        ({"driver": "private-ip", "address": "8.8.8.8"}, "/traffic/address"),
        ({"driver": "private-ip", "address": "10.0.0.7"}, "/traffic"),
        ({"driver": "script", "command": ["rm", "-rf", "/"]}, "/traffic/command"),
        ({"driver": "script", "expectedSeconds": 10**9}, "/traffic/expectedSeconds"),
    ],
)
def test_a_route_that_cannot_be_is_refused_with_the_field(
    world: World, acme: Tenant, web: Machine, route, pointer
):
    before = world.rows(agents)
    reply = acme.configure(web, traffic=route)
    assert reply.status == 422, reply
    assert pointer in {error["pointer"] for error in reply.body["errors"]}
    assert world.rows(agents) == before


def test_the_event_tells_a_route_as_the_api_writes_it(world: World, acme: Tenant, web: Machine):
    acme.configure(web, traffic={**DNS, "address": "public"}, enabled=False, minSavingsPercent=7.5)
    acme.configure(web, traffic=None)
    first, second = [e.message for e in world.rows(agent_events, agent_events.c.kind == "configured")]
    assert first == (
        "enabled = false, min_savings_percent = 7.5, traffic = "
        '{"driver": "dns", "zone_id": "Z0123", "name": "web.example.org", "ttl_seconds": 60, "address": "public"}'
    )
    assert second == "traffic = null"


def test_a_script_is_refused_for_an_agent_that_has_none(world: World, acme: Tenant, web: Machine):
    script = {"driver": "script"}
    assert acme.configure(web, traffic=script).status == 200, "it has not said"
    acme.configure(web, traffic=None)
    web.heartbeat(has_traffic_script=False)
    web.heartbeat()
    refused = acme.configure(web, traffic=script, maxSwitchesPerDay=1)
    assert (refused.status, "traffic_script" in refused.body["detail"]) == (409, True)
    assert acme.agent(web)["config"]["traffic"] is None
    assert acme.agent(web)["config"]["maxSwitchesPerDay"] != 1, "all or nothing"
    assert acme.configure(web, traffic=DNS).status == 200
    web.heartbeat(has_traffic_script=True)
    assert acme.configure(web, traffic=script).status == 200
    other = world.register(acme, "db", has_traffic_script=False)
    assert acme.configure(other, traffic=script).status == 409
