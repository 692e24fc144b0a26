"""A new holder whose line is cut before it hears of its epoch is waited for while it is cut, and not longer."""

from datetime import timedelta

import pytest

from spotguard.agent.desk import OK
from spotguard.domain.ids import InstanceId
from spotguard.domain.switches import Step
from spotguard.planning.invariants import nothing_waits_for_ever
from spotguard.simulation import campaign, crowd, lookups
from spotguard.store.steps import recorded_steps

pytestmark = pytest.mark.long

NAME = "web-1"


class Story:
    """A forced move whose new instance is cut off, in one direction, once it has spoken with its own token."""

    def __init__(self):
        self.made = campaign._Campaign(3, 3.0, ())
        self.world = self.made.world
        crowd.configure(self.world, NAME, {"autoSwitchEnabled": False, "manualReplicaEnabled": False})
        self.lives(minutes=2)
        serving = lookups.agent(self.world, NAME).instance_id
        panel = self.world.call("GET", f"/api/client/instances/{serving}/pricing").body
        wish = {"target": "pool", "pool_id": panel["pools"][0]["id"], "kind": "synced"}
        said = self.world.call("POST", f"/api/client/instances/{serving}/force-switch", wish)
        assert said.status in OK, said
        self.until(Step.ENROLLED, every_seconds=1)
        assert Step.GRANTED not in self.steps
        self.new = InstanceId(self.move.new_instance_id)
        self.trouble = self.world.trouble_of(self.new)
        self.trouble.line.answer_lost = 1.0
        self.until(Step.GRANTED, every_seconds=10)

    @property
    def move(self):
        return lookups.moves(self.world, lookups.agent(self.world, NAME).id)[-1]

    @property
    def steps(self):
        move = self.move.id
        return self.world.db.read(lambda tx: recorded_steps(tx, move))

    @property
    def late(self):
        """What the coordinators have said of it."""
        return [
            breach
            for seat in self.world.seats
            for breach in seat.breaches
            if breach.invariant == nothing_waits_for_ever.__name__ and Step.OPENED in breach.what
        ]

    def until(self, step, every_seconds):
        for _ in range(600):
            if step in self.steps:
                return
            self.lives(seconds=every_seconds)
        raise AssertionError(f"{step} never came: {self.steps}")

    def cannot_write(self):
        """Its disk is full, and so is the room that was kept for that day."""
        self.trouble.disk_full, self.trouble.reserve_pieces = True, 0

    def lives(self, **span):
        self.made._until(self.world.clock.now() + timedelta(**span) - self.world.started_at)


@pytest.fixture
def story():
    made = Story()
    yield made
    made.world.close()


def test_it_is_late_and_excused_while_its_line_is_cut_and_opens_when_it_is_whole(story):
    story.lives(minutes=25)
    assert story.late, "people are told"
    assert set(story.late) <= story.made.for_a_line.excused
    assert story.made.violations == []
    story.trouble.line.answer_lost = 0.0
    story.lives(minutes=3)
    assert Step.OPENED in story.steps
    assert story.world.registers[NAME].serving() == [story.new]
    assert story.made.violations == []


def test_one_that_does_not_open_although_its_line_is_whole_is_found_two_minutes_later(story):
    story.lives(minutes=25)
    story.cannot_write()  # down what it is told
    story.trouble.line.answer_lost = 0.0
    story.lives(minutes=1)
    assert story.made.violations == []
    story.lives(minutes=2)
    (violation,) = story.made.violations
    assert violation.endswith("the line of its new holder is whole, and it does not open")


def test_one_whose_line_was_never_cut_is_excused_by_nothing(story):
    story.cannot_write()
    story.trouble.line.answer_lost = 0.0
    story.lives(minutes=20)
    assert story.late
    assert story.made.for_a_line.excused == set()
