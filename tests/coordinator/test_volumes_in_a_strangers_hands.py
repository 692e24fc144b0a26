"""A person takes the volume of a move to a machine of his own: nothing takes it from there, and he hears what waits."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.coordinator.bring_back import repair
from spotguard.domain.agents import Executor
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind
from spotguard.ports.cloud import LaunchRequest, VolumeState
from spotguard.store.tables import agent_events, storage_resources
from tests.coordinator.scene import A, Scene


class Detachments:
    """The simulated EC2, and what it was asked to take from whom."""

    def __init__(self, inner):
        self._inner, self.asked = inner, []

    def detach_volume(self, volume_id, holder=None):
        self.asked.append((volume_id, holder))
        self._inner.detach_volume(volume_id, holder)

    def __getattr__(self, name):
        return getattr(self._inner, name)


class Story:
    """A workload that is served, and a machine of which SpotGuard knows nothing."""

    def __init__(self):
        self.scene = scene = Scene(executor=Executor.SERVER)
        self.agent = scene.protect(pool=A, terminate_wait_seconds=3600, auto_switch_enabled=False)
        token, his = ClientToken("own"), {"Name": "his own"}
        request = LaunchRequest(token=token, pool=A, mode=Mode.ONDEMAND, image_id=scene.image, tags=his)
        self.own = scene.ec2.run_instance(request).instance_id
        scene.mute.add(self.own)
        scene.run(120)
        self.old = scene.serving(self.agent)
        self.volume = scene.volume_at(self.old)

    @property
    def told(self):
        kind = agent_events.c.kind == "needs_person"
        return [event.message for event in self.scene.rows(agent_events, kind)]

    def takes_it_away(self):
        """From whoever has it, before anybody looks again."""
        scene = self.scene
        if scene.holder_of(self.volume) is not None:
            scene.ec2.detach_volume(self.volume)
        while scene.ec2.describe_volumes([self.volume])[0].state is not VolumeState.AVAILABLE:
            scene.clock.time += timedelta(seconds=2)
        scene.ec2.attach_volume(self.volume, self.own, "/dev/sdh")
        scene.ec2 = Detachments(scene.ec2)

    def gives_it_back(self):
        self.scene.ec2.detach_volume(self.volume, self.own)


@pytest.fixture
def story():
    return Story()


def test_a_move_that_is_given_up_leaves_it_there_and_goes_on_when_he_gives_it_back(story):
    scene = story.scene
    opened = scene.switch(story.agent, None, mode=Mode.ONDEMAND, kind=MoveKind.VOLUME)
    scene.run(900, until=lambda: scene.holder_of(story.volume) not in (story.old, story.own))
    story.takes_it_away()
    scene.run(1800)
    assert scene.move(opened.switch_id).unwinding_since is not None
    assert (story.volume, story.own) not in scene.ec2.asked
    (told,) = story.told
    assert told.startswith(
        f"{story.volume} of {story.old} is attached to {story.own}, which is no machine of"
    )
    story.gives_it_back()
    scene.run(300, until=lambda: scene.is_open(story.agent))
    assert scene.holder_of(story.volume) == scene.serving(story.agent) == story.old
    assert scene.move(opened.switch_id).status == "unwound"


def test_nor_is_it_taken_from_him_while_nothing_moves(story):
    """The rows still say that nobody has it when the look at EC2 shows him."""
    scene = story.scene
    story.takes_it_away()
    freed = (
        sa.update(storage_resources).where(storage_resources.c.id == story.volume).values(attached_to=None)
    )
    scene.db.write(lambda tx: tx.execute(freed))
    repair(scene.coordinator.ctx, scene.now, story.agent)
    assert scene.ec2.asked == []
    assert [message.split(",")[0] for message in story.told] == [
        f"{story.volume} of {story.old} is attached to {story.own}"
    ]
