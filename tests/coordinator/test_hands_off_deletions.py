"""With `enabled` false nothing is deleted (ruling B8), however long ago it was due; afterwards it is."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.store import leftover_report
from spotguard.store.tables import salvages
from tests.coordinator.scene import A, B, Scene
from tests.coordinator.strays import stray_machine, stray_volume


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def alive(scene):
    world = scene.ec2.inventory()
    return scene.running() | {volume.volume_id for volume in world.volumes}


def test_what_a_dead_holder_alone_has_is_not_deleted_while_hands_are_off(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    scene.switch(agent, B)
    scene.run(3600, until=lambda: scene.last_move(agent).status == "completed")
    scene.config(agent, manual_replica_enabled=True)
    scene.run(900, until=lambda: [r.status for r in scene.live_replicas(agent)] == ["ready"])
    old = scene.serving(agent)
    volume = scene.volume_at(old)
    scene.ec2.controls.fail_instance(old)
    scene.run(600, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    scene.run(600, until=lambda: scene.rows(salvages))
    scene.run(600)
    # the look found that it alone has 3 files
    scene.db.write(
        lambda tx: tx.execute(salvages.update().values(status="offered", compared=True, files=3, bytes=10))
    )
    scene.config(agent, enabled=False)  # its user: hands off
    scene.run(25 * 3600)
    assert volume in alive(scene)
    scene.config(agent, enabled=True)
    scene.run(600)
    assert volume not in alive(scene)


@pytest.mark.parametrize("stray", [stray_volume, stray_machine])
def test_nothing_is_cleaned_up_while_hands_are_off(scene, stray):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    made = stray(scene, agent)
    scene.config(agent, enabled=False)
    scene.run(1800)
    assert made in alive(scene)
    (told,) = scene.db.read(lambda tx: leftover_report.report(tx, scene.now))
    assert (told.resource_id, told.may_go_at) == (made, None)
    assert "its agent is disabled" in told.plan
    scene.config(agent, enabled=True)
    scene.run(600)
    assert made not in alive(scene)
