"""Whoever waits for EC2 is excused while EC2 refuses, and not a minute longer than anybody else."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from spotguard.cloud.simulated.faults import lost_answer
from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson
from spotguard.planning.invariants import Breach
from spotguard.simulation.waiting import ForEc2
from spotguard.simulation.witness import Witness
from spotguard.store.tables import storage_resources
from tests.coordinator.scene import A, Scene


class Waiting:
    """A scene whose only volume is suspect, under the eyes of a witness."""

    def __init__(self):
        self.scene = scene = Scene(executor=Executor.SERVER)
        scene.protect(pool=A)
        scene.run(60)
        (self.volume, *_) = [row.id for row in scene.rows(storage_resources)]
        self.suspect(scene.now)
        self.witness = Witness()
        self.cloud = self.witness.reach(scene.ec2).server
        self.seat = SimpleNamespace(breaches=[])
        self.world = SimpleNamespace(seats=[self.seat], clock=scene.clock, db=scene.db)
        self.waiting = ForEc2(self.witness.refused)

    def suspect(self, since):
        it = storage_resources.c.id == self.volume
        self.scene.db.write(
            lambda tx: tx.execute(sa.update(storage_resources).where(it).values(suspect_since=since))
        )

    def refused(self, error):
        self.scene.ec2.faults.next("delete_volume", error)
        with pytest.raises(type(error)):
            self.cloud.delete_volume(self.volume)

    def found(self, invariant="no_orphan"):
        breach = Breach(invariant, f"{self.volume} belongs to nothing since 2026-01-05 00:00:00")
        self.seat.breaches.append(breach)
        return breach

    def after(self, **span):
        self.scene.clock.time += timedelta(**span)
        return self.waiting.complaints(self.world)


FORBIDDEN = NeedsPerson("UnauthorizedOperation")


@pytest.mark.parametrize("refusal", [FORBIDDEN, lost_answer()])
def test_what_ec2_has_just_refused_is_waited_for(refusal):
    story = Waiting()
    story.refused(refusal)
    breach = story.found()
    assert story.after(minutes=4) == []
    assert story.waiting.excused == {breach}


def test_without_another_refusal_it_has_to_be_gone_within_five_minutes():
    story = Waiting()
    story.refused(FORBIDDEN)
    story.found()
    assert story.after(minutes=4) == []
    story.refused(FORBIDDEN)
    assert story.after(minutes=4) == []
    (complaint,) = story.after(minutes=2)
    assert complaint == f"{story.volume} belongs to nothing, and EC2 would let go of it"
    assert story.after(minutes=2) == []


def test_what_is_referred_to_again_is_waited_for_no_more():
    story = Waiting()
    story.refused(FORBIDDEN)
    story.found()
    assert story.after(minutes=4) == []
    story.suspect(None)
    assert story.after(minutes=6) == []


def test_who_did_not_ask_is_not_excused():
    story = Waiting()
    story.found()
    assert story.after(minutes=1) == []
    assert story.waiting.excused == set()


def test_a_volume_in_use_was_not_refused():
    """Whoever uses it has to let go of it: that is for SpotGuard to see to."""
    story = Waiting()
    story.refused(NeedsPerson("VolumeInUse"))
    story.found()
    assert story.after(minutes=1) == []
    assert story.waiting.excused == set()


def test_no_other_promise_waits_for_ec2():
    story = Waiting()
    story.refused(FORBIDDEN)
    story.found("one_primary")
    assert story.after(minutes=1) == []
    assert story.waiting.excused == set()
