"""What people see and set of their agents."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from spotguard.domain.agents import Autonomy
from spotguard.domain.commands import CreatedBy
from spotguard.domain.drills import DrillKind, DrillStatus
from spotguard.domain.ids import AgentId
from spotguard.planning.drills import Verdict
from spotguard.store import commands, drills
from spotguard.store.tables import agent_events, agents, storage_resources
from tests.api.world import POOL_A, POOL_B, Machine, Tenant, World


def test_me(acme: Tenant):
    me = acme.get("/me")
    assert (me["id"], me["name"], me["executor"]) == (acme.id, "Acme", "agent")
    assert me["createdAt"] == "2026-03-01T12:00:00.000000Z"


def test_unknown_is_null(acme: Tenant, web: Machine):
    agent = acme.agent(web)
    for unknown in (
        "priceUsd",
        "onDemandUsd",
        "savingPercent",
        "lastSignal",
        "awaitingDecisionId",
        "currentReplicaId",
        "publicIp",
    ):
        assert agent[unknown] is None, unknown
    assert agent["nextAction"] == f"stay in {POOL_A} (spot)"
    assert "has not decided" in agent["why"]


def test_next_action_and_why(acme: Tenant, moving: Machine):
    agent = acme.agent(moving)
    assert agent["status"] == "switching"
    assert agent["nextAction"].startswith("move to t3.medium.ap-south-1b")
    assert agent["why"]


def test_one_mode_clears_the_other(world: World, acme: Tenant, web: Machine):
    assert acme.configure(web, manualReplicaEnabled=True).body["autoSwitchEnabled"] is False
    (row,) = world.rows(agents)
    assert (row.auto_switch_enabled, row.manual_replica_enabled, row.replica_enabled) == (False, True, True)
    assert acme.configure(web, autoSwitchEnabled=True).body["manualReplicaEnabled"] is False
    both = acme.configure(web, autoSwitchEnabled=True, manualReplicaEnabled=True)
    assert both.status == 422
    assert acme.configure(web, autoSwitchEnabled=False).body["autoSwitchEnabled"] is False, (
        "both off is legal"
    )


flags = st.fixed_dictionaries(
    {}, optional={"autoSwitchEnabled": st.booleans(), "manual_replica_enabled": st.booleans()}
)


@settings(max_examples=25)
@given(st.lists(flags, max_size=6))
def test_whatever_is_clicked_the_modes_exclude_each_other(clicks: list[dict[str, bool]]):
    world = World()
    acme = world.tenant()
    web = world.register(acme)
    version = acme.agent(web)["config"]["configVersion"]
    for click in clicks:
        reply = acme.configure(web, **click)
        assert reply.status == (422 if len(click) == 2 and all(click.values()) else 200)
        (row,) = world.rows(agents)
        assert not (row.auto_switch_enabled and row.manual_replica_enabled)
        if reply.status == 200 and click:
            assert row.config_version > version
            version = row.config_version


def test_both_spellings_in_camel_case_out(acme: Tenant, web: Machine):
    body = acme.configure(web, terminateWaitMinutes=10, min_savings_percent="7.5", maxHourlyUsd=0.05).body
    assert (body["terminateWaitSeconds"], body["minSavingsPercent"], body["maxHourlyUsd"]) == (
        600,
        7.5,
        "0.050000",
    )
    assert acme.configure(web, maxHourlyUsd=None).body["maxHourlyUsd"] is None
    allowed = acme.configure(
        web, allowedAzs=["ap-south-1a"], allowed_instance_types=["t3.medium", "t3a.medium"]
    ).body
    assert (allowed["allowedAzs"], len(allowed["allowedInstanceTypes"])) == (["ap-south-1a"], 2)


def test_a_zone_that_the_region_does_not_have_is_refused_with_those_that_have_a_price(
    acme: Tenant, web: Machine
):
    """Before the first price nobody knows the zones; then one that has none would leave no pool at all."""
    assert acme.configure(web, allowedAzs=["ap-south-1q"]).status == 200
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    refused = acme.configure(web, allowedAzs=["ap-south-1b", "ap-south-1q"])
    assert refused.status == 422
    assert "no spot price of ap-south-1q is known; of ap-south-1 these are: ap-south-1a, ap-south-1b" in str(
        refused.body
    )
    assert acme.configure(web, allowedAzs=["ap-south-1b"]).body["allowedAzs"] == ["ap-south-1b"]


@pytest.mark.parametrize(
    "change",
    [
        {"terminateWaitSeconds": -1},
        {"terminateWaitSeconds": 86_401},
        {"terminateWaitSeconds": 10**12},
        {"terminateWaitSeconds": 1.5},
        {"terminateWaitSeconds": "60"},
        {"terminateWaitSeconds": 60, "terminateWaitMinutes": 1},
        {"terminateWaitMinutes": 1441},
        {"minSavingsPercent": 101},
        {"minSavingsPercent": "NaN"},
        {"minSavingsPercent": "Infinity"},
        {"riskThreshold": 1.1},
        {"riskThreshold": -0.1},
        {"maxSwitchesPerDay": -1},
        {"minPoolHours": 10_000},
        {"maxHourlyUsd": 0},
        {"maxHourlyUsd": -5},
        {"enabled": None},
        {"enabled": "true"},
        {"enabled": 1},
        {"autonomy": "wild"},
        {"allowedAzs": ["eu-west-1a"]},
        {"allowedAzs": ["ap-south-1"]},
        {"allowedAzs": "ap-south-1a"},
        {"allowedInstanceTypes": ["=cmd()"]},
        {"allowedInstanceTypes": ["t3.medium"] * 51},
        {"autoSwichEnabled": True},
        {"status": "deleted"},
        {"clientId": "another"},
        [],
        "enabled",
        None,
    ],
)
def test_a_setting_out_of_bounds_changes_nothing(world: World, acme: Tenant, web: Machine, change: object):
    before = world.rows(agents)
    reply = acme.call("POST", f"/agents/{web.agent_id}/config", change)
    assert reply.status == 422, reply
    assert "errors" in reply.body
    assert world.rows(agents) == before


def test_a_change_is_told_counted_and_acted_on(world: World, acme: Tenant, web: Machine):
    version = web.heartbeat().body["config_version"]
    rings = world.bell.coordinator_calls
    acme.configure(web, minSavingsPercent=8)
    assert web.heartbeat().body["config_version"] > version
    assert world.bell.coordinator_calls == rings + 1
    assert world.bell.agents[-1] == web.id
    (event,) = world.rows(agent_events, agent_events.c.kind == "configured")
    assert "min_savings_percent = 8" in event.message


def drilled(world: World, acme: Tenant, web: Machine, at: datetime) -> None:
    """A failover drill of this agent passed then."""

    def work(tx: Connection) -> None:
        told = {"kind": DrillKind.FAILOVER, "status": DrillStatus.RUNNING, "created_by": CreatedBy.USER}
        whose = {"client_id": acme.id, "agent_id": AgentId(web.agent_id), "deadline_at": at}
        drill = drills.get(tx, drills.insert(tx, at, **told, **whose))
        assert drills.conclude(tx, at, drill, Verdict(passed=True, because="it served"))

    world.write(work)


def test_auto_follows_a_passed_drill(world: World, acme: Tenant, web: Machine):
    refused = acme.configure(web, autonomy="auto")
    assert refused.status == 409
    assert "drill" in refused.body["detail"]
    assert acme.configure(web, autonomy="approve").status == 200
    drilled(world, acme, web, world.clock.now() - timedelta(days=91))
    stale = acme.configure(web, autonomy="auto")
    assert (stale.status, "91 days ago" in stale.body["detail"]) == (409, True)
    drilled(world, acme, web, world.clock.now() - timedelta(days=89))
    assert acme.configure(web, autonomy="auto").body["autonomy"] == "auto"
    demo = World(Autonomy.AUTO)
    tenant = demo.tenant()
    machine = demo.register(tenant)
    for level in ("observe", "auto"):
        assert tenant.configure(machine, autonomy=level).status == 200


def test_delete_is_soft_and_again_harmless(world: World, acme: Tenant, web: Machine):
    command_id = world.command(web)
    for _ in range(2):
        assert acme.call("DELETE", f"/agents/{web.agent_id}").status == 200
    assert acme.get("/agents")["items"] == []
    (kept,) = acme.get("/agents?includeDeleted=true")["items"]
    assert (kept["status"], kept["health"], kept["role"]) == ("deleted", "deleted", None)
    assert acme.agent(web)["deletedAt"] == "2026-03-01T12:00:00.000000Z"
    assert acme.configure(web, enabled=True).status == 409
    assert world.read(lambda tx: commands.of_client(tx, acme.id, command_id)).status == "cancelled"
    assert len(world.rows(agent_events, agent_events.c.kind == "agent_deleted")) == 1


def test_an_agent_that_moves_is_not_deleted(acme: Tenant, moving: Machine):
    reply = acme.call("DELETE", f"/agents/{moving.agent_id}")
    assert reply.status == 409
    assert "move" in reply.body["detail"]


def test_pages_hold_every_row_once(world: World, acme: Tenant):
    made = {world.register(acme, f"agent-{number}").agent_id for number in range(7)}
    seen, cursor = [], None
    while True:
        page = acme.get("/agents?limit=3" + (f"&cursor={cursor}" if cursor else ""))
        seen += [agent["id"] for agent in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
        assert len(page["items"]) == 3
    assert sorted(seen) == sorted(made)


def test_newest_first_over_pages_though_times_are_equal(world: World, acme: Tenant, web: Machine):
    made = {world.command(web) for _ in range(5)}
    world.clock.pass_seconds(1)
    newest = world.command(web)
    seen, cursor = [], ""
    for _ in range(3):
        page = acme.get(f"/agents/{web.agent_id}/commands?limit=2{cursor}")
        seen += [command["id"] for command in page["items"]]
        cursor = f"&cursor={page['nextCursor']}"
    assert page["nextCursor"] is None
    assert seen[0] == newest
    assert set(seen[1:]) == made


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=501", "limit=x", "cursor=x", "cursor=" + "A" * 500, "cursor=W10"]
)
@pytest.mark.parametrize("path", ["/agents", "/switches", "/instances", "/interruptions", "/pools"])
def test_a_page_is_asked_properly(acme: Tenant, web: Machine, path: str, query: str):
    reply = acme.call("GET", f"{path}?{query}")
    assert reply.status == 422, reply


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_no_cursor_is_believed(text: str):
    world = World()
    acme = world.tenant()
    for path in ("switches", "pools"):
        answer = world.link.send("GET", f"/api/client/{path}?cursor={text.encode().hex()}", token=acme.token)
        assert answer.status == 422 or not text


# What a standing replica costs (ruling B6)


def disks(world: World, web: Machine, gib: int = 73) -> None:
    """As EC2 shows them to a server that may look: 10 cents a GiB and month, 730 hours in a month."""
    (agent,) = world.rows(agents)
    row = {
        "id": "vol-1",
        "client_id": agent.client_id,
        "agent_id": agent.id,
        "kind": "volume",
        "size_gib": gib,
        "attached_to": web.id,
        "usd_per_gib_month": Decimal("0.10"),
        "state": "in-use",
        "created_at": world.clock.now(),
        "metered_from": world.clock.now(),
    }
    world.db.write(lambda tx: tx.execute(storage_resources.insert(), row))


def test_a_standbys_cost_is_shown_before_its_switch_is_turned(world: World, acme: Tenant, web: Machine):
    web.prices({POOL_A: 0.0112, POOL_B: 0.0098})
    disks(world, web)
    assert acme.agent(web)["standbyCost"] == {
        "primaryUsd": "0.011200",
        "standbyUsd": "0.009800",
        "storageUsd": "0.020000",
        "totalUsd": "0.041000",
        "onDemandUsd": "0.041600",
        "dearerThanOnDemand": False,
    }


def test_where_a_standby_is_dearer_than_on_demand_it_says_so(world: World, acme: Tenant, web: Machine):
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    cost = acme.agent(web)["standbyCost"]
    assert (cost["storageUsd"], cost["totalUsd"]) == (None, None), "its disks are not seen"
    assert cost["dearerThanOnDemand"] is True, "and yet two instances are dearer than one"


def test_of_what_is_unknown_nothing_is_claimed(world: World, acme: Tenant, web: Machine):
    assert set(acme.agent(web)["standbyCost"].values()) == {None}
    web.prices({POOL_A: 0.0112, POOL_B: 0.0098})
    assert acme.agent(web)["standbyCost"]["dearerThanOnDemand"] is None


def test_force_switch_as_specified(world: World, acme: Tenant, web: Machine):
    acme.configure(web, terminateWaitSeconds=900)
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    path = f"/instances/{web.id}/force-switch"
    reply = acme.call("POST", path, {"target": "pool", "pool_id": POOL_B})
    assert reply.status == 202
    command = web.next_command()
    assert command["id"] == reply.body["commandId"]
    assert (command["target_mode"], command["target_pool_id"]) == ("spot", POOL_B)
    assert command["terminate_wait_seconds"] == 900
    assert world.bell.agents[-1] == web.id


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"target": "pool"}, 422),
        ({"target": "pool", "pool_id": "nonsense"}, 422),
        ({"target": "pool", "pool_id": POOL_B, "poolId": POOL_A}, 422),
        ({"target": "moon"}, 422),
        ({"target": "ondemand", "pool_id": POOL_B}, 422),
        ({}, 422),
        ({"target": "pool", "pool_id": POOL_A}, 409),
        ({"target": "pool", "pool_id": "t3.medium.ap-south-1c"}, 409),
        ({"target": "pool", "pool_id": "t3.medium.eu-west-1a"}, 409),
    ],
)
def test_where_a_workload_cannot_be_sent(world: World, acme: Tenant, web: Machine, body: dict, status: int):
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298})
    assert acme.call("POST", f"/instances/{web.id}/force-switch", body).status == status
    assert web.get("pending-commands").body["commands"] == []


def test_only_the_serving_instance_is_switched(world: World, acme: Tenant, web: Machine):
    clone = world.register(acme)
    reply = acme.call("POST", f"/instances/{clone.id}/force-switch", {"target": "ondemand"})
    assert reply.status == 409


def test_price_history_with_marks(world: World, acme: Tenant, moving: Machine):
    moving.post("interruption-signal", {"signal_type": "rebalance", "signal_time": world.ago(5)})
    world.clock.pass_seconds(60)
    history = acme.get(f"/instances/{moving.id}/price-history?days=1")
    points = {pool["id"]: pool["points"] for pool in history["pools"]}
    assert points[POOL_A] == [["2026-03-01T12:00:00.000000Z", "0.031200"]]
    assert history["onDemandPrice"] == "0.041600"
    assert [mark["kind"] for mark in history["marks"]] == ["signal", "switch"]
    for days in (0, 91, "x"):
        assert acme.call("GET", f"/instances/{moving.id}/price-history?days={days}").status == 422


def test_instances_tell_their_role(world: World, acme: Tenant, web: Machine):
    world.clock.pass_seconds(1)
    clone = world.register(acme)
    roles = {one["id"]: one["role"] for one in acme.get("/instances")["items"]}
    assert roles == {web.id: "primary", clone.id: "passive"}
    assert acme.get("/instances?active=false")["items"] == []
    assert Decimal(acme.get(f"/instances/{web.id}")["spotPrice"] or 0) == 0


def test_a_body_is_json_whatever_it_is_called(world: World, acme: Tenant, web: Machine):
    """As `curl -d` sends it: under the name of a form."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    path = f"/api/client/agents/{web.agent_id}/config"
    for body, status in ((b'{"minSavingsPercent": 9}', 200), (b"minSavingsPercent=9", 400)):
        assert world.link.send("POST", path, body, token=acme.token, headers=form).status == status
    null = acme.configure(web, minSavingsPercent=None)
    assert null.body["errors"][0]["pointer"] == "/minSavingsPercent"
