"""The specification's flows «Manual Replica Enabled» and «Manual Replica Lifecycle»."""

from datetime import timedelta

from spotguard.domain.pools import parse_pool_id
from spotguard.store import looks


def pricing(scene):
    return scene.get(f"/api/client/instances/{scene.agent().instance_id}/pricing")["pools"]


def seen_to_fall(scene, pool_id):
    """Up an hour ago, refused half an hour ago: long enough for its quarantine to be over."""
    now, agent = scene.world.clock.now(), scene.agent()
    for minutes, up in ((60, True), (30, False)):
        at, pool = now - timedelta(minutes=minutes), parse_pool_id(pool_id)
        scene.world.db.write(
            lambda tx, at=at, pool=pool, up=up: looks.note(
                tx, at, agent.client_id, pool, up=up, because="a story"
            )
        )


def test_a_standby_goes_where_the_page_says_that_it_is_safe_and_its_cost_is_told_of_that_place(scene):
    """A cheaper pool above the agent's risk limit is for the time when no other is left (ruling B6)."""
    scene.wait(hours=1)
    others = [p for p in pricing(scene) if p["id"] != scene.agent().current_pool_id and p["price"]]
    cheapest = min(others, key=lambda p: float(p["price"]))
    seen_to_fall(scene, cheapest["id"])

    told = {p["id"]: p for p in pricing(scene)}
    assert "risk limit" in told[cheapest["id"]]["because"]
    safe = min((p for p in told.values() if p["allowed"]), key=lambda p: float(p["price"]))
    cost = scene.get(f"/api/client/agents/{scene.agent().id}")["standbyCost"]
    assert float(cost["standbyUsd"]) == float(safe["price"])

    scene.configure(manualReplicaEnabled=True)
    assert scene.until(scene.live_replica, seconds=10).pool_id == safe["id"]


def test_a_recommended_replica_goes_to_a_calm_pool_too(scene):
    scene.force_to_spot()
    scene.wait(hours=1)
    others = [p for p in pricing(scene) if p["id"] != scene.agent().current_pool_id and p["price"]]
    cheapest = min(others, key=lambda p: float(p["price"]))
    seen_to_fall(scene, cheapest["id"])
    scene.aws_recommends_rebalance()
    replica = scene.until(scene.live_replica, minutes=1)
    assert replica.replica_type == "automatic-rebalance"
    assert replica.pool_id != cheapest["id"]


def test_enabling_manual_replicas_makes_one_in_another_pool_and_keeps_it(scene):
    # User enables the manual_replica_enabled toggle
    answer = scene.configure(manualReplicaEnabled=True)
    assert answer["manualReplicaEnabled"] is True
    assert answer["autoSwitchEnabled"] is False
    assert (scene.agent().manual_replica_enabled, scene.agent().auto_switch_enabled) == (True, False)

    # ReplicaCoordinator (every 10 seconds) detects it and creates a replica
    replica = scene.until(scene.live_replica, seconds=10)
    assert replica.replica_type == "manual"
    assert replica.status == "launching"
    assert replica.created_by == "coordinator"
    assert replica.parent_instance_id == scene.agent().instance_id
    assert replica.pool_id != scene.agent().current_pool_id
    assert (scene.agent().replica_count, scene.agent().current_replica_id) == (1, replica.id)

    # It stays active
    scene.until(scene.ready_replica, minutes=10)
    scene.wait(hours=1)
    assert scene.ready_replica().id == replica.id


def test_a_replica_goes_from_launching_to_syncing_to_ready_by_what_it_measured(scene):
    scene.configure(manualReplicaEnabled=True)
    replica = scene.until(scene.live_replica, seconds=10)

    syncing = scene.until(
        lambda: scene.replica(replica.id).status == "syncing" and scene.replica(replica.id), minutes=5
    )
    assert syncing.launched_at is not None
    assert syncing.ready_at is None

    ready = scene.until(scene.ready_replica, minutes=5)
    assert ready.sync_status == "synced"
    assert ready.state_transfer_progress == 100
    assert ready.sync_latency_ms is not None
    assert ready.launched_at < ready.ready_at


def test_switching_to_the_replica_promotes_it_and_a_new_one_is_made_for_the_new_primary(scene):
    scene.configure(manualReplicaEnabled=True)
    replica = scene.until(scene.ready_replica, minutes=10)
    before = scene.agent()

    # User clicks "Switch to Replica"
    promised = scene.post(f"/api/agents/{before.id}/replicas/{replica.id}/promote", {})
    assert promised["replica_id"] == replica.id
    assert promised["old_instance_id"] == before.instance_id
    assert promised["new_instance_id"] == replica.instance_id
    assert promised["epoch"] == before.epoch + 1

    promoted = scene.until(
        lambda: scene.replica(replica.id).status == "promoted" and scene.replica(replica.id), seconds=30
    )
    assert promoted.promoted_at is not None
    assert promoted.is_active is False or promoted.is_active == 0

    # Replica becomes the new primary instance
    assert scene.agent().instance_id == replica.instance_id
    assert scene.agent().epoch == before.epoch + 1
    # and nothing ever ends it because its replica row is inactive (ruling S8)
    assert scene.instance(replica.instance_id).is_active

    # Within 10 seconds a NEW replica for the new primary
    fresh = scene.until(scene.live_replica, seconds=10)
    assert fresh.id != replica.id
    assert fresh.parent_instance_id == replica.instance_id
    assert fresh.pool_id != scene.agent().current_pool_id
    scene.assert_no_record_lost_or_doubled()


def test_terminating_the_replica_makes_a_new_one(scene):
    scene.configure(manualReplicaEnabled=True)
    replica = scene.until(scene.ready_replica, minutes=10)
    scene.delete(f"/api/client/agents/{scene.agent().id}/replicas/{replica.id}")
    fresh = scene.until(
        lambda: (
            scene.live_replica() is not None
            and scene.live_replica().id != replica.id
            and scene.live_replica()
        ),
        seconds=30,
    )
    assert fresh.replica_type == "manual"
    assert scene.replica(replica.id).status == "terminated"
    scene.until(lambda: not scene.instance(replica.instance_id).is_active, minutes=5)


def test_disabling_manual_replicas_terminates_them_all(scene):
    scene.configure(manualReplicaEnabled=True)
    replica = scene.until(scene.ready_replica, minutes=10)
    primary = scene.agent().instance_id

    scene.configure(manualReplicaEnabled=False)
    scene.until(lambda: scene.replica(replica.id).status == "terminated", seconds=30)
    scene.until(lambda: scene.active_instances() == {primary}, minutes=5)
    assert scene.agent().replica_count == 0
    assert scene.agent().current_replica_id is None
