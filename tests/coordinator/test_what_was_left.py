"""What may hold the only copy of what was written stays: of former holders, and of standbys that were in sync."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import MoveKind, Step
from spotguard.ports.cloud import VolumeState
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, C, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def living_volumes(scene):
    shown = scene.ec2.inventory().volumes
    return {one.volume_id for one in shown if one.state is not VolumeState.DELETING}


def test_what_an_earlier_holder_left_stays_when_only_an_older_image_brought_it_back(scene):
    agent = scene.protect(pool=A, restore_point_hours=48, restore_drill_days=0, terminate_wait_seconds=0)
    scene.run(1800, until=lambda: bool(scene.restore_points(agent)))
    first = scene.switch(agent, C, kind=MoveKind.SYNCED)
    scene.run(900, until=lambda: scene.move(first.switch_id).status == "completed")
    scene.config(agent, terminate_wait_seconds=1800)
    scene.run(3600)
    old = scene.serving(agent)
    kept = scene.volume_at(old)
    opened = scene.switch(agent, B, kind=MoveKind.SYNCED)
    scene.run(900, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))
    new = scene.serving(agent)
    assert new != old
    gone = scene.volume_at(new)
    scene.ec2.controls.interrupt(new, notice_seconds=0)
    scene.clock.time += timedelta(seconds=60)
    scene.ec2.happenings()
    scene.ec2.delete_volume(gone)
    scene.run(1500, until=lambda: scene.serving(agent) not in (old, new) and scene.is_open(agent))
    move = scene.last_move(agent)
    assert move.kind == MoveKind.IMAGE
    scene.run(2 * 3600)
    assert kept in living_volumes(scene)


@pytest.mark.parametrize("what", ["notice", "death"])
def test_the_old_one_survives_while_the_new_is_in_trouble(scene, what):
    agent = scene.protect(pool=A, terminate_wait_seconds=1800)
    scene.run(60)
    old = scene.serving(agent)
    opened = scene.switch(agent, B, kind=MoveKind.SYNCED)
    scene.run(900, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))
    new = scene.serving(agent)
    scene.dry_up()
    scene.run(1680)
    if what == "notice":
        scene.ec2.controls.interrupt(new)
    else:
        scene.ec2.controls.interrupt(new, notice_seconds=0)
    scene.run(900)
    assert old in scene.running()


class Ended:
    """The holder has died, with its disk; in the same seconds its standby, which was in sync, had a notice."""

    def __init__(self):
        self.scene = scene = Scene(executor=Executor.SERVER)
        agent = scene.protect(pool=A, auto_switch_enabled=False)
        scene.config(agent, manual_replica_enabled=True)
        scene.run(600, until=lambda: [r.status for r in scene.live_replicas(agent)] == ["ready"])
        scene.run(60)
        holder = scene.serving(agent)
        (standby,) = scene.live_replicas(agent)
        self.standby = InstanceId(standby.instance_id)
        self.copy, gone = scene.volume_at(self.standby), scene.volume_at(holder)
        scene.ec2.controls.interrupt(self.standby)
        scene.ec2.controls.interrupt(holder, notice_seconds=0)
        scene.run(10)
        scene.clock.time += timedelta(seconds=40)
        scene.ec2.happenings()
        scene.ec2.delete_volume(gone)
        scene.run(1800)

    def told(self, kind):
        return [event.message for event in self.scene.rows(agent_events) if event.kind == kind]


def test_the_volume_of_a_standby_that_was_in_sync_is_told_when_nothing_else_is_left():
    ended = Ended()
    assert ended.copy in living_volumes(ended.scene)
    assert any(ended.copy in message for message in ended.told("instance_ended"))


def test_a_standby_in_sync_is_not_ended_by_us_while_nobody_serves():
    ended = Ended()
    assert not any(ended.standby in message for message in ended.told("instance_ended_by_us"))


@pytest.mark.parametrize("level", [KillLevel.ALL, KillLevel.VOLUNTARY])
def test_what_an_old_instance_left_is_not_deleted_while_the_kill_switch_stands_at_all(scene, level):
    """These rows may be an older copy's, and the volume that of who served last."""
    agent = scene.protect(pool=A, terminate_wait_seconds=600)
    scene.run(60)
    old = scene.serving(agent)
    volume = scene.volume_at(old, "/dev/xvda")
    opened = scene.switch(agent, B, kind=MoveKind.SYNCED)
    scene.run(900, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))
    scene.run(60)
    scene.turn(level)
    scene.ec2.terminate_instance(old)  # by a person
    scene.run(3600)
    assert (volume in living_volumes(scene)) is (level is KillLevel.ALL)
    assert scene.breaches() == []
    scene.turn(KillLevel.NONE)
    scene.run(900, until=lambda: scene.move(opened.switch_id).status == "completed")
    scene.run(300)
    assert volume not in living_volumes(scene)
