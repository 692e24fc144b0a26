"""EC2 hides a volume that is there for a minute or two: it has not been deleted (eventual consistency)."""

from datetime import timedelta

import pytest

from spotguard.coordinator.coordinator import Coordinator, CoordinatorSettings
from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind
from spotguard.store.tables import storage_resources
from tests.coordinator.scene import A, Scene


class Hiding:
    """EC2, which does not show these volumes until then."""

    def __init__(self, scene):
        self._scene, self._ec2, self._until, self._hidden = scene, scene.ec2, scene.now, None

    def hide(self, volume, seconds):
        self._until, self._hidden = self._scene.now + timedelta(seconds=seconds), volume

    def describe_volumes(self, *given, **named):
        shown = self._ec2.describe_volumes(*given, **named)
        hides = self._scene.now < self._until
        return tuple(view for view in shown if not (hides and view.volume_id == self._hidden))

    def __getattr__(self, name):
        return getattr(self._ec2, name)


@pytest.fixture
def scene():
    scene = Scene(executor=Executor.SERVER)
    scene.cloud = Hiding(scene)
    settings = CoordinatorSettings(installation="story", name="hiding")
    scene.coordinator = Coordinator(
        scene.db, lambda _client: scene.cloud, scene.clock, settings, scene.wakeup
    )
    return scene


@pytest.mark.parametrize("seconds", [30, 60, 120])
def test_a_holder_that_dies_meanwhile_is_recovered_from_it_and_not_from_an_older_image(scene, seconds):
    agent = scene.protect(pool=A, terminate_wait_seconds=0, restore_point_hours=1)
    done = storage_resources.c.kind == "image", storage_resources.c.state == "done"
    scene.run(1800, until=lambda: scene.rows(storage_resources, *done))
    scene.run(120)
    old = scene.serving(agent)
    state = scene.volume_at(old)
    scene.cloud.hide(state, seconds)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(3600, until=scene.serves_elsewhere(agent, old))
    assert scene.holder_of(state) == scene.serving(agent)


@pytest.mark.parametrize("seconds", [25, 120])
def test_a_move_that_is_taken_back_meanwhile_brings_it_back(scene, seconds):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(120)
    old = scene.serving(agent)
    state = scene.volume_at(old)
    opened = scene.switch(agent, A, mode=Mode.ONDEMAND, kind=MoveKind.VOLUME)
    scene.run(1800, until=lambda: scene.holder_of(state) != old)
    scene.ec2.controls.fail_instance(InstanceId(scene.move(opened.switch_id).new_instance_id))
    scene.cloud.hide(state, seconds)
    scene.run(1800, until=lambda: scene.move(opened.switch_id).status == "unwound")
    assert scene.holder_of(state) == old
