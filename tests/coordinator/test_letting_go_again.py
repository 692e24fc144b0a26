"""Whoever reads a notice that has long passed lets go of every epoch: it is given one, and not one after the other."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.store import grants, moves, releases
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, Scene
from tests.coordinator.test_who_let_go import let_go


@pytest.mark.parametrize("after", [60, 420, 1200])
def test_the_same_notice_brings_no_third_epoch(after):
    """However long after its second epoch it lets go: also when the notice was closed meanwhile."""
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(60)
    guest = let_go(scene, agent)
    scene.run(700, until=lambda: scene.is_open(agent))
    scene.run(after)
    for _ in range(60):
        held = scene.db.read(lambda tx: grants.holder(tx, agent))
        scene.db.write(
            lambda tx, epoch=held.epoch: releases.heard(
                tx, scene.now, scene.client_id, agent, guest.instance_id, epoch
            )
        )
        scene.run(60)
    assert scene.agent(agent).epoch == 2
    (told,) = scene.rows(agent_events, agent_events.c.kind == "nobody_serves")
    assert "terminate it" in told.message


def test_who_lets_go_for_a_move_that_comes_to_nothing_is_given_its_epoch_back_all_the_same():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, auto_switch_enabled=False)
    scene.run(60)
    guest = let_go(scene, agent)
    scene.run(700, until=lambda: scene.is_open(agent))
    scene.run(1200)
    opened = scene.switch(agent, B)
    scene.db.write(lambda tx: releases.heard(tx, scene.now, scene.client_id, agent, guest.instance_id, 2))
    scene.db.write(lambda tx: moves.unwind(tx, scene.now, opened.switch_id, "a story"))
    scene.run(300, until=lambda: scene.agent(agent).epoch == 3)
