"""What its owner made with a copy of our tags is his: a backup, an image, a machine launched like ours."""

from dataclasses import replace

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.instances import Mode
from spotguard.ports.cloud import LaunchRequest
from spotguard.store import storage
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, C, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.fixture
def moved(scene):
    """Its workload runs on a machine that SpotGuard launched."""
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    scene.switch(agent, B)
    scene.run(3600, until=lambda: scene.last_move(agent).status == "completed")
    scene.run(120)
    return agent


def test_a_backup_of_its_owners_that_copies_the_tags_of_the_volume_stays(scene, moved):
    """Data Lifecycle Manager with CopyTags, `create-snapshots --copy-tags-from-source volume`."""
    volume = scene.volume_at(scene.serving(moved))
    (view,) = scene.ec2.describe_volumes([volume])
    backup = scene.ec2.create_snapshot(volume, {**view.tags, "dlm:managed": "true"})
    scene.run(1800)
    shown = [s.snapshot_id for s in scene.ec2.inventory().snapshots]
    assert backup in shown


def test_an_image_of_its_owners_that_copies_the_tags_of_the_instance_stays(scene, moved):
    machine = scene.serving(moved)
    (view,) = scene.ec2.describe_instances([machine])
    image = scene.ec2.create_image(machine, "my own backup", {**view.tags, "dlm:managed": "true"})
    scene.run(3600)
    shown = [i.image_id for i in scene.ec2.inventory().images]
    assert image in shown


def test_a_machine_that_its_owner_launched_alike_with_the_tags_is_not_ended(scene, moved):
    """EC2's console, `Launch more like this`, copies the tags."""
    machine = scene.serving(moved)
    (view,) = scene.ec2.describe_instances([machine])
    own = scene.ec2.run_instance(
        LaunchRequest(
            token=ClientToken("the-console"),
            pool=C,
            mode=Mode.ONDEMAND,
            image_id=scene.image,
            tags=dict(view.tags),
        )
    ).instance_id
    scene.mute.add(own)
    scene.run(1800)
    assert own in scene.running()
    (told,) = [event.message for event in scene.rows(agent_events, agent_events.c.kind == "needs_person")]
    assert own in told
    assert "launch one alike" in told


def test_a_copy_of_an_older_restore_point_does_not_count_as_the_newest(scene):
    """`aws ec2 copy-image --copy-image-tags` of an older point, to keep it: its CreationDate is that of the copying.

    In the simulated EC2 an image with the same tags stands for the copy: its row is the same.
    """
    agent = scene.protect(pool=A, restore_point_hours=6, restore_points_kept=1, restore_drill_days=0)
    scene.run(3600, until=lambda: bool(scene.restore_points(agent)))
    scene.run(3600)
    (point,) = scene.restore_points(agent)
    (view,) = scene.ec2.describe_images([point.image_id])
    copy = scene.ec2.create_image(scene.serving(agent), "kept by its owner", view.tags)
    scene.run(3 * 3600)
    assert {point.image_id, copy} <= {image.image_id for image in scene.ec2.inventory().images}
    assert [one.image_id for one in scene.restore_points(agent)] == [point.image_id]


def test_a_volume_that_was_last_at_somebody_elses_machine_is_kept_for_a_person(scene, moved):
    """As one that a backup service restored, with the tags of the volume it had backed up."""
    (view,) = scene.ec2.describe_volumes([scene.volume_at(scene.serving(moved))])
    made = scene.ec2.create_volume(ClientToken("restored"), A.az, 50, dict(view.tags))
    (restored,) = scene.ec2.describe_volumes([made])
    at_his = replace(restored, attached_to=InstanceId("i-0123456789abcdef0"), device="/dev/sdz")
    scene.db.write(lambda tx: storage.saw_volume(tx, scene.client_id, at_his, None))
    scene.run(1800)
    assert made in {volume.volume_id for volume in scene.ec2.inventory().volumes}
    assert any(
        made in event.message for event in scene.rows(agent_events, agent_events.c.kind == "leftover_found")
    )
