"""What a person looks into beside the state stays where he has attached it, whatever is moved (docs/drills.md)."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.salvages import PURPOSE, SALVAGE_DEVICE
from spotguard.domain.switches import MoveKind
from spotguard.domain.tags import PURPOSE_TAG
from tests.coordinator.scene import A, Scene
from tests.coordinator.strays import stray_volume


class Mounted:
    """EC2 does not take away what is mounted: it stays `busy` (user guide, "Detach an Amazon EBS volume")."""

    def __init__(self, inner, volumes):
        self._inner, self._volumes = inner, volumes

    def detach_volume(self, volume_id, holder=None):
        if volume_id not in self._volumes:
            self._inner.detach_volume(volume_id, holder)

    def __getattr__(self, name):
        return getattr(self._inner, name)


def a_copy(scene, _agent):
    return scene.ec2.create_volume(ClientToken("copy"), A.az, 20, {PURPOSE_TAG: PURPOSE})


def a_dead_ones(scene, agent):
    """Which had another device while it served."""
    made = stray_volume(scene, agent)
    scene.run(60)
    return made


@pytest.mark.parametrize("what", [a_copy, a_dead_ones])
def test_a_volume_move_leaves_it_and_nobody_waits_for_it(what):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=3600, auto_switch_enabled=False)
    scene.run(60)
    old = scene.serving(agent)
    state, shown = scene.volume_at(old), what(scene, agent)
    scene.run(30)
    scene.ec2.attach_volume(shown, old, SALVAGE_DEVICE)
    scene.run(120)
    scene.ec2 = Mounted(scene.ec2, {shown})
    scene.switch(agent, None, mode=Mode.ONDEMAND, kind=MoveKind.VOLUME)
    down = 0
    while scene.serving(agent) == old or not scene.is_open(agent):
        scene.run(5)
        down += 0 if scene.is_open(agent) else 5
        assert down <= 60
    assert scene.holder_of(state) == scene.serving(agent)
    assert scene.holder_of(shown) == old
