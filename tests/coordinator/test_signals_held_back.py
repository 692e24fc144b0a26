"""A signal that came while nobody might act on it is answered once somebody may, as long as it counts."""

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.ids import InstanceId
from tests.coordinator.scene import A, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.mark.parametrize("how", ["kill", "disabled", "free"])
def test_a_recommendation_that_still_counts_is_answered_once_hands_are_free_again(scene, how):
    agent = scene.protect(pool=A)
    scene.run(120)
    if how == "kill":
        scene.turn(KillLevel.ALL)
    elif how == "disabled":
        scene.config(agent, enabled=False)
    scene.ec2.controls.signal_rebalance(InstanceId(scene.serving(agent)))
    scene.run(120)
    scene.turn(KillLevel.NONE)
    scene.config(agent, enabled=True)
    scene.run(600)
    assert scene.live_replicas(agent)
