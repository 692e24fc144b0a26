"""Two coordinators look at the same instances: held up, with clocks apart, and never without a proof of their own."""

from datetime import timedelta

import pytest

from spotguard.cloud.simulated.ec2 import SimulatedEc2
from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.ports.cloud import Cloud
from spotguard.store import sightings
from spotguard.store.tables import instances
from tests.coordinator.scene import A, Scene

PASS = timedelta(seconds=10)


class Blind:
    """EC2 that shows everything but one instance."""

    def __init__(self, ec2: SimulatedEc2) -> None:
        self._ec2, self.hidden = ec2, None

    def describe_instances(self, *asked, **more):
        return tuple(v for v in self._ec2.describe_instances(*asked, **more) if v.instance_id != self.hidden)

    def __getattr__(self, name):
        return getattr(self._ec2, name)


class Ahead:
    """A machine whose clock is wrong."""

    def __init__(self, clock, by: timedelta) -> None:
        self._clock, self._by = clock, by

    def now(self):
        return self._clock.now() + self._by


@pytest.fixture
def scene():
    """A primary that is two hours old and serves."""
    scene = Scene(executor=Executor.SERVER)
    scene.agent_id = scene.protect(pool=A, mode=Mode.ONDEMAND)
    scene.config(scene.agent_id, autonomy="observe")
    scene.run(60)
    scene.clock.time += timedelta(hours=2)
    scene.live()
    scene.run(30)
    scene.cloud = Blind(scene.ec2)
    scene.primary = scene.serving(scene.agent_id)
    return scene


def coordinator(scene: Scene, by: timedelta = timedelta(0), cloud: Cloud | None = None):
    made = scene.new_coordinator()
    made.ctx.clock, made.ctx.clouds = Ahead(scene.clock, by), lambda _client: cloud or scene.cloud
    return made


def state(scene):
    return scene.row(instances, instances.c.id == scene.primary).ec2_state


def passes(scene, many, *of, heard=False):
    for _ in range(many):
        scene.clock.time += PASS
        if heard:
            scene.live()
        for one in of:
            one.run_pass()


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(minutes=6)])
def test_one_that_ec2_does_not_show_for_a_few_minutes_lives_whatever_the_clocks_say(scene, ahead):
    one, other = coordinator(scene), coordinator(scene, ahead)
    scene.cloud.hidden = scene.primary
    passes(scene, 25, one, other)
    assert state(scene) == "running"
    passes(scene, 10, one, other)
    assert state(scene) == "terminated"


def test_one_that_is_heard_has_not_vanished(scene):
    one, other = coordinator(scene), coordinator(scene)
    scene.cloud.hidden = scene.primary
    passes(scene, 60, one, other, heard=True)
    assert state(scene) == "running"
    passes(scene, 35, one, other)
    assert state(scene) == "terminated", "it has said nothing since"


def test_one_that_another_coordinator_has_just_seen_has_not_vanished(scene):
    scene.cloud.hidden = scene.primary
    passes(scene, 20, coordinator(scene))
    read = next(row for row in scene.db.read(sightings.active) if row.id == scene.primary)
    passes(scene, 1, coordinator(scene, cloud=scene.ec2))
    assert not scene.db.write(lambda tx: sightings.vanished(tx, scene.now, read))
    assert state(scene) == "running"


def test_an_end_that_an_older_look_wrote_over_is_written_again(scene):
    """By a coordinator that was held up between the two, and that nobody has heard of since."""
    one, client_id = coordinator(scene), scene.client_id
    older = scene.ec2.describe_instances([scene.primary])
    scene.ec2.controls.fail_instance(scene.primary)
    passes(scene, 12, one)
    assert state(scene) == "terminated"
    scene.db.write(lambda tx: sightings.saw(tx, scene.now, client_id, older))
    assert state(scene) == "running"
    passes(scene, 1, one)
    assert state(scene) == "terminated"
