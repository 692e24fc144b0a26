"""What judges drills and the state in the simulation can fail: each verdict is shown one thing that is wrong."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.tags import DRILL_TAG
from spotguard.simulation import campaign, lookups, rehearsed
from spotguard.simulation.machine import state_of
from spotguard.simulation.witness import OLDEST_IN_SYNC, _overrated
from spotguard.store.tables import drills

pytestmark = pytest.mark.long
NAME = "web-1"


@pytest.fixture(scope="module")
def world():
    made = campaign._Campaign(1, 0.5, ())
    made.world.run_for(minutes=3)
    yield made.world
    made.world.close()


def drilled(world, **more):
    agent, now = lookups.agent(world, NAME), world.clock.now()
    row = {"id": "d", "client_id": agent.client_id, "agent_id": agent.id, "created_by": "user", **more}
    row |= {"created_at": now, "instance_id": agent.instance_id}
    world.db.write(lambda tx: tx.execute(sa.delete(drills)))
    world.db.write(lambda tx: tx.execute(sa.insert(drills), row))


def test_a_certificate_whose_workload_never_ran_is_not_earned(world):
    now = world.clock.now()
    drilled(world, kind="restore", status="passed", deadline_at=now, completed_at=now)
    assert "never ran" in rehearsed.certificates_are_earned(world)[0]
    world.registers[NAME].rehearses(lookups.agent(world, NAME).instance_id)
    assert rehearsed.certificates_are_earned(world) == []
    world.registers[NAME].rehearsing.clear()


def test_a_failover_that_nobody_has_proven_is_not_earned(world):
    now = world.clock.now()
    drilled(world, kind="failover", status="passed", deadline_at=now, completed_at=now, switch_id="s")
    assert "before its new instance had proven itself" in rehearsed.certificates_are_earned(world)[0]


def test_a_drill_that_does_not_end_is_told(world):
    drilled(world, kind="restore", status="running", deadline_at=world.clock.now() - 2 * rehearsed.LATE)
    assert rehearsed.rehearsals_end(world) == ["drills d is open past its deadline"]
    drilled(world, kind="restore", status="running", deadline_at=world.clock.now())
    assert rehearsed.rehearsals_end(world) == []


def test_a_clone_that_keeps_its_owners_tags_or_serves_is_told(world):
    machine = world.ec2.world.machines[InstanceId(lookups.agent(world, NAME).instance_id)]
    machine.tags = {**machine.tags, DRILL_TAG: "d"}
    told = " ".join(rehearsed.clones_are_in_quarantine(world))
    assert "has what its original has" in told
    assert "took records" in told


def test_a_record_that_nobody_lost_and_nobody_has_is_told(world):
    assert rehearsed.nothing_missing(world) == []
    content = state_of(world.ec2, InstanceId(lookups.agent(world, NAME).instance_id))
    content.ranges = [(first + 5, last) for first, last in content.ranges]
    assert "lacks 5 records, and 0 are known to be lost" in rehearsed.nothing_missing(world)[0]


def test_an_old_instance_that_is_told_to_be_in_sync_and_is_not_is_told(world):
    now, agent = world.clock.now(), lookups.agent(world, NAME)
    told = SimpleNamespace(
        status="committed",
        fallback_status="synced",
        fallback_told_at=now,
        fallback_lag_ms=1000,
        old_instance_id=agent.instance_id,
        logical_agent_id=NAME,
    )
    assert _overrated(world, now, told) is None
    world.registers[NAME].acknowledged += int((OLDEST_IN_SYNC + timedelta(minutes=1)).total_seconds())
    assert "is told to be in sync" in _overrated(world, now, told)


def test_hidden_things_show_in_their_time(world):
    world.ec2.controls.hide_new((60, 60))
    agent = lookups.agent(world, NAME)
    made = world.ec2.create_volume(token="hidden", az=agent.az, size_gib=1, tags={}, snapshot_id=None)
    world.ec2.controls.hide_new(None)
    assert world.ec2.describe_volumes([VolumeId(made)]) == ()
    world.run_for(seconds=61)
    assert world.ec2.describe_volumes([VolumeId(made)])
