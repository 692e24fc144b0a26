"""A ticket that its holder had before its state came to go by commands: it could be handed to nobody any more."""

import pytest

from spotguard.store.tables import handover_tickets, replica_instances
from tests.agent.test_tickets_by_commands import (
    ByCommands,
    StageByCommands,
    guarded,
    somebody_serves_when_a_planned_move_loses_its_server,
)


class Later(ByCommands):
    """Notes went with the state at first."""

    def __init__(self, stage, *args):
        super().__init__(*args)
        self._stage = stage

    def delivers_notes(self):
        return not self._stage.goes_by_commands


class Stage(StageByCommands):
    goes_by_commands = False

    def sync_of(self, instance_id):
        return Later(self, self.ec2, self.clock, self.register, self.fabric, instance_id)


@pytest.fixture
def upgraded():
    stage = Stage()
    old = guarded(stage)
    assert old.primacy.ticket is not None
    stage.goes_by_commands = True
    stage.run(600)
    (replica,) = stage.db.read(lambda tx: tx.execute(replica_instances.select()).all())
    return stage, old, replica


def test_it_is_given_up(upgraded):
    stage, old, _ = upgraded
    tickets = stage.db.read(lambda tx: tx.execute(handover_tickets.select()).all())
    assert [row.status for row in tickets] == ["destroyed"]
    assert old.primacy.ticket is None


def test_a_planned_move_whose_server_goes_away_leaves_somebody_to_serve(upgraded):
    somebody_serves_when_a_planned_move_loses_its_server(*upgraded)


def test_once_it_was_asked_back_no_other_one_is_issued(upgraded):
    """Disabled and enabled again by its user."""
    stage, old, _ = upgraded
    stage.set(enabled=False)
    stage.run(120, lambda: old.primacy.ticket is None)
    stage.set(enabled=True)
    stage.run(300)
    tickets = stage.db.read(lambda tx: tx.execute(handover_tickets.select()).all())
    assert [row.status for row in tickets] == ["destroyed"]
    assert old.primacy.ticket is None
