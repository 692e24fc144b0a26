"""The server dies right after EC2's answer, and is away until EC2 has forgotten what it launched."""

from datetime import timedelta
from random import Random

import pytest

from spotguard.coordinator.coordinator import Coordinator
from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.simulation.trouble import Death, ProcessDied, Trouble
from spotguard.simulation.troubled_database import MortalDatabase
from spotguard.store.tables import intentions
from tests.coordinator.scene import A, Scene

MOST_COMMITS = 40


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def dies_after_commit(scene, number):
    """One pass of a coordinator that gets no further than its commit of this number."""
    trouble = Trouble(Random(1), death=Death(number, before=False))
    first = scene.coordinator
    mortal = Coordinator(
        MortalDatabase(scene.db, trouble), first.ctx.clouds, scene.clock, first.ctx.settings, scene.wakeup
    )
    try:
        mortal.run_pass()
    except ProcessDied:
        return


def answered(scene):
    """What EC2 has launched, as the intentions have it."""
    rows = scene.rows(intentions, intentions.c.status == "done")
    return [InstanceId(row.resource_id) for row in rows]


def goes_away_after_the_answer(scene):
    for number in range(1, MOST_COMMITS):
        dies_after_commit(scene, number)
        if answered(scene):
            break
        scene.clock.time += timedelta(seconds=5)
        scene.ec2.happenings()
    (made,) = answered(scene)
    scene.ec2.controls.fail_instance(made)
    scene.clock.time += timedelta(hours=2, minutes=30)
    scene.ec2.happenings()
    scene.coordinator, scene.next_pass = scene.new_coordinator(), scene.now
    return made


def test_a_recovery_launches_anew(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    old = scene.serving(agent)
    scene.ec2.controls.fail_instance(old)
    scene.clock.time += timedelta(minutes=2)
    made = goes_away_after_the_answer(scene)
    scene.run(600, until=lambda: scene.serving(agent) not in (old, made) and scene.is_open(agent))


def test_a_standby_is_made_anew(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    scene.config(agent, manual_replica_enabled=True)
    made = goes_away_after_the_answer(scene)
    scene.run(900, until=lambda: [r.status for r in scene.live_replicas(agent)] == ["ready"])
    assert scene.live_replicas(agent)[0].instance_id != made
