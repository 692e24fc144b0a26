"""Signals, standbys and promotion, as instances and people tell them."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa

from spotguard.domain.clock import rfc3339
from spotguard.domain.commands import CommandType, CreatedBy
from spotguard.domain.ids import AgentId, InstanceId, ReplicaId
from spotguard.domain.instances import Mode
from spotguard.domain.pools import parse_pool_id
from spotguard.domain.replicas import ReplicaType, SyncStatus
from spotguard.store import moves
from spotguard.store import replicas as replica_store
from spotguard.store.tables import (
    agents,
    instances,
    replica_instances,
    spot_interruption_events,
    switches,
)
from tests.api.world import POOL_A, POOL_B, POOL_C, Machine, Tenant, World, instance_id


@pytest.fixture
def market(web: Machine) -> Machine:
    web.prices({POOL_A: 0.0312, POOL_B: 0.0298, POOL_C: 0.0324})
    return web


@pytest.fixture
def standby(world: World, acme: Tenant, market: Machine) -> Machine:
    """The manual replica of `web`, enrolled."""
    acme.configure(market, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{market.agent_id}/replicas")["items"]
    assert replica["poolId"] == POOL_B, "the cheapest that is not the primary's own"
    return world.register(acme, letter="b", token=world.enrolment(market, replica_id=replica["id"]))


def replica_id(world: World) -> str:
    return world.rows(replica_instances)[-1].id


def test_a_rebalance_recommendation_makes_an_emergency_replica(world: World, acme: Tenant, market: Machine):
    """The specification's flow, steps 3 to 8, in one transaction."""
    reply = market.post(
        "interruption-signal", {"signal_type": "rebalance-recommendation", "signal_time": world.ago(1)}
    )
    assert reply.status == 200, reply
    assert reply.body["action"] == "create_replica"
    (replica,) = acme.get(f"/agents/{market.agent_id}/replicas")["items"]
    assert (replica["id"], replica["replicaType"]) == (reply.body["replica_id"], "automatic-rebalance")
    (event,) = world.rows(spot_interruption_events)
    assert (event.id, event.replica_id) == (reply.body["event_id"], replica["id"])
    assert world.rows(agents)[0].last_interruption_signal == "rebalance-recommendation"
    assert world.bell.coordinator_calls > 1
    signal = acme.agent(market)["lastSignal"]
    assert (signal["signalType"], signal["action"]) == ("rebalance-recommendation", "create_replica")


def test_the_same_signal_twice_is_one_event(world: World, market: Machine):
    said = {
        "signal_type": "instance-termination",
        "signal_time": world.ago(1),
        "action_time": world.ago(-119),
    }
    first = market.post("interruption-signal", said)
    world.clock.pass_seconds(5)
    for spelling in ("termination-notice", "termination", "instance-termination"):
        assert market.post("interruption-signal", said | {"signal_type": spelling}).body == first.body
    assert len(world.rows(spot_interruption_events)) == 1
    assert len(world.rows(replica_instances)) == 1


def test_a_replica_without_an_instance_is_handed_over_to_and_not_promoted(
    world: World, acme: Tenant, market: Machine
):
    """S9: a placeholder is never promoted; the move to it waits for its machine and the state."""
    acme.configure(market, manualReplicaEnabled=True)
    (replica,) = acme.get(f"/agents/{market.agent_id}/replicas")["items"]
    assert replica["instanceId"] is None
    reply = market.post("interruption-signal", {"signal_type": "termination", "signal_time": world.ago(1)})
    assert (reply.body["action"], reply.body["replica_id"]) == ("hand_over", replica["id"])
    (move,) = acme.get("/switches")["items"]
    assert (move["status"], move["newInstanceId"]) == ("preparing", None)
    assert market.next_command()["payload"]["switch_id"] == move["id"]


def test_a_signal_of_a_disabled_agent_is_recorded_only(world: World, acme: Tenant, market: Machine):
    acme.configure(market, enabled=False)
    reply = market.post("interruption-signal", {"signal_type": "termination", "signal_time": world.ago(1)})
    assert reply.body["action"] == "none"
    assert not world.rows(replica_instances)
    assert len(acme.get("/interruptions")["items"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"signal_type": "earthquake"},
        {"signal_time": "soon"},
        {"signal_time": "2026-03-02T12:00:01Z"},
        {"signal_time": "2025-03-01T12:00:00Z"},
        {"action_time": "2026-03-03T12:00:00Z"},
        {"action_time": "later"},
        {"signal_time": None},
        {"signal_type": 7},
    ],
)
def test_what_no_signal_can_be(world: World, market: Machine, change: dict):
    said = {"signal_type": "termination", "signal_time": world.ago(1)} | change
    assert market.post("interruption-signal", said).status == 422
    assert not world.rows(spot_interruption_events)


def test_a_standby_becomes_ready_by_its_own_word(
    world: World, acme: Tenant, market: Machine, standby: Machine
):
    assert standby.reply["role"] == "standby"
    config = market.get("config").body
    assert config["standbys"] == [
        {"replica_id": replica_id(world), "instance_id": standby.id, "address": "10.0.0.2"}
    ]
    call = f"replicas/{replica_id(world)}/sync-status"
    syncing = standby.post(
        call, {"sync_status": "syncing", "state_transfer_progress": 65.0, "sync_latency_ms": 12}
    )
    assert (syncing.body["status"], syncing.body["state_transfer_progress"]) == ("syncing", "65.00")
    nearly = standby.post(call, {"sync_status": "synced", "state_transfer_progress": 99.99, "position": 7})
    assert (nearly.body["status"], nearly.body["position"]) == ("syncing", None), (
        "half a pass counts for nothing"
    )
    done = standby.post(call, {"sync_status": "synced", "state_transfer_progress": 100, "position": 7})
    assert (done.body["status"], done.body["position"]) == ("ready", 7)
    behind = standby.post(call, {"sync_status": "synced", "state_transfer_progress": 100, "position": 3})
    assert behind.body["position"] == 7, "a position never goes back"
    lost = standby.post(call, {"sync_status": "out-of-sync", "state_transfer_progress": 100})
    assert lost.body["status"] == "syncing"
    assert acme.agent(market)["replicaCount"] == 1


def test_a_report_that_comes_late_is_as_old_as_what_it_measured(world: World, standby: Machine):
    call, said = f"replicas/{replica_id(world)}/sync-status", {"state_transfer_progress": 100, "position": 7}
    then = world.ago(0)
    world.clock.pass_seconds(40)
    standby.post(call, {**said, "sync_status": "synced", "sync_latency_ms": 3000, "measured_at": then})
    (row,) = world.rows(replica_instances)
    assert (row.status, rfc3339(row.synced_at)) == ("ready", then)
    world.clock.pass_seconds(5)
    standby.post(call, {**said, "sync_status": "out-of-sync", "measured_at": world.ago(0)})
    overtaken = standby.post(call, {**said, "sync_status": "synced", "measured_at": world.ago(10)})
    assert overtaken.body["status"] == "syncing", "what was measured before the newest report says nothing"


def test_a_report_by_a_server_whose_clock_was_ahead_silences_no_later_one(world: World, standby: Machine):
    call, said = f"replicas/{replica_id(world)}/sync-status", {"state_transfer_progress": 100, "position": 7}
    world.clock.pass_seconds(3600)
    standby.post(call, {**said, "sync_status": "synced"})
    world.clock.pass_seconds(-3600)
    behind = standby.post(call, {**said, "sync_status": "out-of-sync"})
    assert behind.body["status"] == "syncing"


def test_nothing_is_measured_after_its_report(world: World, standby: Machine):
    """Its clock is ahead of what it last heard of the server's."""
    said = {"sync_status": "synced", "state_transfer_progress": 100, "measured_at": world.ago(-3600)}
    standby.post(f"replicas/{replica_id(world)}/sync-status", said)
    assert world.rows(replica_instances)[0].synced_at == world.clock.now()


def test_only_the_replicas_own_instance_speaks_for_it(
    world: World, acme: Tenant, market: Machine, standby: Machine
):
    said = {"sync_status": "synced", "state_transfer_progress": 100}
    assert market.post(f"replicas/{replica_id(world)}/sync-status", said).status == 403
    db = world.register(acme, "db")
    assert db.post(f"replicas/{replica_id(world)}/sync-status", said).status == 404
    assert standby.post("replicas/none/sync-status", said).status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"state_transfer_progress": -0.01},
        {"state_transfer_progress": 100.01},
        {"state_transfer_progress": "all"},
        {"sync_latency_ms": -1},
        {"sync_latency_ms": 2**31},
        {"position": -1},
        {"position": 2**63},
        {"sync_status": "perfect"},
        {"measured_at": "yesterday"},
        {"measured_at": "2020-01-01T00:00:00Z"},
        {"status": "great"},
    ],
)
def test_progress_within_bounds(world: World, standby: Machine, change: dict):
    said = {"sync_status": "syncing", "state_transfer_progress": 50} | change
    assert standby.post(f"replicas/{replica_id(world)}/sync-status", said).status == 422


def promote(world: World, tenant: Tenant, machine: Machine):
    path = f"/api/agents/{machine.agent_id}/replicas/{replica_id(world)}/promote"
    return world.link.call("POST", path, token=tenant.token, body={})


def test_a_ready_replica_is_promoted_by_its_user(
    world: World, acme: Tenant, market: Machine, standby: Machine
):
    assert promote(world, acme, market).status == 409, "not ready yet"
    said = {"sync_status": "synced", "state_transfer_progress": 100, "position": 7}
    standby.post(f"replicas/{replica_id(world)}/sync-status", said)
    reply = promote(world, acme, market)
    assert reply.status == 200, reply
    assert (reply.body["old_instance_id"], reply.body["new_instance_id"]) == (market.id, standby.id)
    assert reply.body["epoch"] == 2
    command = market.next_command()
    assert command["payload"]["switch_id"] == reply.body["switch_id"]
    assert promote(world, acme, market).status == 409, "one move at a time"
    assert promote(world, world.tenant("Other"), market).status == 404


def test_a_replica_is_made_and_ended_by_hand(world: World, acme: Tenant, market: Machine):
    path = f"/agents/{market.agent_id}/replicas"
    refused = acme.call("POST", path)
    assert refused.status == 409
    assert "manualReplicaEnabled" in refused.body["detail"]
    acme.configure(market, manualReplicaEnabled=True)
    (first,) = acme.get(path)["items"]
    assert acme.call("POST", path).status == 409, "one at a time"
    ended = acme.call("DELETE", f"{path}/{first['id']}")
    assert (ended.status, ended.body["status"], ended.body["isActive"]) == (200, "terminated", False)
    assert acme.call("DELETE", f"{path}/{first['id']}").status == 200, "again is harmless"
    made = acme.call("POST", path)
    assert made.status in {201, 409}, made


def test_the_toggle_makes_and_ends_replicas(world: World, acme: Tenant, market: Machine, standby: Machine):
    assert acme.configure(market, autoSwitchEnabled=True).body["manualReplicaEnabled"] is False
    (row,) = world.rows(replica_instances)
    assert row.is_active is False
    assert acme.agent(market)["replicaCount"] == 0
    assert standby.heartbeat().body["role"] == "passive"


def test_who_turns_to_automatic_mode_after_a_recommendation_keeps_the_standby_for_as_long_as_it_counts(
    world: World, acme: Tenant, market: Machine, standby: Machine
):
    said = {"signal_type": "rebalance-recommendation", "signal_time": world.ago(1)}
    assert market.post("interruption-signal", said).body["action"] == "monitor"
    acme.configure(market, autoSwitchEnabled=True)
    (row,) = world.rows(replica_instances)
    assert row.is_active is True
    world.clock.pass_seconds(2 * 3600)
    acme.configure(market, terminateWaitMinutes=1)
    (row,) = world.rows(replica_instances)
    assert row.is_active is False


def test_a_replica_is_not_ended_by_hand_while_the_workload_moves_to_it_or_nobody_serves(
    world: World, acme: Tenant, market: Machine, standby: Machine
):
    path = f"/agents/{market.agent_id}/replicas/{replica_id(world)}"
    standby.post(
        f"replicas/{replica_id(world)}/sync-status", {"sync_status": "synced", "state_transfer_progress": 100}
    )
    assert promote(world, acme, market).status == 200
    refused = acme.call("DELETE", path)
    assert (refused.status, "is moving to this replica" in refused.body["detail"]) == (409, True)
    (move,) = world.rows(switches)
    world.write(lambda tx: moves.unwind(tx, world.clock.now(), move.id, "the story ends it"))
    dead = {"ec2_state": "terminated", "is_active": False}
    world.write(lambda tx: tx.execute(instances.update().where(instances.c.id == market.id).values(**dead)))
    refused = acme.call("DELETE", path)
    assert (refused.status, "what is left of the state" in refused.body["detail"]) == (409, True)


def test_a_promoted_replica_is_never_ended_by_its_row(
    world: World, acme: Tenant, market: Machine, standby: Machine
):
    promoted, now = replica_id(world), world.clock.now()
    world.write(lambda tx: replica_store.apply_sync_status(tx, now, promoted, **DONE))
    world.write(lambda tx: replica_store.mark_promoted(tx, now, promoted, whole=True))
    path = f"/agents/{market.agent_id}/replicas/{promoted}"
    assert acme.call("DELETE", path).status == 409
    refused = promote(world, acme, market)
    assert (refused.status, refused.body["detail"]) == (
        409,
        "this replica is promoted already, and stands by no more",
    )
    its = sa.update(replica_instances).where(replica_instances.c.id == promoted)
    world.write(lambda tx: tx.execute(its.values(instance_id=market.id)))
    assert promote(world, acme, market).body["detail"] == "this replica is promoted already: it serves"
    world.write(lambda tx: tx.execute(its.values(status="terminated")))
    assert "is terminated: it stands by no more" in promote(world, acme, market).body["detail"]


DONE = {
    "sync_status": SyncStatus.SYNCED,
    "progress": Decimal(100),
    "latency_ms": None,
    "position": 7,
}


@pytest.fixture
def two_wishes(world: World, market: Machine) -> tuple[ReplicaId, ReplicaId]:
    """A manual standby and one against a notice, neither of which has a machine."""

    def wish(kind: ReplicaType) -> ReplicaId:
        return world.write(
            lambda tx: replica_store.create(
                tx,
                world.clock.now(),
                agent_id=AgentId(market.agent_id),
                replica_type=kind,
                pool=parse_pool_id(POOL_B),
                mode=Mode.SPOT,
                parent_instance_id=InstanceId(market.id),
                created_by=CreatedBy.COORDINATOR,
                hourly_cost=None,
                because="a story",
            )
        )

    return wish(ReplicaType.MANUAL), wish(ReplicaType.TERMINATION)


def test_one_instance_is_not_named_for_two_standbys(
    world: World, market: Machine, two_wishes: tuple[ReplicaId, ReplicaId]
):
    for wish in two_wishes:
        world.command(market, CommandType.LAUNCH_REPLICA, payload={"replica_id": wish})
    first, second = market.get("pending-commands").body["commands"]
    said = {"status": "completed", "result": {"instance_id": instance_id(99)}}
    assert market.post(f"commands/{first['id']}/result", said).status == 200
    refused = market.post(f"commands/{second['id']}/result", said)
    assert (refused.status, "another replica" in refused.body["detail"]) == (409, True)


def test_nor_does_it_enrol_as_the_other_one(
    world: World, acme: Tenant, market: Machine, two_wishes: tuple[ReplicaId, ReplicaId]
):
    one, other = two_wishes
    named = InstanceId(instance_id(50))
    world.write(lambda tx: replica_store.machine_named(tx, world.clock.now(), one, named))
    said = world.describe("web", number=50, letter="b")
    token = world.enrolment(market, replica_id=other)
    assert world.link.call("POST", "/api/agents/register", token=token, body=said).status == 201
    rows = {row.id: row.instance_id for row in world.rows(replica_instances)}
    assert rows == {one: named, other: None}


def test_under_a_notice_of_its_own_who_serves_is_told_to_end_nobody(world: World, market: Machine):
    """It may have been told to end its old instance a moment before."""
    market.heartbeat(epoch=1, gate="open")
    assert market.get("config").body["ends_held"] is None
    market.post("interruption-signal", {"signal_type": "instance-termination", "signal_time": world.ago(1)})
    assert market.get("config").body["ends_held"] == "who serves in its place has ended or is about to"
