"""A recovery for which nothing has been launched yet is stopped as one that has not begun."""

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.mark.parametrize("how", ["kill", "disable"])
def test_one_that_waits_for_capacity_launches_nothing_once_its_user_stops_everything(scene, how):
    agent = scene.protect(pool=A)
    scene.run(60)
    scene.dry_up()
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=0)
    scene.run(600, until=lambda: scene.rows(agent_events, agent_events.c.kind == "recovery_waits"))
    if how == "kill":
        scene.turn(KillLevel.ALL)
    else:
        scene.config(agent, enabled=False)
    scene.end_drought()
    scene.run(900)
    assert scene.running() == set()
