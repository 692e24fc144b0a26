"""Manual replicas for as long as the toggle is on, and what ends them."""

from datetime import timedelta

import pytest

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.domain.errors import QuotaReached, Refused
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaStatus
from spotguard.store import prices, replicas
from spotguard.store.tables import (
    agent_events,
    agents,
    commands,
    intentions,
    pool_quarantines,
    replica_instances,
)
from tests.coordinator.scene import A, B, C, Scene
from tests.coordinator.strays import stray_machine
from tests.execution.cloud import WithoutRoom


def ready(scene, agent):
    def is_ready():
        return [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY]

    scene.run(400, until=is_ready)
    return scene.live_replicas(agent)[0]


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def agent(scene):
    return scene.protect(pool=A, terminate_wait_seconds=0, manual_replica_enabled=True)


def test_the_toggle_makes_a_standby_in_the_cheapest_safe_pool(scene, agent):
    replica = ready(scene, agent)
    assert replica.pool_id == C.id  # the cheapest, and not the primary's own
    assert scene.agent(agent).replica_count == 1
    assert scene.agent(agent).current_replica_id == replica.id
    assert replica.instance_id in scene.running()
    assert scene.breaches() == []


def test_never_the_pool_of_the_primary_even_if_it_is_the_cheapest(scene):
    agent = scene.protect(pool=C, manual_replica_enabled=True)
    assert ready(scene, agent).pool_id == B.id


def test_a_dry_pool_is_quarantined_and_the_next_is_taken(scene, agent):
    scene.ec2.controls.make_dry(C)
    assert ready(scene, agent).pool_id == B.id
    assert [row.pool_id for row in scene.rows(pool_quarantines)] == [C.id]


def test_with_no_spot_anywhere_it_is_made_on_demand(scene, agent):
    scene.ec2.controls.make_dry(B)
    scene.ec2.controls.make_dry(C)
    replica = ready(scene, agent)
    assert replica.mode == Mode.ONDEMAND


def test_promotion_loses_nothing_and_a_new_standby_follows(scene, agent):
    first = ready(scene, agent)
    opened = scene.promote(agent, first.id)
    scene.run(120, until=lambda: scene.serving(agent) == first.instance_id)
    row = scene.row(replica_instances, replica_instances.c.id == first.id)
    assert (row.status, row.is_active) == (ReplicaStatus.PROMOTED, False)
    second = ready(scene, agent)
    assert second.id != first.id
    assert second.parent_instance_id == first.instance_id
    assert scene.move(opened.switch_id).event_trigger == "manual"
    scene.run(600)
    assert scene.running() == {first.instance_id, second.instance_id}
    assert scene.breaches() == []


def test_a_standby_that_is_not_ready_is_not_promoted(scene, agent):
    scene.run(20, until=lambda: bool(scene.live_replicas(agent)))
    with pytest.raises(Refused, match="not ready"):
        scene.promote(agent, scene.live_replicas(agent)[0].id)


def test_switching_it_off_ends_the_standby_and_its_volumes(scene, agent):
    replica = ready(scene, agent)
    scene.config(agent, manual_replica_enabled=False, auto_switch_enabled=False)
    scene.run(600, until=lambda: replica.instance_id not in scene.running())
    scene.run(600)
    assert scene.agent(agent).replica_count == 0
    assert [v for v in scene.ec2.inventory().volumes if v.tags.get("spotguard:managed")] == []
    assert scene.breaches() == []


def test_a_standby_that_dies_is_followed_by_another(scene, agent):
    first = ready(scene, agent)
    scene.ec2.controls.fail_instance(first.instance_id)
    scene.run(300, until=lambda: [r.id for r in scene.live_replicas(agent)] not in ([], [first.id]))
    assert ready(scene, agent).id != first.id


def test_a_standby_with_a_notice_of_its_own_is_replaced_elsewhere(scene, agent):
    first = ready(scene, agent)
    scene.ec2.controls.interrupt(first.instance_id)
    scene.run(20, until=lambda: first.id not in [r.id for r in scene.live_replicas(agent)])
    assert ready(scene, agent).pool_id == B.id


def test_replicas_that_keep_failing_are_tried_less_and_less_often(scene, agent):
    for pool in (A, B, C):
        scene.ec2.controls.make_dry(pool)
        scene.ec2.controls.make_dry(pool, mode=Mode.ONDEMAND)
    scene.run(1800)
    tried = scene.rows(replica_instances)
    assert 4 <= len(tried) <= 10
    assert scene.live_replicas(agent) == [] or scene.live_replicas(agent)[0].instance_id is None
    assert scene.running() == {scene.serving(agent)}


def test_a_spend_cap_binds_standbys(scene):
    scene.limit(max_instances=1)
    agent = scene.protect(pool=A, manual_replica_enabled=True)
    scene.run(300)
    assert scene.running() == {scene.serving(agent)}
    scene.limit(max_instances=None)
    ready(scene, agent)


def agent_asked():
    """The server has no EC2, and a standby is wanted."""
    scene = Scene(has_cloud=False)
    agent = scene.protect(pool=A)
    scene.db.write(lambda tx: prices.record_report(tx, scene.now, scene.client_id, scene.now, [(B.id, 1)]))
    scene.config(agent, manual_replica_enabled=True)
    scene.coordinator.run_pass()
    return scene, agent


def test_where_the_server_has_no_ec2_the_agent_is_asked():
    scene, agent = agent_asked()
    asked = scene.row(commands, commands.c.command_type == "launch_replica")
    assert asked.instance_id == scene.serving(agent)
    assert asked.payload["launch"]["pool_id"] == B.id
    scene.coordinator.run_pass()
    assert len(scene.rows(commands, commands.c.command_type == "launch_replica")) == 1


def test_one_that_came_up_outlives_the_order_for_its_launch_that_was_never_answered():
    """The primary's agent launched it, and was cut off before it could say so."""
    scene, agent = agent_asked()
    (replica,) = scene.live_replicas(agent)
    made = stray_machine(scene, agent)
    scene.db.write(lambda tx: replicas.machine_named(tx, scene.now, replica.id, made))
    for _ in range(12):
        scene.clock.time += timedelta(seconds=60)
        scene.coordinator.run_pass()
    assert scene.row(commands, commands.c.command_type == "launch_replica").status == "expired"
    assert [row.instance_id for row in scene.live_replicas(agent)] == [made]


def test_one_whose_launch_was_never_answered_is_ended_too_when_nobody_wants_it_any_more(scene):
    agent = scene.protect(pool=A, manual_replica_enabled=True)
    scene.ec2.controls.hide_new((60, 60))
    for action in ("run_instance", "create_fleet"):
        scene.ec2.faults.sometimes(action, 1.0, after_effect=True)
    scene.run(60, until=lambda: scene.rows(intentions))
    scene.config(agent, manual_replica_enabled=False, auto_switch_enabled=False)
    scene.ec2.faults.clear()
    scene.run(60, until=lambda: len(scene.running()) > 1)
    assert len(scene.running()) == 2, "what came of it shows by now"
    scene.run(900)
    assert scene.running() == {scene.serving(agent)}
    assert [row.status for row in scene.rows(intentions)] == ["done"]
    assert scene.breaches() == []


def test_a_refusal_after_a_lost_answer_makes_no_second_one(scene):
    """The first call made one that EC2 hides, whoever asks again finds the quota used up: one machine, no orphan."""
    agent = scene.protect(pool=A, manual_replica_enabled=True)
    scene.ec2.controls.hide_new((60, 60))
    scene.ec2.faults.next("run_instance", lost_answer(), after_effect=True)
    scene.run(60, until=lambda: scene.rows(intentions))
    calm, scene.ec2 = scene.ec2, WithoutRoom(scene.ec2, QuotaReached("MaxSpotInstanceCountExceeded"))
    scene.run(50)
    assert [row.status for row in scene.rows(intentions)] == ["open"]
    scene.ec2 = calm
    scene.run(900)
    made = [row.instance_id for row in scene.rows(replica_instances)]
    assert scene.running() == {scene.serving(agent), *made}
    assert len(made) == 1
    assert [row.status for row in scene.rows(intentions)] == ["done"]
    assert scene.rows(agent_events, agent_events.c.kind == "leftover_found") == []
    assert scene.breaches() == []


def test_a_deleted_agent_keeps_no_standby(scene, agent):
    replica = ready(scene, agent)
    scene.config(agent, status="deleted", manual_replica_enabled=False, auto_switch_enabled=False)
    scene.run(300, until=lambda: replica.instance_id not in scene.running())
    assert scene.row(agents, agents.c.id == agent).replica_count == 0
