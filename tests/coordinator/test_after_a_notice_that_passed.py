"""An instance that AWS did not take serves on, and all that is done for who serves is done for it again."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.switches import Step
from spotguard.store import live_signals
from tests.coordinator.scene import A, B, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def outlive_a_notice(scene, agent, seconds=1800):
    """The holder that AWS does not take although it has said so, and that cannot move away meanwhile."""
    scene.dry_up()
    holder = scene.serving(agent)
    scene.ec2.controls.interrupt(holder)
    scene.run(100)
    scene.ec2.controls.withdraw_notice(holder)
    scene.run(seconds)
    scene.end_drought()
    return holder


def test_restore_points_are_made_of_it(scene):
    agent = scene.protect(pool=A, restore_point_hours=1, restore_drill_days=0, auto_switch_enabled=False)
    scene.run(1200, until=lambda: bool(scene.restore_points(agent)))
    old = outlive_a_notice(scene, agent, 3600)
    scene.run(600)
    assert scene.serving(agent) == old
    assert scene.is_open(agent)
    scene.run(3 * 3600)
    newest = max(p.made_at for p in scene.restore_points(agent))
    assert scene.now - newest < timedelta(hours=2), (scene.now, newest)


def test_the_move_to_it_is_verified_and_its_old_instance_ended(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=60)
    scene.run(60)
    opened = scene.switch(agent, B)
    scene.run(600, until=lambda: scene.move(opened.switch_id).status == "committed")
    new = scene.serving(agent)
    assert Step.VERIFIED not in scene.steps(opened.switch_id)
    assert outlive_a_notice(scene, agent) == new
    scene.run(3600)
    assert scene.serving(agent) == new
    assert scene.is_open(agent)
    assert scene.move(opened.switch_id).status == "completed", scene.steps(opened.switch_id)
    assert scene.running() == {new}


def test_a_manual_standby_is_made_for_it(scene):
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(60)
    old = outlive_a_notice(scene, agent)
    scene.run(600)
    assert scene.serving(agent) == old
    assert scene.is_open(agent)
    scene.config(agent, manual_replica_enabled=True)
    scene.run(3600)
    assert [r.status for r in scene.live_replicas(agent)] == ["ready"]


def test_a_standby_of_it_is_no_emergency(scene):
    """What it costs is bound by the caps again, and in automatic mode it is given up."""
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(60)
    scene.dry_up()
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(100)
    assert scene.db.read(lambda tx: live_signals.signalled(tx, scene.now, [old])) == {old}
    scene.ec2.controls.withdraw_notice(old)
    scene.run(1800)
    assert scene.db.read(lambda tx: live_signals.signalled(tx, scene.now, [old])) == set()
