"""A death that another coordinator writes down between our look at the rows and our act: nothing rests on old rows."""

from datetime import timedelta

import pytest

from spotguard.coordinator.agenda import Agenda, Work
from spotguard.coordinator.emergencies import Emergencies
from spotguard.domain.agents import Executor
from spotguard.domain.errors import Throttled
from spotguard.domain.switches import MoveKind
from spotguard.store import grants, moves, sightings
from tests.coordinator.scene import A, Scene


class Meanwhile:
    """A database of which somebody else is first at the next write."""

    def __init__(self, db, happens) -> None:
        self._db, self._happens = db, happens

    def write(self, work):
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()
        return self._db.write(work)

    def __getattr__(self, name):
        return getattr(self._db, name)


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def let_go(scene, agent):
    held = scene.db.read(lambda tx: grants.holder(tx, agent))
    scene.db.write(lambda tx: grants.release(tx, scene.now, agent, held.epoch, held.instance_id, scene.now))
    return held.instance_id


def test_a_recovery_waits_for_a_look_at_what_is_left_of_one_that_dies_in_that_moment(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(300)
    old = let_go(scene, agent)
    scene.ec2.controls.fail_instance(old)
    scene.clock.time += timedelta(minutes=2)
    scene.ec2.faults.next("describe_volumes", Throttled("RequestLimitExceeded", "describe_volumes"))

    def another_coordinator_sees_its_death():
        shown = scene.ec2.describe_instances([old])
        scene.db.write(lambda tx: sightings.saw(tx, scene.now, scene.client_id, shown))

    ctx = scene.new_coordinator("two").ctx
    ctx.db = Meanwhile(scene.db, another_coordinator_sees_its_death)

    def look():
        Emergencies(ctx).run(scene.now, Agenda({Work.ENDED: [agent]}))
        return scene.db.read(lambda tx: moves.preparing_of(tx, agent))

    assert look() is None, "it had not ended when we looked: nobody has asked EC2 yet"
    assert look() is None, "EC2 does not tell"
    assert look().kind == MoveKind.VOLUME
