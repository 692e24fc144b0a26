"""What AWS says of a machine before it serves is answered when it does."""

import pytest

from spotguard.domain.signals import SignalType
from spotguard.domain.switches import Step
from tests.coordinator.scene import A, B, Scene


@pytest.mark.parametrize("serves", [False, True], ids=["before its grant", "after it"])
def test_a_recommendation_for_the_new_one_of_a_move_is_answered(serves):
    scene = Scene()
    agent = scene.protect(pool=A, terminate_wait_seconds=0, auto_switch_enabled=True)
    scene.run(60)
    old = scene.serving(agent)
    opened = scene.switch(agent, B)
    new = None

    def is_up():
        nonlocal new
        new = scene.last_move(agent).new_instance_id
        return Step.LAUNCHED in scene.steps(opened.switch_id) and new in scene.guests

    scene.run(600, until=scene.serves_elsewhere(agent, old) if serves else is_up)
    assert is_up()
    assert (scene.serving(agent) == new) is serves
    scene._send(scene.guests[new], SignalType.REBALANCE, scene.now, None)
    scene.run(900, until=scene.serves_elsewhere(agent, old))
    scene.run(1800)
    assert scene.live_replicas(agent)
