"""Restore points that may be needed stay, and what is launched for a drill ends with it, whoever ends that."""

from datetime import timedelta

import pytest

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.commands import CreatedBy
from spotguard.domain.ids import InstanceId
from spotguard.planning.switching import ROOT_DEVICES
from spotguard.store import restore_orders, restore_points
from spotguard.store.tables import drills as drill_rows
from spotguard.store.tables import intentions
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_probes_raced import Interrupted, one_that_sees


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def points(scene, agent):
    return [p for p in scene.db.read(lambda tx: restore_points.of_agent(tx, agent)) if p.complete]


def with_point(scene, **more):
    agent = scene.protect(pool=A, restore_point_hours=1, restore_drill_days=0, **more)
    scene.run(1200, until=lambda: bool(points(scene, agent)))
    return agent


def order(scene, agent):
    return scene.db.write(
        lambda tx: restore_orders.order_restore(tx, scene.now, scene.client_id, agent, CreatedBy.USER)
    )


def clones(scene):
    return [m for m in scene.ec2.world.machines.values() if m.tags.get("spotguard:purpose") == "drill"]


class WhileWaiting(Interrupted):
    def __init__(self, scene, method, happens):
        super().__init__(scene.ec2, method, happens)
        self._scene = scene

    def is_time(self):
        return bool(self._scene.rows(drill_rows))


@pytest.mark.parametrize("answer_lost", [False, True])
def test_a_clone_is_not_launched_for_a_drill_that_another_coordinator_has_ended(scene, answer_lost):
    agent = with_point(scene)
    other = scene.new_coordinator("two")
    other.run_pass()

    def called_off():
        scene.turn(KillLevel.VOLUNTARY)
        for _ in range(4):
            scene.clock.time += timedelta(seconds=2)
            other.run_pass()
        assert [r.status for r in scene.rows(drill_rows)] == ["failed"]
        scene.turn(KillLevel.NONE)

    slow = one_that_sees(scene, WhileWaiting(scene, "describe_shape", called_off))
    slow.run_pass()
    order(scene, agent)
    if answer_lost:
        scene.ec2.faults.next("run_instance", lost_answer(), after_effect=True)
        scene.ec2.controls.hide_new((30, 30))  # EC2 is eventually consistent
    scene.clock.time += timedelta(seconds=10)
    slow.run_pass()
    scene.run(2400)
    assert [m.instance_id for m in clones(scene) if m.is_live] == [], "40 minutes later it is still billed"
    assert [i for i in scene.rows(intentions) if i.status == "open"] == []
    assert clones(scene) == [], "it was launched after its drill was over"


def state_volume(scene, machine):
    (view,) = scene.ec2.describe_instances([InstanceId(machine)])
    return next(v for v in view.volumes if v.device not in ROOT_DEVICES)


def test_a_restore_point_without_the_state_replaces_none_that_has_it(scene):
    """Its user takes the volume off for an hour; the images of that time lack it."""
    agent = with_point(scene, restore_points_kept=1)
    (good,) = points(scene, agent)
    held = scene.serving(agent)
    volume = state_volume(scene, held)
    scene.ec2.detach_volume(volume.volume_id, held)
    # who attaches it again is refused, as after a resize that hangs
    scene.ec2.faults.sometimes("attach_volume", 1.0)
    scene.run(3 * 3600)
    assert good.image_id in {p.image_id for p in points(scene, agent)}


def test_under_the_kill_switch_at_all_no_restore_point_is_made_or_deleted(scene):
    agent = with_point(scene, restore_points_kept=1)
    (good,) = points(scene, agent)
    scene.turn(KillLevel.ALL)
    scene.run(3 * 3600)
    left = {p.image_id for p in points(scene, agent)}
    assert left == {good.image_id}


def test_the_image_of_a_drill_that_waits_is_not_pruned(scene):
    agent = with_point(scene, restore_points_kept=1)
    (good,) = points(scene, agent)
    scene.run(3500 - (scene.now - good.made_at).total_seconds())
    scene.ec2.faults.sometimes("run_instance", 1.0)
    order(scene, agent)
    scene.run(900)
    scene.ec2.faults.clear()
    scene.run(3600)
    (drill,) = scene.rows(drill_rows)
    assert "InvalidAMIID" not in (drill.because or "")
    assert drill.status == "passed" or good.image_id in {p.image_id for p in points(scene, agent)}
