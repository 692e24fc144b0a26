"""A disabled agent whose last move still waits for the end of its old instance: its deletion says the way out."""

import pytest

from spotguard.domain.errors import Refused
from spotguard.domain.switches import Step
from spotguard.store import deletions
from tests.coordinator.scene import A, B, Scene


def test_it_is_deleted_once_its_old_instance_is_left_to_its_user():
    scene = Scene()
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    old = scene.serving(agent)
    opened = scene.switch(agent, B)
    scene.run(1200, until=lambda: scene.move(opened.switch_id).status == "committed")
    with pytest.raises(Refused, match="wait until it has ended"):
        delete(scene, agent)
    scene.config(agent, enabled=False)
    scene.run(1200, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))
    scene.run(300)
    with pytest.raises(Refused, match=f"{old} .disabled by its user.*: set autoTerminateEnabled to false"):
        delete(scene, agent)
    scene.config(agent, auto_terminate_enabled=False)
    scene.run(300, until=lambda: scene.move(opened.switch_id).status == "completed")
    left = {one.row.id for one in delete(scene, agent).left}
    assert {old, scene.serving(agent)} <= left
    scene.run(300)
    assert {old, scene.serving(agent)} <= scene.running()


def delete(scene, agent):
    return scene.db.write(lambda tx: deletions.delete(tx, scene.now, scene.client_id, agent))
