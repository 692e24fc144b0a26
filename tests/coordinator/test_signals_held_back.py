"""A signal that came while nobody might act on it is answered once somebody may, as long as it counts."""

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.ids import InstanceId
from spotguard.store import kill
from tests.coordinator.scene import A, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def turn(scene, level):
    scene.db.write(lambda tx: kill.set_level(tx, scene.now, scene.client_id, kill.CLIENT, level, "a story"))


@pytest.mark.parametrize("how", ["kill", "disabled", "free"])
def test_a_recommendation_that_still_counts_is_answered_once_hands_are_free_again(scene, how):
    agent = scene.protect(pool=A)
    scene.run(120)
    if how == "kill":
        turn(scene, KillLevel.ALL)
    elif how == "disabled":
        scene.config(agent, enabled=False)
    scene.ec2.controls.signal_rebalance(InstanceId(scene.serving(agent)))
    scene.run(120)
    turn(scene, KillLevel.NONE)
    scene.config(agent, enabled=True)
    scene.run(600)
    assert scene.live_replicas(agent)
