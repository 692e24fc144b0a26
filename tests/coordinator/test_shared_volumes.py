"""A volume that several machines may have at once (Multi-Attach) fences nobody, and is its holder's all the same."""

from dataclasses import replace

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind
from spotguard.ports.cloud import Attachment, VolumeState
from spotguard.store import storage
from spotguard.store.tables import agent_events, storage_resources
from tests.coordinator.scene import A, Scene

OTHER = Attachment(InstanceId("i-00000000000000000"), "/dev/sdh")  # EC2 shows it as the first of them


class Shared:
    """The simulated EC2, in which a machine of its owner's has one volume too, as long as `others` names it."""

    def __init__(self, inner, volume):
        self._inner, self._volume, self.others = inner, volume, (OTHER,)

    def describe_volumes(self, *args, **named):
        found = self._inner.describe_volumes(*args, **named)
        return tuple(self._shared(one) if one.volume_id == self._volume else one for one in found)

    def _shared(self, view):
        own = () if view.attached_to is None else (Attachment(view.attached_to, view.device),)
        all_of_them = (*self.others, *own)
        if not all_of_them:
            return replace(view, shared_by=())
        first = all_of_them[0]
        shown = replace(view, attached_to=first.instance_id, device=first.device, shared_by=all_of_them)
        return replace(shown, state=VolumeState.IN_USE)

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def serves_on_a_shared_volume(scene, **config):
    agent = scene.protect(pool=A, auto_switch_enabled=False, **config)
    scene.run(1800)
    volume = scene.volume_at(scene.serving(agent))
    scene.ec2 = Shared(scene.ec2, volume)
    scene.run(600)
    return agent, volume


def row_of(scene, volume):
    return scene.row(storage_resources, storage_resources.c.id == volume)


def test_it_is_its_holders_whoever_has_it_too(scene):
    agent, volume = serves_on_a_shared_volume(scene)
    row = row_of(scene, volume)
    assert (row.attached_to, row.device, row.moved_from) == (scene.serving(agent), "/dev/sdf", None)


def test_no_volume_move_carries_it_and_its_workload_is_open_again_at_once(scene):
    agent, _ = serves_on_a_shared_volume(scene)
    old = scene.serving(agent)
    opened = scene.switch(agent, None, mode=Mode.ONDEMAND, kind=MoveKind.VOLUME)
    scene.run(900, until=lambda: scene.move(opened.switch_id).status == "unwound")
    scene.run(30)
    assert "Multi-Attach" in scene.move(opened.switch_id).ended_because
    assert scene.serving(agent) == old
    assert scene.is_open(agent)


def test_that_another_has_it_is_no_proof_that_its_holder_has_ended(scene):
    agent, volume = serves_on_a_shared_volume(scene)
    scene.ec2.others = ()
    scene.ec2.detach_volume(volume)
    scene.run(10)
    scene.ec2.others = (OTHER,)
    scene.run(600)
    holder = scene.serving(agent)
    assert scene.db.read(lambda tx: storage.moved_away_from(tx, holder)) is None


def test_after_a_death_no_older_image_serves_and_people_hear_what_is_waited_for(scene):
    """Whoever else has it keeps it from the next one; every write is on it."""
    agent, volume = serves_on_a_shared_volume(scene, restore_point_hours=1, restore_drill_days=0)
    old = scene.serving(agent)
    scene.ec2.controls.fail_instance(old)
    scene.run(1800)
    assert scene.last_move(agent).kind == MoveKind.VOLUME
    late = [event.message for event in scene.rows(agent_events, agent_events.c.kind == "step_late")]
    assert any("volumes_moved" in message for message in late)
    scene.ec2.others = ()
    scene.run(600, until=scene.serves_elsewhere(agent, old))
    scene.run(300)
    assert row_of(scene, volume).attached_to == scene.serving(agent)
