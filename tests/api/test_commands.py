"""Commands: leased to one instance, answered once (invariant 5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from spotguard.domain.commands import CommandType
from spotguard.store import commands as command_store
from spotguard.store.tables import commands, pool_quarantines, switches
from tests.api.world import POOL_A, POOL_B, POOL_C, Machine, Tenant, World


def test_highest_priority_first_and_only_once(world: World, web: Machine):
    low, high, middle = (world.command(web, priority=p) for p in (10, 100, 50))
    leased = web.get("pending-commands").body["commands"]
    assert [c["id"] for c in leased] == [high, middle, low]
    assert leased[0]["lease_until"] == "2026-03-01T12:01:00.000000Z"
    assert leased[0]["attempt"] == 1
    assert web.get("pending-commands").body["commands"] == []


def test_a_lease_that_ran_out_is_given_again(world: World, web: Machine):
    world.command(web)
    first = web.next_command()
    world.clock.pass_seconds(59)
    assert web.get("pending-commands").body["commands"] == []
    world.clock.pass_seconds(1)
    assert web.heartbeat().body["commands_pending"] == 1
    again = web.next_command()
    assert (again["id"], again["attempt"]) == (first["id"], 2)


def test_progress_reports_keep_the_lease(world: World, moving: Machine):
    command = moving.next_command()
    for _ in range(5):
        world.clock.pass_seconds(50)
        assert moving.post("switch-report", {"command_id": command["id"]}).status == 200
    assert moving.get("pending-commands").body["commands"] == []


def test_another_instance_never_gets_it(world: World, acme: Tenant, web: Machine):
    command_id = world.command(web)
    clone = world.register(acme, "web")
    assert clone.get("pending-commands").body["commands"] == []
    web.next_command()
    assert clone.post(f"commands/{command_id}/result", {"status": "completed"}).status == 403
    stranger = world.register(acme, "db")
    assert stranger.post(f"commands/{command_id}/result", {"status": "completed"}).status == 404


def test_an_answer_stands_whatever_is_said_later(world: World, web: Machine):
    command_id = world.command(web)
    web.next_command()
    said = {"status": "completed", "message": "gone", "result": {"state": "shutting-down"}}
    first = web.post(f"commands/{command_id}/result", said)
    assert first.status == 200
    assert (first.body["status"], first.body["result"]) == ("completed", {"state": "shutting-down"})
    world.clock.pass_seconds(100)
    assert web.post(f"commands/{command_id}/result", said).body == first.body
    other = web.post(f"commands/{command_id}/result", {"status": "failed"})
    assert other.status == 409
    assert "first answer stands" in other.body["detail"]


def test_expired_and_cancelled_stay_so_and_say_why(world: World, web: Machine):
    expired, cancelled = world.command(web), world.command(web)
    web.get("pending-commands")
    world.write(lambda tx: command_store.cancel(tx, world.clock.now(), cancelled, "a newer move"))
    world.clock.pass_seconds(3601)
    assert [row.id for row in world.write(lambda tx: command_store.expire_due(tx, world.clock.now()))] == [
        expired
    ]
    for command_id, why in ((expired, "expired"), (cancelled, "a newer move")):
        reply = web.post(f"commands/{command_id}/result", {"status": "completed"})
        assert reply.status == 409
        assert why in reply.body["detail"]


@pytest.mark.parametrize("answer", ["failed", "refused"])
def test_who_undid_what_was_cancelled_is_heard_and_it_stays_cancelled(
    world: World, web: Machine, answer: str
):
    cancelled = world.command(web)
    web.get("pending-commands")
    world.write(lambda tx: command_store.cancel(tx, world.clock.now(), cancelled, "a newer move"))
    reply = web.post(f"commands/{cancelled}/result", {"status": answer, "message": "unwound"})
    assert (reply.status, reply.body["status"], reply.body["message"]) == (200, "cancelled", "a newer move")


def test_what_was_never_given_cannot_be_answered(world: World, web: Machine):
    command_id = world.command(web)
    assert web.post(f"commands/{command_id}/result", {"status": "completed"}).status == 409
    assert web.post("commands/nonsense/result", {"status": "completed"}).status == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "done"},
        {"status": "pending"},
        {"status": "failed\n"},
        {"status": "completed", "result": []},
    ],
)
def test_a_result_has_a_form(world: World, web: Machine, body: dict):
    command_id = world.command(web)
    web.next_command()
    assert web.post(f"commands/{command_id}/result", body).status == 422


def test_a_switch_that_the_agent_gives_up_is_unwound(world: World, acme: Tenant, moving: Machine):
    command = moving.next_command()
    moving.post(f"commands/{command['id']}/result", {"status": "refused", "message": "instance store in use"})
    switch = acme.get("/switches")["items"][0]
    assert switch["status"] == "unwound"
    assert "instance store in use" in switch["endedBecause"]
    assert acme.agent(moving)["status"] == "online"


@pytest.mark.parametrize("end", ["answered", "expired"])
def test_the_token_of_a_launch_is_not_kept_once_its_order_has_ended(world: World, moving: Machine, end: str):
    """Whoever reads the database, or a backup of it, would enrol as the instance that was launched."""
    command = moving.next_command()
    assert "enrolment_token" in command["payload"]["launch"]["user_data"]
    if end == "answered":
        said = {"status": "failed", "message": "no capacity", "result": {"refused": [POOL_B]}}
        assert moving.post(f"commands/{command['id']}/result", said).status == 200
        assert [row.pool_id for row in world.rows(pool_quarantines)] == [POOL_B], "its places are known still"
    else:
        world.clock.pass_seconds(timedelta(days=1).total_seconds())
        assert world.write(lambda tx: command_store.expire_due(tx, world.clock.now()))
    (row,) = world.rows(commands)
    assert row.payload == {
        **command["payload"],
        "launch": {name: told for name, told in command["payload"]["launch"].items() if name != "user_data"},
    }


def test_one_move_at_a_time(acme: Tenant, moving: Machine):
    body = {"target": "pool", "pool_id": "t3.medium.ap-south-1c"}
    again = acme.call("POST", f"/instances/{moving.id}/force-switch", body)
    assert again.status == 409


def test_a_launched_replica_is_named_by_a_real_instance(world: World, acme: Tenant, web: Machine):
    command_id = world.command(web, CommandType.LAUNCH_REPLICA, payload={"replica_id": "none"})
    web.next_command()
    gone = web.post(
        f"commands/{command_id}/result", {"status": "completed", "result": {"instance_id": "i-made-up"}}
    )
    assert gone.status == 200, "the replica's row is gone: nothing follows"
    web.prices({f"t3.medium.ap-south-1{z}": 0.03 for z in "abc"})
    acme.configure(web, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    command_id = world.command(web, CommandType.LAUNCH_REPLICA, payload={"replica_id": replica["id"]})
    commands_of_it = {c["id"] for c in web.get("pending-commands").body["commands"]}
    assert command_id in commands_of_it
    made_up = {"status": "completed", "result": {"instance_id": "i-made-up"}}
    assert web.post(f"commands/{command_id}/result", made_up).status == 422
    real = {"status": "completed", "result": {"instance_id": "i-0000000000000abcd"}}
    assert web.post(f"commands/{command_id}/result", real).status == 200
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    assert replica["instanceId"] == "i-0000000000000abcd"


def ladder(*places: tuple[str, str]) -> dict[str, Any]:
    return {"candidates": [{"pool_id": pool, "mode": mode} for pool, mode in places]}


def test_pools_that_refused_an_agents_launch_are_left_alone_for_a_while(
    world: World, acme: Tenant, web: Machine
):
    """Only those that it was sent to, and only in the market that refused."""
    offered = ladder((POOL_B, "spot"), (POOL_A, "ondemand"))
    payload = {"replica_id": "none", "launch": offered}
    command_id = world.command(web, CommandType.LAUNCH_REPLICA, payload=payload)
    web.next_command()
    told = {"refused": [POOL_A, POOL_B, POOL_C, None, {"id": 1}]}
    assert web.post(f"commands/{command_id}/result", {"status": "failed", "result": told}).status == 200
    (struck,) = world.rows(pool_quarantines)
    assert (struck.pool_id, struck.because, struck.strikes) == (POOL_B, "it refused a launch", 1)
    assert struck.until == world.clock.now() + timedelta(minutes=15)


def test_a_named_pool_that_refuses_unwinds_the_move_and_the_workload_goes_nowhere_else(
    world: World, acme: Tenant, moving: Machine
):
    command = moving.next_command()
    assert command["payload"]["launch"]["candidates"] == []
    told = {"status": "failed", "message": "no capacity", "result": {"refused": [POOL_B]}}
    moving.post(f"commands/{command['id']}/result", told)
    assert acme.get("/switches")["items"][0]["status"] == "unwound"
    assert [row.pool_id for row in world.rows(pool_quarantines)] == [POOL_B]
    assert acme.agent(moving)["instanceId"] == moving.id


@pytest.mark.parametrize(
    ("place", "stands_in"),
    [((POOL_C, "ondemand"), POOL_C), (("m5.large.ap-south-1c", "spot"), POOL_B), ((POOL_C, "spot"), POOL_B)],
)
def test_a_standby_is_where_its_agent_has_launched_it_if_it_was_offered_that(
    world: World, acme: Tenant, web: Machine, place: tuple[str, str], stands_in: str
):
    web.prices({POOL_A: 0.03, POOL_B: 0.02, POOL_C: 0.03})
    acme.configure(web, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    assert replica["poolId"] == POOL_B
    payload = {"replica_id": replica["id"], "launch": ladder((POOL_B, "spot"), (POOL_C, "ondemand"))}
    command_id = world.command(web, CommandType.LAUNCH_REPLICA, payload=payload)
    web.get("pending-commands")
    told = {"instance_id": "i-0000000000000abcd", "pool_id": place[0], "mode": place[1]}
    web.post(f"commands/{command_id}/result", {"status": "completed", "result": told})
    (replica,) = acme.get(f"/agents/{web.agent_id}/replicas")["items"]
    assert replica["poolId"] == stands_in


@pytest.mark.parametrize(
    "query",
    [
        "wait=-1",
        "wait=26",
        "wait=x",
        "wait=1.",
        "wait=1e1",
        "wait=٣",
        "config_version=-1",
        "wait=" + "9" * 40,
    ],
)
def test_a_poll_is_asked_with_whole_numbers(web: Machine, query: str):
    assert web.get(f"pending-commands?{query}").status == 422


def test_commands_are_told_to_people(world: World, acme: Tenant, moving: Machine):
    (command,) = acme.get(f"/agents/{moving.agent_id}/commands")["items"]
    assert (command["commandType"], command["createdBy"], command["priority"]) == ("switch", "user", 75)
    assert world.rows(commands)[0].terminate_wait_seconds == world.rows(switches)[0].terminate_wait_seconds
