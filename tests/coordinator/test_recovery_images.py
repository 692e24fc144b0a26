"""From which image a recovery starts where the workload's own does not serve."""

import pytest

from spotguard.domain.switches import MoveKind
from spotguard.store.tables import instances, storage_resources
from tests.coordinator.scene import A, Scene


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    return agent


def serves_elsewhere(scene, agent, old):
    return lambda: scene.serving(agent) != old and scene.is_open(agent)


@pytest.mark.parametrize("dry", [False, True], ids=["volume", "snapshot"])
def test_when_its_image_has_gone_it_starts_from_its_restore_point_and_the_volume_brings_the_state(
    scene, agent, dry
):
    scene.config(agent, restore_point_hours=1)
    scene.run(1800, until=lambda: done_images(scene) != [])
    scene.ec2.controls.withdraw_image(scene.image)
    for mode in ("spot", "ondemand") if dry else ():
        scene.ec2.controls.make_dry(A, mode=mode)
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(1800, until=serves_elsewhere(scene, agent, old))
    move = scene.last_move(agent)
    assert (move.kind, move.lost_seconds) == (MoveKind.SNAPSHOT if dry else MoveKind.VOLUME, 0)
    assert scene.row(instances, instances.c.id == scene.serving(agent)).ami_id == done_images(scene)[0].id
    assert scene.breaches() == []


def test_when_nothing_enrols_that_its_image_starts_its_restore_point_is_started(scene, agent):
    """As where the agent and the workload were installed on a machine of somebody else's plain image."""
    scene.config(agent, restore_point_hours=1)
    scene.run(1800, until=lambda: done_images(scene) != [])
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old, notice_seconds=0)

    def comes_back():
        scene.mute |= {m.instance_id for m in scene.ec2.inventory().instances if m.image_id == scene.image}
        return serves_elsewhere(scene, agent, old)()

    scene.run(3600, until=comes_back)
    assert scene.row(instances, instances.c.id == scene.serving(agent)).ami_id == done_images(scene)[0].id
    assert scene.last_move(agent).lost_seconds == 0
    scene.run(900)
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_a_dead_holders_state_on_its_root_is_not_sought_on_its_other_volume(scene, agent):
    scene.config(agent, restore_point_hours=1)
    scene.run(1800, until=lambda: done_images(scene) != [])
    scene.db.write(lambda tx: tx.execute(instances.update().values(state_on_root=True)))
    old = scene.serving(agent)
    root = scene.row(
        storage_resources, storage_resources.c.attached_to == old, storage_resources.c.device == "/dev/xvda"
    ).id
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(1800, until=serves_elsewhere(scene, agent, old))
    move = scene.last_move(agent)
    assert move.kind == MoveKind.IMAGE
    assert move.lost_seconds > 0
    scene.run(26 * 3600, until=lambda: scene.move(move.id).status == "completed")
    assert scene.row(storage_resources, storage_resources.c.id == root).ended_at is None
    assert scene.breaches() == []


def done_images(scene):
    of_images = storage_resources.c.kind == "image", storage_resources.c.state == "done"
    return scene.rows(storage_resources, *of_images)
