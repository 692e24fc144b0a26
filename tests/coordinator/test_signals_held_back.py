"""A signal that came while nobody might act on it is answered once somebody may, as long as it counts."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from spotguard.coordinator import emergencies
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


@pytest.mark.long
def test_two_coordinators_that_answer_it_at_once_make_one_replica(mariadb_database):
    scene = Scene(db=mariadb_database, executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(120)
    scene.turn(KillLevel.ALL)
    scene.ec2.controls.signal_rebalance(InstanceId(scene.serving(agent)))
    scene.run(120)
    scene.turn(KillLevel.NONE)
    now, has_answered = scene.now, Event()

    def first(tx):
        assert emergencies.answer_again(tx, now, agent)
        has_answered.set()
        Event().wait(1)

    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(scene.db.write, first)
        assert has_answered.wait(10)
        two = pool.submit(scene.db.write, lambda tx: emergencies.answer_again(tx, now, agent))
        one.result(), two.result()
    assert len(scene.live_replicas(agent)) == 1
