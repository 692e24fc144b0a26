"""The state lies on a volume that no look has seen attached: it is found before anything older is taken."""

from datetime import timedelta

import pytest

from spotguard.domain.errors import Throttled
from spotguard.domain.ids import InstanceId
from spotguard.simulation.world import coordinator_name
from tests.stories.scene import Scene


@pytest.fixture
def dark():
    """The coordinator can be stopped."""
    scene = Scene(troubled=True)
    scene.configure(autoSwitchEnabled=False)
    yield scene
    scene.close()


def coordinator_stops(scene: Scene, **span: float) -> None:
    trouble = scene.world.trouble_of(coordinator_name(0))
    trouble.frozen_until = scene.world.clock.now() + timedelta(**span)


def dies(scene: Scene, notice_seconds: int = 0) -> None:
    scene.world.ec2.controls.interrupt(InstanceId(scene.agent().instance_id), notice_seconds=notice_seconds)


def assert_serves_from(scene: Scene, volumes: list) -> None:
    scene.assert_no_record_lost_or_doubled()
    serving = scene.agent().instance_id
    shown = scene.world.ec2.describe_volumes(volumes)
    assert [(v.volume_id, v.attached_to) for v in shown] == [(v, serving) for v in volumes]
    assert scene.switches()[-1].lost_seconds == 0


@pytest.mark.parametrize("notice_seconds", [0, 120])
@pytest.mark.parametrize("in_its_zone", [False, True], ids=["synced", "volume"])
def test_a_move_and_a_death_while_the_coordinator_is_away(dark, in_its_zone, notice_seconds):
    coordinator_stops(dark, minutes=60)
    dark.order_move(in_its_zone=in_its_zone)
    dark.until(lambda: dark.agent().epoch == 2, minutes=20)
    dark.wait(minutes=25)
    volumes = dark.state_volumes(dark.agent().instance_id)
    dies(dark, notice_seconds)
    dark.wait(minutes=60)
    assert_serves_from(dark, volumes)
    dark.wait(hours=2)
    assert_serves_from(dark, volumes)


@pytest.mark.parametrize(
    "call", ["describe_snapshots", "describe_images", "describe_volumes", "storage_rates"]
)
def test_one_kind_of_look_is_refused_while_the_holder_moves_and_dies(scene, call):
    scene.configure(autoSwitchEnabled=False)
    scene.world.ec2.faults.sometimes(call, 1.0, lambda: Throttled("RequestLimitExceeded", call))
    scene.order_move(in_its_zone=False)
    scene.until(lambda: scene.agent().epoch == 2, minutes=20)
    scene.wait(minutes=40)
    volumes = scene.state_volumes(scene.agent().instance_id)
    dies(scene)
    scene.wait(minutes=3)
    scene.world.ec2.faults.clear()
    scene.wait(minutes=30)
    assert_serves_from(scene, volumes)
    scene.wait(hours=3)
    assert_serves_from(scene, volumes)
