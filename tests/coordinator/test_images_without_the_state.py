"""The state's volume is taken off its holder while an image is made or ordered: that image is not what was there."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Executor
from spotguard.domain.errors import Refused
from spotguard.domain.ids import ClientToken
from spotguard.domain.instances import Mode
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import MoveKind, SwitchStatus
from spotguard.ports.cloud import LaunchRequest
from spotguard.store import adrift, images, leftover_report
from spotguard.store.tables import storage_resources
from tests.coordinator.scene import A, B, C, Scene
from tests.coordinator.test_probes_raced import Interrupted, one_that_sees

_IMAGES = storage_resources.c.kind == "image", storage_resources.c.ended_at.is_(None)


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def launched_by_us(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=60)
    scene.run(120)
    moved_by_image(scene, agent, C)
    return agent


def moved_by_image(scene, agent, pool):
    opened = scene.switch(agent, pool, kind=MoveKind.IMAGE)
    over = (SwitchStatus.COMPLETED, SwitchStatus.UNWOUND)
    scene.run(3600, until=lambda: scene.move(opened.switch_id).status in over)
    return scene.move(opened.switch_id)


def stays_with(scene, agent, old, volume):
    scene.run(900)
    assert scene.serving(agent) == old
    assert scene.holder_of(volume) == old
    assert scene.breaches() == []


def test_no_move_is_ordered_while_it_is_known_to_be_missing(scene):
    agent = launched_by_us(scene)
    scene.ec2.detach_volume(scene.volume_at(scene.serving(agent)))
    scene.ec2.faults.sometimes("attach_volume", 1.0)
    scene.run(300)
    with pytest.raises(Refused, match="attached to nobody"):
        scene.switch(agent, B, kind=MoveKind.IMAGE)


def test_a_move_is_given_up_that_would_image_its_machine_without_it(scene):
    agent = launched_by_us(scene)
    old = scene.serving(agent)
    volume = scene.volume_at(old)
    scene.ec2.detach_volume(volume)
    scene.run(5)
    move = moved_by_image(scene, agent, B)
    assert move.status == SwitchStatus.UNWOUND
    assert f"{volume} of the old instance is attached to nobody" in move.ended_because
    stays_with(scene, agent, old, volume)


def taken_off_at_the_next_image(scene, agent):
    """Somebody takes the volume off at the very moment at which it is begun."""
    volume = scene.volume_at(scene.serving(agent))

    def taken_off():
        scene.ec2.detach_volume(volume)
        scene.clock.time += timedelta(seconds=10)

    scene.coordinator = one_that_sees(scene, Interrupted(scene.ec2, "create_image", taken_off))
    return volume


def test_a_move_is_given_up_whose_image_lacks_it(scene):
    agent = launched_by_us(scene)
    old = scene.serving(agent)
    volume = taken_off_at_the_next_image(scene, agent)
    move = moved_by_image(scene, agent, B)
    assert move.status == SwitchStatus.UNWOUND
    assert f"lacks {volume}" in move.ended_because
    stays_with(scene, agent, old, volume)


def test_a_restore_point_without_it_replaces_none(scene):
    agent = scene.protect(pool=A, restore_point_hours=1, restore_points_kept=1, restore_drill_days=0)
    scene.run(2400, until=lambda: len(scene.restore_points(agent)) == 1)
    (good,) = scene.restore_points(agent)
    taken_off_at_the_next_image(scene, agent)
    scene.run(4800, until=lambda: any(row.is_partial for row in scene.rows(storage_resources, *_IMAGES)))
    assert not scene.db.read(lambda tx: adrift.volumes_are_missing(tx, agent))
    assert scene.db.read(lambda tx: images.newest_of(tx, agent)).id == good.image_id
    scene.run(600)
    assert good.image_id in {row.id for row in scene.rows(storage_resources, *_IMAGES)}
    scene.run(7200)
    assert all(row.is_partial is not True for row in scene.rows(storage_resources, *_IMAGES))
    assert scene.breaches() == []


def test_what_no_image_of_a_move_has_is_kept_for_a_person(scene):
    """An agent that calls EC2 itself has made that image, and what has come of it serves."""
    agent = launched_by_us(scene)
    volume = scene.volume_at(scene.serving(agent))
    opened = scene.switch(agent, B, kind=MoveKind.IMAGE)
    scene.run(3600, until=lambda: scene.move(opened.switch_id).status == SwitchStatus.COMMITTED)
    of_it = storage_resources.c.switch_id == opened.switch_id, *_IMAGES
    scene.db.write(lambda tx: tx.execute(sa.update(storage_resources).where(*of_it).values(is_partial=True)))
    scene.run(7200)
    assert volume in {view.volume_id for view in scene.ec2.inventory().volumes}
    told = scene.db.read(lambda tx: leftover_report.report(tx, scene.now))
    assert ["lies nowhere else" in one.loose_because for one in told if one.resource_id == volume] == [True]


def with_logs(scene, agent):
    """A second volume, for logs."""
    volume = scene.ec2.create_volume(ClientToken("logs"), A.az, 5, {})
    scene.run(60)
    scene.ec2.attach_volume(volume, scene.serving(agent), "/dev/sdg")
    scene.run(1200)
    return volume


def taken_to_another(scene, volume):
    """A machine of its owner's, which no agent guards."""
    launch = LaunchRequest(ClientToken("his"), A, Mode.ONDEMAND, scene.image, tags={"Name": "his"})
    his = scene.ec2.run_instance(launch).instance_id
    scene.mute.add(his)
    scene.run(60)
    scene.ec2.detach_volume(volume)
    scene.clock.time += timedelta(seconds=10)
    scene.ec2.attach_volume(volume, his, "/dev/sdg")
    scene.run(600)
    assert scene.holder_of(volume) == his


def test_a_volume_that_its_owner_has_taken_to_another_machine_is_no_part_of_the_state(scene):
    agent = scene.protect(pool=A, restore_point_hours=1, restore_points_kept=1, restore_drill_days=0)
    taken_to_another(scene, with_logs(scene, agent))
    scene.run(4 * 3600)
    kept = scene.rows(storage_resources, *_IMAGES)
    assert len(kept) <= 2
    newest = scene.db.read(lambda tx: images.newest_of(tx, agent))
    assert scene.now - newest.created_at < timedelta(hours=2)
    assert moved_by_image(scene, agent, B).status == SwitchStatus.COMPLETED


def test_an_older_image_is_preferred_only_for_a_volume_that_it_has(scene):
    """One is attached for the first time while an image is made: the older one lacks it too."""
    agent = scene.protect(
        pool=A, restore_point_hours=6, restore_points_kept=2, restore_drill_days=0, auto_switch_enabled=False
    )
    volume = scene.ec2.create_volume(ClientToken("logs"), A.az, 5, {})
    pending = (*_IMAGES, storage_resources.c.state == "pending")
    scene.run(3600, until=lambda: len(scene.restore_points(agent)) == 1)
    scene.run(8 * 3600, until=lambda: bool(scene.rows(storage_resources, *pending)))
    scene.ec2.attach_volume(volume, scene.serving(agent), "/dev/sdg")
    scene.run(1800)
    newest = scene.db.read(lambda tx: images.newest_of(tx, agent))
    assert scene.now - newest.created_at < timedelta(hours=1)


def test_a_standby_that_is_in_sync_takes_over_although_a_volume_is_missing(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0, manual_replica_enabled=True)
    scene.run(400, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    scene.ec2.detach_volume(with_logs(scene, agent))
    scene.ec2.faults.sometimes("attach_volume", 1.0)
    scene.run(1200)
    (first,) = scene.live_replicas(agent)
    scene.promote(agent, first.id)
    scene.run(900)
    assert scene.serving(agent) == first.instance_id
