"""Rolling restore points: made, kept, pruned with their snapshots, and what a recovery falls back on."""

from spotguard.ports.cloud import CopyState
from spotguard.simulation.audit import orphans_of
from tests.stories.test_signals import on_spot


def points(scene):
    return scene.get(f"/api/client/agents/{scene.agent().id}/restore-points")["items"]


def complete(scene):
    return [point for point in points(scene) if point["state"] == "done"]


def volumes(scene, ids):
    return scene.world.ec2.describe_volumes(ids)


def test_none_unless_they_are_asked_for(scene):
    scene.wait(hours=3)
    assert points(scene) == []
    assert scene.world.ec2.inventory().images == ()


def test_they_roll_with_their_snapshots_and_leave_nothing_behind(scene):
    scene.configure(restorePointHours=1, restorePointsKept=2)
    first = scene.until(lambda: complete(scene), minutes=15)[0]
    assert first["sizeGib"] > 0
    assert float(first["monthlyUsd"]) > 0

    scene.wait(hours=4, minutes=30)
    made_from = scene.instance(scene.agent().instance_id).ami_id
    kept = {point["imageId"] for point in complete(scene)} - {made_from}
    assert len(kept) == 2
    assert first["imageId"] not in kept | {made_from}
    images = scene.world.ec2.inventory().images
    assert {image.image_id for image in images} == {point["imageId"] for point in points(scene)}
    owned = {snapshot for image in images for snapshot in image.snapshots.values()}
    assert {s.snapshot_id for s in scene.world.ec2.inventory().snapshots} == owned


def test_the_workload_serves_on_while_one_is_made(scene):
    before = scene.agent()
    scene.configure(restorePointHours=1)
    scene.until(lambda: complete(scene), minutes=15)
    assert (scene.agent().epoch, scene.agent().instance_id) == (before.epoch, before.instance_id)
    scene.assert_no_record_lost_or_doubled()


def loses_its_volume(scene):
    """A serving instance dies, and somebody deletes its volume by hand while the recovery reaches for it."""
    dead = scene.agent().instance_id
    state = [v.volume_id for v in scene.world.ec2.inventory().volumes if v.attached_to == dead]
    scene.world.ec2.controls.fail_instance(dead)
    scene.until(lambda: all(v.attached_to is None for v in volumes(scene, state)), minutes=3)
    for volume_id in state:
        scene.world.ec2.delete_volume(volume_id)
    scene.until(lambda: scene.agent().instance_id != dead, minutes=40)


def test_the_one_from_which_a_workload_came_back_starts_its_next_machines_too(scene):
    on_spot(scene)
    scene.configure(restorePointHours=1, restorePointsKept=1)
    scene.until(lambda: complete(scene), minutes=15)
    point = complete(scene)[0]["imageId"]
    scene.wait(minutes=10)
    loses_its_volume(scene)
    assert scene.instance(scene.agent().instance_id).ami_id == point
    scene.wait(hours=3)
    assert {one["imageId"] for one in complete(scene)} > {point}
    rescued = scene.agent().instance_id
    scene.world.ec2.controls.fail_instance(rescued)
    scene.until(lambda: scene.agent().instance_id != rescued, minutes=40)


def test_when_the_volume_has_died_with_its_instance_the_newest_one_is_started(scene):
    on_spot(scene)
    scene.configure(restorePointHours=1)
    scene.until(lambda: complete(scene), minutes=15)
    point = complete(scene)[0]
    scene.wait(minutes=10)
    loses_its_volume(scene)
    recovery = scene.switches()[-1]
    assert recovery.kind == "image"
    assert scene.instance(recovery.new_instance_id).ami_id == point["imageId"]
    assert float(recovery.lost_seconds) > 600
    assert scene.world.ec2.describe_images([point["imageId"]])[0].state is CopyState.DONE


def test_the_auditor_takes_no_restore_point_for_an_orphan(scene):
    scene.configure(restorePointHours=1, restorePointsKept=1)
    scene.wait(hours=1.5)
    points = scene.get(f"/api/client/agents/{scene.agent().id}/restore-points")["items"]
    assert points
    assert orphans_of(scene.world) == []
