"""A standby that nobody hears is ready no more, and then replaced; an absence of the server's own is no silence."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import OFFLINE_AFTER
from spotguard.domain.errors import Refused
from spotguard.domain.replicas import ReplicaStatus, ReplicaType
from spotguard.domain.switches import MoveKind
from spotguard.planning.presence import REPLACED_AFTER, UNMEASURED_AFTER
from spotguard.store.tables import agent_events, instances, replica_instances, switches
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import registered

MARGIN = timedelta(seconds=20)  # a pass, and the steps in which the scene's time goes


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0, manual_replica_enabled=True)
    scene.run(400, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    scene.run(300)
    return agent


def standby(scene, agent):
    """The one that is to stay."""
    (live,) = [row for row in scene.live_replicas(agent) if not row.is_outgoing]
    return live


def hush(scene, *instance_ids, silent=True):
    for instance_id in instance_ids:
        scene.guests[instance_id].silent = silent


def told(scene, kind):
    return scene.rows(agent_events, agent_events.c.kind == kind)


def test_after_two_minutes_it_is_ready_no_more_and_after_five_another_takes_its_place(scene, agent):
    first, began = standby(scene, agent), scene.now
    hush(scene, first.instance_id)
    scene.run(180, until=lambda: standby(scene, agent).status == ReplicaStatus.SYNCING)
    assert OFFLINE_AFTER < scene.now - began <= OFFLINE_AFTER + MARGIN
    assert standby(scene, agent).sync_status == "out-of-sync"
    (event,) = told(scene, "replica_silent")
    assert first.instance_id in event.message
    with pytest.raises(Refused, match="not ready"):
        scene.promote(agent, first.id)

    scene.run(240, until=lambda: standby(scene, agent).id != first.id)
    assert REPLACED_AFTER < scene.now - began <= REPLACED_AFTER + MARGIN
    assert "not been heard for 5 minutes" in standby(scene, agent).because
    scene.run(400, until=lambda: standby(scene, agent).status == ReplicaStatus.READY)
    scene.run(300)
    assert scene.running() == {scene.serving(agent), standby(scene, agent).instance_id}
    assert len(told(scene, "replica_silent")) == 1
    assert scene.breaches() == []


def test_one_that_is_heard_again_before_that_is_ready_again_and_stays(scene, agent):
    first = standby(scene, agent)
    hush(scene, first.instance_id)
    scene.run(200)
    assert standby(scene, agent).status == ReplicaStatus.SYNCING
    hush(scene, first.instance_id, silent=False)
    scene.run(60, until=lambda: standby(scene, agent).status == ReplicaStatus.READY)
    scene.run(1800)
    assert (standby(scene, agent).id, standby(scene, agent).status) == (first.id, ReplicaStatus.READY)


@pytest.mark.parametrize("later_seconds", [0, 90])
def test_a_server_that_was_away_itself_calls_nobody_silent_who_had_no_time_to_speak(
    scene, agent, later_seconds
):
    """For twenty minutes it hears nobody; then the primary first, and the standby as late as its pauses allow."""
    first, primary = standby(scene, agent), scene.serving(agent)
    hush(scene, primary, first.instance_id)
    scene.run(1200)
    assert standby(scene, agent).status == ReplicaStatus.READY
    hush(scene, primary, silent=False)
    scene.run(later_seconds)
    hush(scene, first.instance_id, silent=False)
    scene.run(1200)
    assert standby(scene, agent).id == first.id
    assert told(scene, "replica_silent") == []


def test_after_an_absence_of_the_server_a_silent_one_is_found_all_the_same(scene, agent):
    first, primary = standby(scene, agent), scene.serving(agent)
    hush(scene, primary, first.instance_id)
    scene.run(1200)
    hush(scene, primary, silent=False)
    heard_again = scene.now
    scene.run(400, until=lambda: standby(scene, agent).id != first.id)
    assert scene.now - heard_again > REPLACED_AFTER


def test_a_notice_does_not_hand_over_to_one_that_nobody_hears(scene, agent):
    first, old = standby(scene, agent), scene.serving(agent)
    hush(scene, first.instance_id)
    scene.run(200, until=lambda: bool(told(scene, "replica_silent")))
    scene.ec2.controls.interrupt(old)
    scene.run(60, until=lambda: bool(scene.rows(switches)))
    taken = scene.row(replica_instances, replica_instances.c.id == scene.last_move(agent).replica_id)
    assert (taken.replica_type, taken.id == first.id) == (ReplicaType.TERMINATION, False)
    scene.run(900, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    assert scene.serving(agent) != first.instance_id


def test_while_many_primaries_fall_silent_together_none_is_replaced(scene, agent):
    """It may be the server that is cut off from a part of the world (ruling B10a)."""
    others = [scene.serving(scene.protect(f"other-{n}", pool=A)) for n in range(5)]
    scene.run(300)
    first = standby(scene, agent)
    hush(scene, first.instance_id, *others)
    scene.run(1200)
    assert (standby(scene, agent).id, standby(scene, agent).status) == (first.id, ReplicaStatus.SYNCING)
    hush(scene, *others, silent=False)
    scene.run(120, until=lambda: standby(scene, agent).id != first.id)


def hangs(scene, agent):
    """Its agent beats on, and gets no answer where it looks for what has arrived."""
    first = standby(scene, agent)
    scene.db.write(lambda tx: tx.execute(instances.update().values(can_sync=True)))
    scene.guests[first.instance_id].measures = False
    return first


def test_one_that_is_heard_and_tells_no_more_what_reaches_it_is_ready_no_more_and_is_kept(scene, agent):
    first, began = hangs(scene, agent), scene.now
    scene.run(400, until=lambda: standby(scene, agent).status == ReplicaStatus.SYNCING)
    assert UNMEASURED_AFTER - MARGIN < scene.now - began <= UNMEASURED_AFTER + MARGIN
    (event,) = told(scene, "replica_silent")
    assert first.instance_id in event.message
    scene.run(1800)
    assert standby(scene, agent).id == first.id
    scene.guests[first.instance_id].measures = True
    scene.run(60, until=lambda: standby(scene, agent).status == ReplicaStatus.READY)
    assert standby(scene, agent).id == first.id


def test_a_death_unheard_is_recovered_by_the_volume_when_nobody_knows_how_old_the_standby_is(scene, agent):
    hangs(scene, agent)
    scene.run(1200)
    old = scene.serving(agent)
    scene.ec2.controls.fail_instance(old)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    move = scene.last_move(agent)
    assert (move.kind, move.lost_seconds) == (MoveKind.VOLUME, 0)


def test_an_agent_of_the_contract_alone_tells_once_that_it_is_in_sync(scene, agent):
    first = standby(scene, agent)
    scene.guests[first.instance_id].measures = False
    scene.run(1800)
    assert standby(scene, agent).status == ReplicaStatus.READY


def test_one_that_enrols_again_is_not_taken_for_one_that_never_did(scene, agent):
    """A doubled request takes its token from it, which its agent notices with its next word."""
    first = standby(scene, agent)
    scene.run(1200)
    hush(scene, first.instance_id)
    token = registered(scene, first.instance_id, "1")
    scene.run(60)
    scene.guests[first.instance_id].token_hash = token
    hush(scene, first.instance_id, silent=False)
    scene.run(300)
    assert standby(scene, agent).id == first.id
    assert standby(scene, agent).status == ReplicaStatus.READY


@pytest.mark.parametrize("trouble", ["silent", "signalled"])
def test_where_nobody_can_be_launched_a_poor_one_is_kept(scene, agent, trouble):
    first = standby(scene, agent)
    scene.dry_up()
    if trouble == "silent":
        hush(scene, first.instance_id)
    else:
        scene.ec2.controls.signal_rebalance(first.instance_id)
    scene.run(1200)
    assert first.id in [row.id for row in scene.live_replicas(agent)]
    assert first.instance_id in scene.running()
    assert len(scene.running()) == 2
    assert told(scene, "replica_failed")

    hush(scene, first.instance_id, silent=False)
    scene.end_drought()
    scene.run(4800)
    assert standby(scene, agent).status == ReplicaStatus.READY
    assert (standby(scene, agent).id == first.id) is (trouble == "silent")
    assert len(scene.running()) == 2
    assert scene.breaches() == []


def test_a_cap_that_has_room_for_one_standby_lets_a_poor_one_be_replaced(scene, agent):
    first = standby(scene, agent)
    scene.limit(max_instances=2)
    hush(scene, first.instance_id)
    scene.run(1800)
    assert standby(scene, agent).id != first.id
    assert standby(scene, agent).status == ReplicaStatus.READY


def test_one_that_is_promoted_unheard_since_nothing_else_is_left_is_named_to_people_who_could_mend_it(scene):
    """Its state is on no volume. Terminated as they are told, it is recovered from as any dead holder is."""
    agent = scene.protect(pool=A, state_gib=None, manual_replica_enabled=True, restore_point_hours=1)
    scene.run(400, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    scene.run(1800, until=lambda: bool(scene.restore_points(agent)))
    old, heir = scene.serving(agent), standby(scene, agent)
    hush(scene, heir.instance_id)
    scene.run(200, until=lambda: bool(told(scene, "replica_silent")))
    scene.ec2.controls.fail_instance(old)
    scene.run(900)
    assert scene.serving(agent) == heir.instance_id
    (late,) = told(scene, "step_late")
    assert f"{heir.instance_id} was granted epoch 2 and is not heard: restart its agent" in late.message
    assert scene.breaches() == []
    scene.ec2.controls.fail_instance(heir.instance_id)
    scene.run(1800, until=lambda: scene.serving(agent) != heir.instance_id and scene.is_open(agent))
