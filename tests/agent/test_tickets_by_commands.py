"""A state that is synced by the user's own commands: no note can go with it, so that a ticket is of no use."""

import pytest

from spotguard.host.command_sync import CommandSync, SyncCommands
from spotguard.simulation.machine import SimulatedSync
from spotguard.store.tables import replica_instances
from tests.agent.test_with_the_server import ServedStage


class ByCommands(SimulatedSync):
    """The state goes as in the simulation; a note goes as `CommandSync`, which production uses then, has it."""

    def __init__(self, *args):
        super().__init__(*args)
        self._real = CommandSync(SyncCommands(["true"], ["true"], ["true"], ["true"]), 5)

    def can_sync(self):
        return self._real.can_sync()

    def delivers_notes(self):
        return self._real.delivers_notes()

    def deliver(self, target, name, content):
        self._real.deliver(target, name, content)

    def delivered(self, name):
        return self._real.delivered(name)


class StageByCommands(ServedStage):
    def sync_of(self, instance_id):
        return ByCommands(self.ec2, self.clock, self.register, self.fabric, instance_id)


def is_ready(stage):
    rows = stage.db.read(lambda tx: tx.execute(replica_instances.select()).all())
    return [row.status for row in rows] == ["ready"]


def guarded(stage):
    """Its primary, once a standby is ready and a ticket would have come."""
    old = stage.primary()
    stage.set(auto_switch_enabled=False, manual_replica_enabled=True, replica_enabled=True)
    stage.run(900, lambda: is_ready(stage))
    stage.run(60)
    return old


def protected(kind):
    stage = kind()
    old = guarded(stage)
    (replica,) = stage.db.read(lambda tx: tx.execute(replica_instances.select()).all())
    assert (old.primacy.ticket is None) is (kind is StageByCommands)
    return stage, old, replica


def somebody_serves_when_a_planned_move_loses_its_server(stage, old, replica):
    stage.promote(replica)
    stage.run(300, lambda: old.primacy.paused)
    stage.server.away = True
    stage.run(900)
    assert stage.register.serving(), "the holder let go, and nobody was told"


@pytest.mark.parametrize("kind", [ServedStage, StageByCommands])
def test_a_planned_move_whose_server_goes_away_leaves_somebody_to_serve(kind):
    somebody_serves_when_a_planned_move_loses_its_server(*protected(kind))


@pytest.mark.parametrize("kind", [ServedStage, StageByCommands])
def test_a_notice_with_the_server_away_for_a_minute_costs_seconds(kind):
    stage, old, replica = protected(kind)
    stage.server.away = True
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    stage.run(60)
    assert stage.register.serving(), "it had a minute and a half to serve on"
    stage.server.away = False
    stage.run(600)
    assert stage.register.serving() == [replica.instance_id]
    assert stage.register.downtime_seconds(begun, stage.clock.now()) < 30
    stage.nothing_lost()
