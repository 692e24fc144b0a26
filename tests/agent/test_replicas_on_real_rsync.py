"""The lives of all three types of replica, with the shipped server and agents, their state carried by rsync over ssh.

EC2 and the clock are simulated; each instance has a network namespace, and what it copies really goes there.
"""

import os

import pytest

from spotguard.host.adopting import AdoptingGate
from spotguard.ports.workload import SyncPass, SyncTarget
from spotguard.simulation.machine import SimulatedSync, state_of
from spotguard.store.tables import replica_instances
from tests.agent.stage import Perilous
from tests.agent.test_with_the_server import ServedStage
from tests.host.namespaces import hosts, needs_namespaces

pytestmark = [pytest.mark.long, needs_namespaces]

SLOW = "--bwlimit=1M"  # so that a first pass can be seen under way
BULK = 3_000_000


class Carried(SimulatedSync):
    """A pass of the simulated records counts when a pass of rsync has carried a folder that names them."""

    def __init__(self, stage, instance_id):
        super().__init__(stage.ec2, stage.clock, stage.register, stage.fabric, instance_id)
        self.stage, self.place = stage, stage.place_of(instance_id)
        self.real = self.place.sync(SLOW)
        self.under_way = {}

    def push(self, target):
        there = self.stage.place_of(target.instance_id)
        if target.instance_id not in self.under_way:
            at = self._clock.now()
            self.position()
            content = state_of(self._ec2, self._instance_id).fork()
            (self.place.state / "last").write_text(str(content.last))
            self.under_way[target.instance_id] = at, content
        made = self.real.push(SyncTarget(target.instance_id, there.address))
        if made is None:
            return None
        at, content = self.under_way.pop(target.instance_id)
        state_of(self._ec2, target.instance_id).become(content, at)
        return SyncPass(content.last, made.bytes_sent, made.seconds, made.lag_seconds)

    def keep_only(self, instance_ids):
        self.real.keep_only(instance_ids)
        self.under_way = {to: one for to, one in self.under_way.items() if to in instance_ids}

    def received(self):
        return self.real.received()


class CarriedStage(ServedStage):
    def __init__(self, world):
        super().__init__()
        self.world, self.places, self.syncs = world, {}, {}

    def place_of(self, instance_id):
        if instance_id not in self.places:
            self.places[instance_id] = self.world.host()
        return self.places[instance_id]

    def sync_of(self, instance_id):
        if instance_id not in self.syncs:
            sync = self.syncs[instance_id] = Carried(self, instance_id)
            host = self.hosts[instance_id]
            host.gate = Perilous(AdoptingGate(host.gate, sync.real.adopt), host.peril)
        return self.syncs[instance_id]

    def primary(self, **more):
        host = super().primary(**more)
        state = self.place_of(host.instance_id).state
        state.mkdir()
        (state / "bulk").write_bytes(os.urandom(BULK))
        return host

    def replicas(self):
        rows = self.db.read(lambda tx: tx.execute(replica_instances.select()).all())
        return sorted(rows, key=lambda row: row.created_at)

    def lives(self, seconds, number=0):
        """What the replica's row says until it is ready or over: its statuses, and how it was in sync."""
        seen, told = [], []

        def looks():
            rows = self.replicas()
            if len(rows) <= number:
                return False
            row = rows[number]
            if row.status not in seen:
                seen.append(row.status)
            if (row.sync_status, row.state_transfer_progress) not in told:
                told.append((row.sync_status, row.state_transfer_progress))
            return row.status not in {"launching", "syncing"}

        self.run(seconds, looks)
        return seen, told

    def bulk_of(self, instance_id):
        return (self.place_of(instance_id).state / "bulk").read_bytes()


@pytest.fixture
def stage():
    with hosts() as world:
        carried = CarriedStage(world)
        yield carried
        for sync in carried.syncs.values():
            sync.real.close()


def assert_measured(told):
    """Nothing is ready before a whole pass has arrived, and progress never goes back."""
    progress = [share for _, share in told if share is not None]
    assert progress == sorted(progress)
    assert "syncing" in [status for status, _ in told]
    assert told[-1] == ("synced", 100)


def test_a_manual_replica_is_launched_synced_promoted_and_replaced(stage):
    old = stage.primary()
    bulk = stage.bulk_of(old.instance_id)
    stage.set(auto_switch_enabled=False, manual_replica_enabled=True, replica_enabled=True)
    seen, told = stage.lives(900)
    assert seen == ["launching", "syncing", "ready"]
    assert_measured(told)
    (replica,) = stage.replicas()
    assert replica.replica_type == "manual"
    stage.promote(replica)
    stage.run(300, lambda: stage.register.serving() == [replica.instance_id])
    assert stage.bulk_of(replica.instance_id) == bulk
    stage.run(600, lambda: len(stage.replicas()) == 2 and stage.replicas()[1].status == "ready")
    first, second = stage.replicas()
    assert (first.status, second.status, second.replica_type) == ("promoted", "ready", "manual")
    stage.set(manual_replica_enabled=False, replica_enabled=False)
    stage.run(600, lambda: stage.replicas()[1].status == "terminated")
    assert stage.replicas()[1].status == "terminated"
    stage.nothing_lost()


def test_a_rebalance_makes_a_replica_that_takes_over_at_the_notice(stage):
    old = stage.primary()
    bulk = stage.bulk_of(old.instance_id)
    stage.run(300)
    stage.ec2.controls.signal_rebalance(old.instance_id)
    seen, told = stage.lives(900)
    assert seen == ["launching", "syncing", "ready"]
    assert_measured(told)
    (replica,) = stage.replicas()
    assert replica.replica_type == "automatic-rebalance"
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(600, lambda: stage.register.serving() == [replica.instance_id])
    assert stage.replicas()[0].status == "promoted"
    assert stage.bulk_of(replica.instance_id) == bulk
    stage.nothing_lost()


def test_a_rebalance_without_a_notice_ends_with_its_replica_retired(stage):
    old = stage.primary()
    stage.run(300)
    stage.ec2.controls.signal_rebalance(old.instance_id)
    stage.lives(900)
    assert stage.replicas()[0].status == "ready"
    stage.syncs[old.instance_id].push = lambda _target: None  # two hours of passes are not the story
    stage.run(3 * 3600, lambda: stage.replicas()[0].status == "terminated")
    assert stage.replicas()[0].status == "terminated"
    assert stage.register.serving() == [old.instance_id]
    stage.nothing_lost()


def test_a_notice_out_of_the_blue_makes_a_replica_that_is_promoted_within_it(stage):
    old = stage.primary()
    bulk = stage.bulk_of(old.instance_id)
    stage.run(300)
    stage.ec2.controls.interrupt(old.instance_id)
    seen, _ = stage.lives(300)
    assert seen[0] == "launching"
    (replica,) = stage.replicas()
    assert replica.replica_type == "automatic-termination"
    stage.run(600, lambda: stage.register.serving() == [replica.instance_id])
    assert stage.replicas()[0].status == "promoted"
    assert stage.bulk_of(replica.instance_id) == bulk
    stage.nothing_lost()
