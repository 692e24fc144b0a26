"""A recovery for which nothing has been launched yet is stopped as one that has not begun."""

from itertools import product

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.instances import Mode
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, C, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def dry(scene):
    for pool, mode in product((A, B, C), Mode):
        scene.ec2.controls.make_dry(pool, mode=mode)


@pytest.mark.parametrize("how", ["kill", "disable"])
def test_one_that_waits_for_capacity_launches_nothing_once_its_user_stops_everything(scene, how):
    agent = scene.protect(pool=A)
    scene.run(60)
    dry(scene)
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=0)
    scene.run(600, until=lambda: scene.rows(agent_events, agent_events.c.kind == "recovery_waits"))
    if how == "kill":
        scene.turn(KillLevel.ALL)
    else:
        scene.config(agent, enabled=False)
    for pool in (A, B, C):
        scene.ec2.controls.end_dryness(pool)
    scene.run(900)
    assert scene.running() == set()
