"""Whose workload nothing brings back is told to start anew and to delete the agent: that works, and no state is lost by
it.
"""

import pytest

from spotguard.coordinator import leftovers
from spotguard.domain.agents import Executor
from spotguard.domain.errors import Refused
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import MoveKind, Step
from spotguard.planning.emergency import START_ANEW
from spotguard.store import leftover_report
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, Scene
from tests.coordinator.test_deleting_the_disabled import delete
from tests.coordinator.test_last_resort import TEN, told


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.fixture
def agent(scene):
    """It runs where SpotGuard has launched it: its volumes are SpotGuard's to delete."""
    agent = scene.protect(pool=A, terminate_wait_seconds=0, auto_switch_enabled=False)
    scene.run(60)
    scene.switch(agent, B)
    scene.run(1800, until=lambda: scene.last_move(agent).status == "completed")
    scene.config(agent, terminate_wait_seconds=2 * 3600)
    return agent


def state_of(scene, instance_id):
    """The volume that has its state."""
    return scene.ec2.world.machine(InstanceId(instance_id)).volumes["/dev/sdf"].volume_id


def moved(scene, agent):
    old = scene.serving(agent)
    scene.switch(agent, A)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    return old, scene.serving(agent)


def loses_its_state_and_dies(scene, instance_id):
    volume = state_of(scene, instance_id)
    scene.ec2.detach_volume(volume)
    scene.clock.time += TEN
    scene.ec2.delete_volume(volume)
    scene.run(400)  # so long it may only be hidden
    scene.ec2.controls.fail_instance(instance_id)
    scene.run(1800)


def exists(scene, volume):
    return bool(scene.ec2.describe_volumes([volume]))


def listed(scene):
    return {one.resource_id for one in scene.db.read(lambda tx: leftover_report.report(tx, scene.now))}


@pytest.mark.long
@pytest.mark.parametrize("proven", [False, True])
def test_the_agent_whose_last_move_waits_for_one_that_has_died_is_deleted(scene, agent, proven):
    old, new = moved(scene, agent)
    if proven:
        scene.run(600, until=lambda: Step.VERIFIED in scene.steps(scene.last_move(agent).id))
    loses_its_state_and_dies(scene, new)
    assert START_ANEW in told(scene)[-1]
    assert scene.last_move(agent).status == "committed"
    assert old in {one.row.id for one in delete(scene, agent).left}
    scene.run(6 * 3600)
    assert scene.last_move(agent).status == "completed"
    assert old in scene.running(), "nobody ends what its user may need"
    assert exists(scene, state_of(scene, old))
    assert scene.breaches() == []


@pytest.mark.long
def test_nor_is_the_volume_of_the_one_before_deleted_that_has_ended_too(scene, agent):
    """It may be all that is left. Nor by a coordinator that had looked at the move just before."""
    old, new = moved(scene, agent)
    volume = state_of(scene, old)
    loses_its_state_and_dies(scene, new)
    scene.ec2.controls.fail_instance(old)
    scene.run(1800)
    seen = scene.last_move(agent)
    assert volume in {one.row.id for one in delete(scene, agent).left}
    assert not leftovers.of_switch(scene.coordinator.ctx, scene.now, seen)
    scene.run(6 * 3600)
    assert exists(scene, volume)
    assert volume in listed(scene)


def test_where_the_server_cannot_call_ec2_the_recovery_that_waits_is_given_up_and_the_volume_stays(
    scene, agent
):
    old = scene.serving(agent)
    volume = state_of(scene, old)
    scene.ec2.controls.fail_instance(old)
    scene.run(300, until=lambda: scene.last_move(agent).is_recovery)
    scene.has_cloud = False
    scene.run(3 * 3600)
    (why,) = {e.message for e in scene.rows(agent_events, agent_events.c.kind == "recovery_needs_person")}
    assert START_ANEW in why
    assert volume in {one.row.id for one in delete(scene, agent).left}
    scene.has_cloud = True
    scene.run(6 * 3600)
    assert scene.last_move(agent).status == "unwound"
    assert scene.running() == set()
    assert exists(scene, volume)


def test_half_a_recovery_that_has_the_volume_already_ends_without_it(scene, agent):
    """Its new instance never comes up: it ends with the agent, and the volume is told to be left."""
    old = scene.serving(agent)
    volume = state_of(scene, old)
    scene.keep_closed = Everybody()
    scene.mute = Everybody()
    scene.ec2.controls.fail_instance(old)
    scene.run(900, until=lambda: scene.ec2.describe_volumes([volume])[0].attached_to not in (None, old))
    move = scene.last_move(agent)
    assert (move.kind, move.status) == (MoveKind.VOLUME, "preparing")
    assert delete(scene, agent).standbys == (move.new_instance_id,)
    scene.run(6 * 3600)
    assert scene.running() == set()
    assert exists(scene, volume)
    assert volume in listed(scene)
    assert scene.breaches() == []


class Everybody:
    def __contains__(self, _instance_id):
        return True


def test_who_is_told_to_set_auto_terminate_off_can_delete_then_although_the_new_one_is_not_proven(
    scene, agent
):
    old = scene.serving(agent)
    scene.switch(agent, A)
    scene.run(900, until=lambda: scene.last_move(agent).new_instance_id is not None)
    new = InstanceId(scene.last_move(agent).new_instance_id)
    scene.keep_closed.add(new)
    scene.run(900, until=lambda: scene.serving(agent) == new)
    scene.config(agent, enabled=False)
    scene.run(1800)
    with pytest.raises(Refused, match="set autoTerminateEnabled to false, and that one is left running"):
        delete(scene, agent)
    scene.config(agent, auto_terminate_enabled=False)
    delete(scene, agent)
    scene.run(6 * 3600)
    assert {old, new} <= scene.running()
    assert exists(scene, state_of(scene, old))


def test_what_a_dead_holder_alone_had_written_is_kept_beyond_a_deletion(scene, agent):
    """Its standby follows with a gap, and its volume waits a day for a person."""
    scene.config(agent, manual_replica_enabled=True, auto_terminate_enabled=False)
    scene.run(1200, until=lambda: [r for r in scene.live_replicas(agent) if r.status == "ready"])
    old = scene.serving(agent)
    volume = state_of(scene, old)
    scene.ec2.controls.fail_instance(old)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    scene.run(900, until=lambda: Step.VERIFIED in scene.steps(scene.last_move(agent).id))
    assert scene.last_move(agent).lost_seconds > 0
    assert scene.last_move(agent).status == "committed"
    assert volume in {one.row.id for one in delete(scene, agent).left}
    scene.run(6 * 3600)
    assert exists(scene, volume)
