"""An instance that AWS did not take serves on, and all that is done for who serves is done for it again."""

from datetime import timedelta
from itertools import product

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Step
from spotguard.store import live_signals, restore_points
from tests.coordinator.scene import A, B, C, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def dry(scene):
    for pool, mode in product((A, B, C), Mode):
        scene.ec2.controls.make_dry(pool, mode=mode)


def points(scene, agent):
    return [p for p in scene.db.read(lambda tx: restore_points.of_agent(tx, agent)) if p.complete]


def test_restore_points_are_made_of_it(scene):
    agent = scene.protect(pool=A, restore_point_hours=1, restore_drill_days=0, auto_switch_enabled=False)
    scene.run(1200, until=lambda: bool(points(scene, agent)))
    dry(scene)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(100)
    scene.ec2.controls.withdraw_notice(old)
    scene.run(3600)
    for pool in (A, B, C):
        scene.ec2.controls.end_dryness(pool)
    scene.run(600)
    assert scene.serving(agent) == old
    assert scene.is_open(agent)
    scene.run(3 * 3600)
    newest = max(p.made_at for p in points(scene, agent))
    assert scene.now - newest < timedelta(hours=2), (scene.now, newest)


def test_the_move_to_it_is_verified_and_its_old_instance_ended(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=60)
    scene.run(60)
    opened = scene.switch(agent, B)
    scene.run(600, until=lambda: scene.move(opened.switch_id).status == "committed")
    new = scene.serving(agent)
    assert Step.VERIFIED not in scene.steps(opened.switch_id)
    dry(scene)
    scene.ec2.controls.interrupt(new)
    scene.run(100)
    scene.ec2.controls.withdraw_notice(new)
    scene.run(1800)
    for pool in (A, B, C):
        scene.ec2.controls.end_dryness(pool)
    scene.run(3600)
    assert scene.serving(agent) == new
    assert scene.is_open(agent)
    assert scene.move(opened.switch_id).status == "completed", scene.steps(opened.switch_id)
    assert scene.running() == {new}


def test_a_manual_standby_is_made_for_it(scene):
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(60)
    dry(scene)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(100)
    scene.ec2.controls.withdraw_notice(old)
    scene.run(1800)
    for pool in (A, B, C):
        scene.ec2.controls.end_dryness(pool)
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
    dry(scene)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old)
    scene.run(100)
    assert scene.db.read(lambda tx: live_signals.signalled(tx, scene.now, [old])) == {old}
    scene.ec2.controls.withdraw_notice(old)
    scene.run(1800)
    assert scene.db.read(lambda tx: live_signals.signalled(tx, scene.now, [old])) == set()
