"""A volume move by the server that comes to nothing: the volumes come back, whoever was held up or died meanwhile."""

from datetime import timedelta

import pytest

from spotguard.coordinator.agenda import look
from spotguard.coordinator.coordinator import Coordinator
from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.ports.cloud import VolumeState
from spotguard.simulation.audit import orphans_of
from spotguard.simulation.world import coordinator_name
from tests.stories.scene import Scene

FIVE_MINUTES, TEN_SECONDS = timedelta(minutes=5), timedelta(seconds=10)


@pytest.fixture
def scene():
    stage = Scene(executor=Executor.SERVER, troubled=True)
    stage.configure(autoSwitchEnabled=False)
    yield stage
    stage.close()


def volume_of(scene):
    (volume,) = scene.state_volumes(scene.agent().instance_id)
    return volume


def attached_to(scene, volume):
    (view,) = scene.world.ec2.describe_volumes([volume])
    return view.attached_to


def is_free(scene, volume, _old):
    return scene.world.ec2.describe_volumes([volume])[0].state is VolumeState.AVAILABLE


def has_moved(scene, volume, old):
    return attached_to(scene, volume) not in (None, old)


def target(scene):
    return InstanceId(scene.switches()[-1].new_instance_id)


def dies(scene):
    scene.world.ec2.controls.fail_instance(target(scene))


def is_noticed(scene):
    scene.world.ec2.controls.interrupt(target(scene))


@pytest.mark.parametrize("when", [is_free, has_moved])
@pytest.mark.parametrize("what", [dies, is_noticed])
def test_a_target_that_dies_after_the_detach(scene, when, what):
    old, volume = scene.agent().instance_id, volume_of(scene)
    scene.order_move(in_its_zone=True)
    scene.until(lambda: scene.has_recorded(Step.GATE_CLOSED), minutes=20)
    scene.until(lambda: when(scene, volume, old), minutes=5)
    what(scene)
    scene.until(scene.world.registers["web-1"].serving, minutes=15)
    scene.assert_no_record_lost_or_doubled()
    scene.wait(minutes=30)
    assert attached_to(scene, volume) == scene.agent().instance_id
    assert orphans_of(scene.world) == []
    scene.assert_no_record_lost_or_doubled()


def test_the_coordinator_dies_while_it_brings_the_volume_back(scene):
    old, volume = scene.agent().instance_id, volume_of(scene)
    scene.order_move(in_its_zone=True)
    scene.until(lambda: has_moved(scene, volume, old), minutes=20)
    dies(scene)
    scene.until(lambda: scene.switches()[-1].unwinding_since is not None, minutes=5)
    assert scene.switches()[-1].status == "preparing", "no other move begins before the volume is back"
    trouble = scene.world.trouble_of(coordinator_name(0))
    trouble.frozen_until = scene.world.clock.now()
    scene.world.seats[0].coordinator = another(scene, scene.world.ec2)
    scene.until(lambda: scene.switches()[-1].status == "unwound", minutes=10)
    assert attached_to(scene, volume) == old
    scene.until(scene.world.registers["web-1"].serving, minutes=5)
    scene.assert_no_record_lost_or_doubled()


def another(scene, cloud):
    world = scene.world
    return Coordinator(
        world.db, lambda _client: cloud, world.clock, world.coordinator.ctx.settings, world.wakeups
    )


class HeldUp:
    """A line to EC2 on which one call takes minutes: on its way there, or on its way back."""

    def __init__(self, ec2, call, meanwhile):
        self._ec2 = ec2
        self._call = call
        self._meanwhile = [meanwhile]

    def __getattr__(self, name):
        real = getattr(self._ec2, name)
        return real if name != self._call else lambda *given, **named: self._slow(real, given, named)

    def _slow(self, real, given, named):
        late = self._meanwhile and not self._call.startswith("describe")
        answer = None if late else real(*given, **named)
        while self._meanwhile:
            self._meanwhile.pop()()
        return real(*given, **named) if late else answer


@pytest.fixture
def held_up(scene):
    """The move whose volume is to leave; another coordinator is held up in the named call while it is given up."""
    old = scene.agent().instance_id

    def meanwhile():
        dies(scene)
        scene.wait(minutes=5)
        assert scene.world.registers["web-1"].serving() == [old]

    def story(call):
        late = another(scene, HeldUp(scene.world.ec2, call, meanwhile))
        scene.order_move(in_its_zone=True)
        scene.until(lambda: scene.has_recorded(Step.ENROLLED), minutes=20)
        frozen = scene.world.trouble_of(coordinator_name(0))
        frozen.frozen_until = scene.world.clock.now() + FIVE_MINUTES
        scene.until(lambda: scene.has_recorded(Step.GATE_CLOSED), minutes=5)
        frozen.frozen_until = scene.world.clock.now() + TEN_SECONDS
        late.moves.run(scene.world.clock.now(), agenda_of(scene))

    return story


def agenda_of(scene):
    return scene.world.db.read(lambda tx: look(tx, scene.world.clock.now()))


def test_a_detachment_that_arrives_when_the_old_one_serves_again(scene, held_up):
    """The volume is given back at once, and people hear of it."""
    old, volume = scene.agent().instance_id, volume_of(scene)
    held_up("detach_volume")
    scene.wait(minutes=5)
    assert attached_to(scene, volume) == old
    assert scene.world.registers["web-1"].serving() == [old]
    assert [event.detail["volume_id"] for event in scene.events("volume_adrift")] == [volume]


def test_who_was_held_up_since_its_look_asks_before_it_acts(scene, held_up):
    old, volume = scene.agent().instance_id, volume_of(scene)
    held_up("describe_volumes")
    assert attached_to(scene, volume) == old
    scene.wait(minutes=5)
    assert scene.events("volume_adrift") == []
    scene.assert_no_record_lost_or_doubled()
