"""What a standby measures is told whatever figure it is: else what the server heard last would go on counting."""

import pytest

from spotguard.ports.workload import Received
from spotguard.simulation.machine import SimulatedSync
from spotguard.store.tables import replica_instances
from tests.agent.test_with_the_server import ServedStage


class Telling(SimulatedSync):
    """Measures what the story says, once it says something."""

    def __init__(self, stage, *more):
        super().__init__(*more)
        self._stage = stage

    def received(self):
        return self._stage.measured or super().received()


class ToldStage(ServedStage):
    measured = None

    def sync_of(self, instance_id):
        return Telling(self, self.ec2, self.clock, self.register, self.fabric, instance_id)

    def replica(self):
        return self.db.read(lambda tx: tx.execute(replica_instances.select()).one())


@pytest.mark.parametrize("lag", [1.8e9, 1e306])
def test_a_standby_that_lags_behind_further_than_anybody_counts_is_ready_no_more(lag):
    """As a command tells it that has lost its source: the seconds since 1970."""
    stage = ToldStage()
    stage.primary()
    stage.set(auto_switch_enabled=False, manual_replica_enabled=True, replica_enabled=True)
    stage.run(1200, lambda: len(stage.hosts) == 2 and stage.replica().status == "ready")
    assert stage.replica().status == "ready"
    stage.measured = Received(100.0, stage.replica().position, lag)
    stage.run(120)
    assert (stage.replica().status, stage.replica().sync_status) == ("syncing", "out-of-sync")
