"""From which image a machine starts where the workload's own does not serve."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import MoveKind
from spotguard.store.tables import instances, storage_resources
from tests.coordinator.scene import A, B, Scene


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
    scene.run(1800, until=scene.serves_elsewhere(agent, old))
    move = scene.last_move(agent)
    assert (move.kind, move.lost_seconds) == (MoveKind.SNAPSHOT if dry else MoveKind.VOLUME, 0)
    assert scene.row(instances, instances.c.id == scene.serving(agent)).ami_id == done_images(scene)[0].id
    assert scene.breaches() == []


def with_restore_point(scene, agent):
    scene.config(agent, restore_point_hours=1)
    scene.run(1800, until=lambda: done_images(scene) != [])
    return done_images(scene)[0].id


def of_the_plain_image(scene):
    return {m.instance_id for m in scene.ec2.inventory().instances if m.image_id == scene.image}


def holds_no_agent(scene, done):
    """Its owner installed the agent on a running machine: what else is launched from its image is mute."""

    def looked():
        scene.mute |= of_the_plain_image(scene)
        return done()

    return looked


def test_a_standby_starts_from_the_restore_point_where_the_agent_was_installed_on_a_running_machine(
    scene, agent
):
    point = with_restore_point(scene, agent)
    scene.config(agent, manual_replica_enabled=True)

    def ready():
        return [row.status for row in scene.live_replicas(agent)] == [ReplicaStatus.READY]

    scene.run(600, until=holds_no_agent(scene, ready))
    (standby,) = scene.live_replicas(agent)
    assert scene.row(instances, instances.c.id == standby.instance_id).ami_id == point
    assert len(of_the_plain_image(scene)) == 1  # nobody was launched in vain
    assert scene.breaches() == []


def test_a_planned_move_starts_from_it_too(scene, agent):
    point, old = with_restore_point(scene, agent), scene.serving(agent)
    scene.switch(agent, B)
    scene.run(1800, until=holds_no_agent(scene, scene.serves_elsewhere(agent, old)))
    assert scene.row(instances, instances.c.id == scene.serving(agent)).ami_id == point
    assert scene.breaches() == []


def test_an_image_from_which_a_machine_of_ours_has_enrolled_is_kept_to(scene, agent):
    scene.config(agent, manual_replica_enabled=True)
    scene.run(600, until=lambda: len(of_the_plain_image(scene)) == 2)
    scene.run(600, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    with_restore_point(scene, agent)
    first = scene.live_replicas(agent)[0]
    scene.ec2.controls.interrupt(first.instance_id, notice_seconds=0)
    scene.run(
        900, until=lambda: [r.id for r in scene.live_replicas(agent) if r.instance_id] not in ([], [first.id])
    )
    (second,) = scene.live_replicas(agent)
    assert second.instance_id in of_the_plain_image(scene)


def test_when_nothing_enrols_that_its_image_starts_its_restore_point_is_started(scene, agent):
    """As where the image's agent starts no more, though it once did."""
    scene.config(agent, manual_replica_enabled=True)
    scene.run(600, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    scene.config(agent, manual_replica_enabled=False)
    scene.run(600, until=lambda: scene.live_replicas(agent) == [])
    scene.config(agent, restore_point_hours=1)
    scene.run(1800, until=lambda: done_images(scene) != [])
    old = scene.serving(agent)
    scene.ec2.controls.interrupt(old, notice_seconds=0)

    def comes_back():
        scene.mute |= {m.instance_id for m in scene.ec2.inventory().instances if m.image_id == scene.image}
        return scene.serves_elsewhere(agent, old)()

    scene.run(3600, until=comes_back)
    assert scene.row(instances, instances.c.id == scene.serving(agent)).ami_id == done_images(scene)[0].id
    assert scene.last_move(agent).lost_seconds == 0
    scene.run(900)
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


@pytest.mark.long
def test_a_dead_holders_state_on_its_root_is_not_sought_on_its_other_volume(scene, agent):
    scene.config(agent, restore_point_hours=1)
    scene.run(1800, until=lambda: done_images(scene) != [])
    scene.db.write(lambda tx: tx.execute(instances.update().values(state_on_root=True)))
    old = scene.serving(agent)
    root = scene.row(
        storage_resources, storage_resources.c.attached_to == old, storage_resources.c.device == "/dev/xvda"
    ).id
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(1800, until=scene.serves_elsewhere(agent, old))
    move = scene.last_move(agent)
    assert move.kind == MoveKind.IMAGE
    assert move.lost_seconds > 0
    scene.run(26 * 3600, until=lambda: scene.move(move.id).status == "completed")
    assert scene.row(storage_resources, storage_resources.c.id == root).ended_at is None
    assert scene.breaches() == []


def done_images(scene):
    of_images = storage_resources.c.kind == "image", storage_resources.c.state == "done"
    return scene.rows(storage_resources, *of_images)


def test_the_image_of_a_move_whose_both_ends_died_is_kept_while_nobody_serves():
    """Its user has disabled the agent: nothing is recovered, and the image may be all that is left."""
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0, state_gib=None)
    scene.run(60)
    old = scene.serving(agent)
    move = scene.switch(agent, B, kind=MoveKind.IMAGE)
    scene.run(1800, until=lambda: scene.move(move.switch_id).new_instance_id)
    scene.config(agent, enabled=False)
    for end in (scene.move(move.switch_id).new_instance_id, old):
        scene.ec2.controls.fail_instance(end)
    scene.run(1800)
    (image,) = scene.rows(storage_resources, storage_resources.c.kind == "image")
    assert (image.switch_id, image.ended_at) == (move.switch_id, None)
