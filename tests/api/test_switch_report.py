"""Switch reports: in parts, whole, twice, late, in any order: the same rows (invariant 8)."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from spotguard.domain.commands import CommandType
from spotguard.store.tables import agent_events, epoch_grants, instances, switch_steps, switches
from tests.api.world import POOL_B, Machine, Tenant, World, instance_id

NEW = instance_id(500)


def specification(world: World, web: Machine, command_id: str, **timing: Any) -> dict[str, Any]:
    """The body of the specification's flow 9, 40 minutes of it."""
    return {
        "command_id": command_id,
        "old_instance": {"instance_id": web.id, "mode": "spot", "pool_id": "t3.medium.ap-south-1a"},
        "new_instance": {"instance_id": NEW, "mode": "spot", "pool_id": "t3.medium.ap-south-1b"},
        "timing": {
            "initiated_at": world.ago(2400),
            "ami_created_at": world.ago(2400),
            "instance_launched_at": world.ago(2100),
            "instance_ready_at": world.ago(1950),
            **timing,
        },
        "pricing": {"on_demand": 0.0416, "old_spot": 0.0312, "new_spot": 0.0298},
    }


def exported(world: World, acme: Tenant) -> dict[str, str]:
    answer = world.link.send("GET", "/api/client/switches.csv", token=acme.token)
    (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
    return row


@pytest.fixture
def asked(world: World, web: Machine) -> str:
    """A plain switch command, made 45 minutes ago without a move around it."""
    world.clock.pass_seconds(2700)
    return world.command(web, CommandType.SWITCH, terminate_wait_seconds=1800)


def test_flow_auto_terminate_on(world: World, acme: Tenant, web: Machine, asked: str):
    reply = web.post("switch-report", specification(world, web, asked, old_terminated_at=world.ago(150)))
    assert reply.status == 200, reply
    assert reply.body["savings_impact"] == "0.001400"
    (switch,) = acme.get("/switches")["items"]
    assert (switch["oldInstanceId"], switch["newInstanceId"]) == (web.id, NEW)
    assert (switch["oldPoolId"], switch["newPoolId"]) == ("t3.medium.ap-south-1a", "t3.medium.ap-south-1b")
    assert switch["oldTerminatedAt"] == world.ago(150)
    assert switch["status"] == "completed"
    old, new = (acme.get(f"/instances/{i}") for i in (web.id, NEW))
    assert (old["isActive"], old["terminatedAt"]) == (False, world.ago(150))
    assert new["isActive"] is True
    assert acme.agent(web)["instanceCount"] == 1


def test_flow_auto_terminate_off(world: World, acme: Tenant, web: Machine, asked: str):
    acme.configure(web, autoTerminateEnabled=False)
    web.post("switch-report", specification(world, web, asked, old_terminated_at=world.ago(150)))
    (switch,) = acme.get("/switches")["items"]
    assert switch["oldTerminatedAt"] is None
    assert acme.get(f"/instances/{web.id}")["isActive"] is True
    assert acme.get(f"/instances/{NEW}")["isActive"] is True
    assert acme.agent(web)["instanceCount"] == 2


def test_auto_terminate_on_but_nothing_was_terminated(world: World, acme: Tenant, web: Machine, asked: str):
    web.post("switch-report", specification(world, web, asked))
    assert acme.get(f"/instances/{web.id}")["isActive"] is True


def test_told_twice_is_told_once(world: World, web: Machine, asked: str):
    body = specification(world, web, asked, old_terminated_at=world.ago(150))
    first = web.post("switch-report", body)
    before = [world.rows(table) for table in (switches, switch_steps, instances, agent_events)]
    assert web.post("switch-report", body).body == first.body
    assert [world.rows(table) for table in (switches, switch_steps, instances, agent_events)] == before


def test_parts_in_any_order_end_in_the_same_rows():
    ends = []
    for order in permutations(range(4)):
        world = World()
        acme = world.tenant()
        web = world.register(acme)
        world.clock.pass_seconds(2700)
        web.prices({f"t3.medium.ap-south-1{z}": 0.03 for z in "ab"}, on_demand=0.0416)
        body = {"target": "pool", "pool_id": "t3.medium.ap-south-1b"}
        acme.call("POST", f"/instances/{web.id}/force-switch", body)
        command = web.next_command()
        whole = specification(world, web, command["id"])
        parts: list[dict[str, Any]] = [
            {"timing": {"gate_closed_at": world.ago(9)}},
            {"new_instance": whole["new_instance"], "timing": {"instance_launched_at": world.ago(20)}},
            {"pricing": whole["pricing"], "old_instance": whole["old_instance"]},
            {"timing": {"delta_sent_at": world.ago(5)}},
        ]
        for place in order:
            reply = web.post("switch-report", {"switch_id": command["payload"]["switch_id"]} | parts[place])
            assert reply.status == 200, reply
        steps = {(row.step, row.at) for row in world.rows(switch_steps) if row.step != "launched"}
        (row,) = world.rows(switches)
        ends.append(
            (steps, row.new_instance_id, row.new_pool_id, row.savings_impact, set(reply.body["recorded"]))
        )
    assert all(end == ends[0] for end in ends)


def test_a_move_from_the_click_to_the_grant(world: World, acme: Tenant, moving: Machine):
    command = moving.next_command()
    switch_id = command["payload"]["switch_id"]
    assert command["payload"]["epoch"] == 1
    asking = moving.post("switch-report", {"switch_id": switch_id})
    assert (asking.body["status"], asking.body["target"]) == ("preparing", None)
    successor = world.register(acme, letter="b", token=world.enrolment(moving, switch_id=switch_id))
    asking = moving.post("switch-report", {"switch_id": switch_id})
    assert asking.body["target"] == {"instance_id": successor.id, "address": "10.0.0.2"}
    done = {"synced_at", "gate_closed_at", "delta_sent_at", "volumes_moved_at", "ami_created_at"}
    report = {"switch_id": switch_id, "timing": {name: world.ago(1) for name in done}}
    assert moving.post("switch-report", report).body["status"] == "preparing"
    assert acme.get(f"/switches/{switch_id}")["downtimeSeconds"] is None, "nobody has opened yet"
    assert exported(world, acme)["downtime_seconds"] == ""
    last = moving.post("switch-report", {"switch_id": switch_id, "timing": {"released_at": world.ago(0)}})
    assert last.body["status"] == "committed"
    assert "granted" in last.body["recorded"]
    assert successor.heartbeat().body["role"] == "primary"
    assert successor.id in world.bell.agents, "it is told to open at once"
    promote = successor.next_command()
    assert (promote["command_type"], promote["priority"], promote["epoch"]) == ("promote", 100, 2)
    successor.post(f"commands/{promote['id']}/result", {"status": "completed"})
    told = acme.get(f"/switches/{switch_id}")
    at = {step["step"]: datetime.fromisoformat(step["at"]) for step in told["steps"]}
    assert told["downtimeSeconds"] == (at["opened"] - at["gate_closed"]).total_seconds() > 0
    row = exported(world, acme)
    assert float(row["downtime_seconds"]) == told["downtimeSeconds"], "the export tells what the page tells"
    assert {datetime.fromisoformat(row[name]) for name in ("gate_closed_at", "opened_at")} == {
        at["gate_closed"],
        at["opened"],
    }
    assert acme.agent(moving)["instanceId"] == successor.id


def test_who_has_registered_and_not_heard_it_is_no_target_whoever_names_it(
    world: World, acme: Tenant, moving: Machine
):
    switch_id = moving.next_command()["payload"]["switch_id"]
    said, token = world.describe(letter="b"), world.enrolment(moving, switch_id=switch_id)
    assert world.link.call("POST", "/api/agents/register", token=token, body=said).status == 201
    launched = {
        "switch_id": switch_id,
        "new_instance": {"instance_id": said["instance_id"], "mode": "spot", "pool_id": POOL_B},
        "timing": {"instance_launched_at": world.ago(60)},
    }
    told = moving.post("switch-report", launched).body
    assert (told["target"], told["recorded"]) == (None, ["decided", "launched"])
    again = world.link.call("POST", "/api/agents/register", token=token, body=said)
    successor = Machine(
        world, acme, said["instance_id"], said["az"], "spot", moving.agent_id, again.body["agent_token"], {}
    )
    successor.heartbeat()
    told = moving.post("switch-report", launched).body
    assert told["target"] == {"instance_id": successor.id, "address": said["private_ip"]}
    assert told["recorded"] == ["decided", "launched", "enrolled"]


def test_a_later_holder_that_was_asked_to_end_the_old_one_may_say_that_it_has(
    world: World, acme: Tenant, moving: Machine
):
    """A successor that was itself succeeded within the waiting time has nobody left to report; the next one has."""
    switch_id = moving.next_command()["payload"]["switch_id"]
    world.register(acme, letter="b", token=world.enrolment(moving, switch_id=switch_id))
    later = world.register(acme, letter="c")
    body = {"switch_id": switch_id, "timing": {"old_terminated_at": world.ago(0)}}
    assert later.post("switch-report", body).status == 409, "nobody asked it"
    world.command(later, payload={"instance_id": moving.id, "switch_id": switch_id})
    more = body | {"timing": body["timing"] | {"gate_closed_at": world.ago(0)}}
    assert later.post("switch-report", more).status == 409, "that alone"
    assert later.post("switch-report", body).status == 409, "nobody has taken over yet"
    done = {name: world.ago(1) for name in ("gate_closed_at", "delta_sent_at", "volumes_moved_at")}
    done |= {"ami_created_at": world.ago(1), "released_at": world.ago(0)}
    assert (
        moving.post("switch-report", {"switch_id": switch_id, "timing": done}).body["status"] == "committed"
    )
    assert later.post("switch-report", body).body["recorded"][-1] == "old_ended"
    (event,) = (row for row in world.rows(agent_events) if row.kind == "move_old_ended")
    assert event.message == f"{moving.id}, which had served before, is ended, says {later.id}"


def test_only_the_holder_lets_go(world: World, acme: Tenant, moving: Machine):
    switch_id = moving.next_command()["payload"]["switch_id"]
    successor = world.register(acme, letter="b", token=world.enrolment(moving, switch_id=switch_id))
    report = {"switch_id": switch_id, "timing": {"released_at": world.ago(0)}}
    assert successor.post("switch-report", report).status == 409
    assert world.rows(epoch_grants)[0].released_at is None
    bystander = world.register(acme)
    assert bystander.post("switch-report", {"switch_id": switch_id}).status == 409
    stranger = world.register(acme, "db")
    assert stranger.post("switch-report", {"switch_id": switch_id}).status == 404


def test_a_report_after_the_fact_that_lets_go_hands_over(
    world: World, acme: Tenant, web: Machine, asked: str
):
    successor = world.register(acme, letter="b", number=500)
    successor.heartbeat()
    body = specification(world, web, asked, released_at=world.ago(10))
    reply = web.post("switch-report", body)
    assert reply.body["status"] == "committed"
    assert successor.heartbeat().body["epoch"] == 2
    assert reply.body["target"] == {"instance_id": NEW, "address": "10.0.1.244"}


@pytest.mark.parametrize(
    "name",
    ["granted_at", "verified_at", "enrolled_at", "pruned_at", "snapshotted_at", "nonsense", "released", ""],
)
def test_what_only_the_server_knows_is_not_believed(world: World, moving: Machine, name: str):
    switch_id = moving.next_command()["payload"]["switch_id"]
    before = world.rows(switch_steps)
    report = {"switch_id": switch_id, "timing": {"gate_closed_at": world.ago(1), name: world.ago(0)}}
    assert moving.post("switch-report", report).status == 422
    assert world.rows(switch_steps) == before, "nothing half-applied"


@pytest.mark.parametrize(
    "at", ["2026-03-02T12:00:01Z", "2025-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "noon", ""]
)
def test_absurd_times_are_refused(moving: Machine, at: str):
    switch_id = moving.next_command()["payload"]["switch_id"]
    assert moving.post("switch-report", {"switch_id": switch_id, "timing": {"synced_at": at}}).status == 422


@pytest.mark.parametrize("seconds", [1, 360, 86_400])
def test_what_a_clock_ahead_tells_counts_as_now(world: World, moving: Machine, seconds: int):
    switch_id = moving.next_command()["payload"]["switch_id"]
    report = {"switch_id": switch_id, "timing": {"gate_closed_at": world.ago(-seconds)}}
    assert "gate_closed" in moving.post("switch-report", report).body["recorded"]
    (told,) = (row for row in world.rows(switch_steps) if row.step == "gate_closed")
    assert told.at == world.clock.now()


@pytest.mark.parametrize("at", ["2036-02-07T06:28:16Z", "1970-01-01T00:00:00Z", "noon"])
def test_who_lets_go_is_believed_whatever_its_clock_says(world: World, moving: Machine, at: str):
    switch_id = moving.next_command()["payload"]["switch_id"]
    report = {"switch_id": switch_id, "timing": {"gate_closed_at": at, "released_at": at}}
    assert moving.post("switch-report", report).status == 200
    (grant,) = world.rows(epoch_grants)
    assert grant.released_at is not None
    assert grant.released_at <= world.clock.now()


def test_contradictions_and_strangers_are_refused(world: World, acme: Tenant, web: Machine, asked: str):
    other = world.register(world.tenant("Other"), number=900)
    body = specification(world, web, asked)
    for change, status in (
        ({"new_instance": {"instance_id": other.id}}, 404),
        ({"new_instance": {"instance_id": world.register(acme, "db").id}}, 409),
        ({"new_instance": {"instance_id": "i-launching"}}, 422),
        (
            {"new_instance": {"instance_id": NEW, "pool_id": "t3.medium.ap-south-1b", "az": "ap-south-1c"}},
            422,
        ),
        ({"old_instance": {"instance_id": instance_id(501)}}, 409),
        ({"new_instance": None}, 409),
        ({"command_id": "nonsense"}, 404),
        ({"pricing": {"old_spot": -1}}, 422),
        ({"trigger": "boredom"}, 422),
        ({"switch_id": "nonsense"}, 404),
    ):
        assert web.post("switch-report", body | change).status == status, change
    assert not world.rows(switches)
    assert web.post("switch-report", body).status == 200
    moved = body | {"new_instance": {"instance_id": instance_id(502)}}
    assert web.post("switch-report", moved).status == 409


def test_letting_go_after_the_move_was_given_up_is_recorded_and_told(
    world: World, acme: Tenant, moving: Machine
):
    """The agent released while the server was out of reach: true all the same."""
    command = moving.next_command()
    world.clock.pass_seconds(timedelta(hours=3).total_seconds())
    moving.post(f"commands/{command['id']}/result", {"status": "failed", "message": "lost the server"})
    report = {"switch_id": command["payload"]["switch_id"], "timing": {"released_at": world.ago(60)}}
    assert moving.post("switch-report", report).body["status"] == "unwound"
    assert world.rows(epoch_grants)[0].released_at is not None
    assert world.rows(agent_events, agent_events.c.kind == "released_after_unwind")


def test_what_ec2_made_otherwise_is_told_once_however_often_it_is_reported(
    world: World, acme: Tenant, web: Machine, asked: str
):
    body = specification(world, web, asked) | {"remarks": ["key_name is None, not key"]}
    for _ in range(2):
        assert web.post("switch-report", body).status == 200
    told = [
        e["message"]
        for e in acme.get(f"/agents/{web.agent_id}/events")["items"]
        if "key_name" in e["message"]
    ]
    assert told == [f"{NEW} is not as it was asked for: key_name is None, not key"]


def test_what_is_told_of_it_has_an_end(world: World, acme: Tenant, web: Machine, asked: str):
    """MariaDB's TEXT holds 65,535 bytes; more would fail the report, which its agent then tells for ever."""
    body = specification(world, web, asked) | {"remarks": ["\U0001f600" * 3000] * 20}
    assert web.post("switch-report", body).status == 200
    messages = [e["message"] for e in acme.get(f"/agents/{web.agent_id}/events")["items"]]
    assert max(len(message.encode()) for message in messages) <= 65_535


AT_TEN = datetime(2025, 11, 23, 10, tzinfo=UTC)


def verbatim(old: str) -> dict[str, Any]:
    """The specification's body to the letter; its `i-oldinstance` and `i-newinstance` are no ids that EC2 gives."""
    return {
        "old_instance": {"instance_id": old, "mode": "spot", "pool_id": "t3.medium.ap-south-1a"},
        "new_instance": {"instance_id": NEW, "mode": "spot", "pool_id": "t3.medium.ap-south-1b"},
        "timing": {
            "initiated_at": "2025-11-23T10:00:00Z",
            "ami_created_at": "2025-11-23T10:00:00Z",
            "instance_launched_at": "2025-11-23T10:05:00Z",
            "instance_ready_at": "2025-11-23T10:07:30Z",
            "old_terminated_at": "2025-11-23T10:37:30Z",
        },
        "pricing": {"on_demand": 0.0416, "old_spot": 0.0312, "new_spot": 0.0298},
    }


@pytest.mark.parametrize("terminated", [True, False])
@pytest.mark.parametrize("auto_terminate", [True, False])
@pytest.mark.parametrize("clicked", [True, False], ids=["a move of ours", "a bare command"])
def test_the_specifications_body_in_one_piece_ends_in_its_rows(
    world: World, acme: Tenant, clicked: bool, auto_terminate: bool, terminated: bool
):
    world.clock.time = AT_TEN - timedelta(minutes=1)
    web = world.register(acme, "web")
    acme.configure(web, autoTerminateEnabled=auto_terminate)
    web.prices({"t3.medium.ap-south-1a": 0.0312, "t3.medium.ap-south-1b": 0.0298}, on_demand=0.0416)
    world.clock.time = AT_TEN
    if clicked:
        wish = {"target": "pool", "pool_id": "t3.medium.ap-south-1b"}
        assert acme.call("POST", f"/instances/{web.id}/force-switch", wish).status == 202
    else:
        world.command(web, CommandType.SWITCH)
    world.clock.time = AT_TEN + timedelta(minutes=40)
    body = verbatim(web.id)
    if not terminated:
        del body["timing"]["old_terminated_at"]
    reply = web.post("switch-report", body)
    assert (reply.status, reply.body["savings_impact"]) == (200, "0.001400")

    (row,) = world.rows(switches)
    assert (row.old_instance_id, row.old_mode, row.old_pool_id) == (web.id, "spot", "t3.medium.ap-south-1a")
    assert (row.new_instance_id, row.new_mode, row.new_pool_id) == (NEW, "spot", "t3.medium.ap-south-1b")
    money = (row.on_demand_price, row.old_spot_price, row.new_spot_price, row.savings_impact)
    assert [str(usd) for usd in money] == ["0.041600", "0.031200", "0.029800", "0.001400"]
    minutes = {
        "initiated_at": 0,
        "ami_created_at": 0,
        "instance_launched_at": 5,
        "instance_ready_at": 7.5,
        "old_terminated_at": 37.5 if auto_terminate and terminated else None,
    }
    for column, after in minutes.items():
        wanted = None if after is None else AT_TEN + timedelta(minutes=after)
        assert getattr(row, column) == wanted, column
    old, new = (world.rows(instances, instances.c.id == one)[0] for one in (web.id, NEW))
    gone = auto_terminate and terminated
    assert (old.is_active, old.terminated_at) == (
        not gone,
        minutes["old_terminated_at"] and row.old_terminated_at,
    )
    assert new.is_active


def test_the_specifications_body_without_any_switch_asked_for_is_refused(
    world: World, acme: Tenant, web: Machine
):
    world.clock.pass_seconds(2700)
    body = specification(world, web, "")
    del body["command_id"]
    assert web.post("switch-report", body).status == 404
    assert world.rows(switches) == []
