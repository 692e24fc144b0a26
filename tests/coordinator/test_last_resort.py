"""The image is the last resort: it is taken when EC2 shows, at that moment, that nothing newer is left."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from spotguard.domain import image_names
from spotguard.domain.agents import Executor
from spotguard.domain.errors import NeedsPerson, Throttled
from spotguard.domain.ids import ClientToken, InstanceId
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import MoveKind
from spotguard.planning.emergency import START_ANEW
from spotguard.planning.switching import STATE_DEVICE
from spotguard.store import deletions, launch_orders, left_for_people, restore_points
from spotguard.store.tables import agent_events, instances, storage_resources
from tests.coordinator.scene import A, B, Scene

TEN = timedelta(seconds=10)
_DONE = storage_resources.c.kind == "image", storage_resources.c.state == "done"


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    return agent


def state_volume(scene):
    return scene.row(storage_resources, storage_resources.c.device == "/dev/sdf").id


def restore_point(scene, agent):
    tags = scene.db.read(lambda tx: launch_orders.tags_of(tx, scene.client_id, agent, restore_points.PURPOSE))
    scene.ec2.create_image(scene.serving(agent), image_names.of_restore_point(agent, scene.now), tags)
    scene.run(900, until=lambda: scene.rows(storage_resources, *_DONE))


def told(scene):
    return [event.message for event in scene.rows(agent_events, agent_events.c.kind == "instance_ended")]


def test_a_volume_that_may_hold_the_state_keeps_the_image_away_until_a_person_says_so(scene, agent):
    old, volume = scene.serving(agent), state_volume(scene)
    tags = scene.db.read(lambda tx: launch_orders.tags_of(tx, scene.client_id, agent, "standby"))
    restore_point(scene, agent)
    stray = scene.ec2.create_volume(ClientToken("stray"), A.az, 20, tags)
    scene.ec2.detach_volume(volume)
    scene.clock.time += TEN
    scene.ec2.delete_volume(volume)
    scene.run(300)
    scene.ec2.controls.fail_instance(old)
    scene.run(900)
    assert scene.serving(agent) == old
    (why,) = told(scene)
    assert f"nobody knows who had {stray} last" in why
    scene.ec2.delete_volume(stray)
    scene.run(900, until=lambda: scene.serving(agent) != old)
    assert scene.last_move(agent).kind == MoveKind.IMAGE


@pytest.mark.parametrize("dies", [False, True], ids=["serves on", "dies"])
def test_who_does_as_he_is_told_serves_on_by_that_volume_and_it_is_never_deleted(scene, agent, dies):
    """Its new agent is as protected as any."""
    old, volume = scene.serving(agent), state_volume(scene)
    scene.ec2.detach_volume(volume)
    scene.run(300)
    forget_who_had(scene, volume)
    scene.ec2.controls.fail_instance(old)
    scene.run(900)
    (why,) = told(scene)
    assert f"{volume} last: if it holds the state, attach it to a new instance, {START_ANEW}" in why
    anew = scene.protect("web-anew", pool=A, state_gib=None, auto_switch_enabled=False)
    scene.ec2.attach_volume(volume, InstanceId(scene.serving(anew)), "/dev/sdf")
    scene.db.write(lambda tx: deletions.delete(tx, scene.now, scene.client_id, agent))
    if dies:
        first = scene.serving(anew)
        scene.run(1800)
        scene.ec2.controls.fail_instance(first)
        scene.run(900, until=scene.serves_elsewhere(anew, first))
    scene.run(6 * 3600)
    assert scene.is_open(anew)
    (kept,) = scene.ec2.describe_volumes([volume])
    assert kept.attached_to == scene.serving(anew)


def forget_who_had(scene, volume):
    """As in a database that never saw it attached."""
    mine = storage_resources.c.id == volume
    scene.db.write(
        lambda tx: tx.execute(sa.update(storage_resources).where(mine).values(last_attached_to=None))
    )


def test_while_ec2_does_not_tell_what_is_left_it_is_asked_again(scene, agent):
    old, volume = scene.serving(agent), state_volume(scene)
    faults = scene.ec2.faults
    faults.sometimes("describe_volumes", 1.0, lambda: Throttled("RequestLimitExceeded", "describe_volumes"))
    scene.ec2.controls.fail_instance(old)
    scene.run(600)
    assert scene.serving(agent) == old
    assert "EC2 does not tell which volumes are left" in told(scene)[0]
    faults.clear()
    scene.run(600, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    (view,) = scene.ec2.describe_volumes([volume])
    assert view.attached_to == scene.serving(agent)


def test_an_instance_without_the_state_is_no_resort(scene, agent):
    """Neither volume nor restore point: whoever booted its first image would serve an empty workload, or nothing."""
    old, volume = scene.serving(agent), state_volume(scene)
    scene.ec2.detach_volume(volume)
    scene.clock.time += TEN
    scene.ec2.delete_volume(volume)
    scene.run(300)
    scene.ec2.controls.fail_instance(old)
    scene.run(900)
    assert scene.serving(agent) == old
    assert "restore a backup of your own" in told(scene)[0]


def test_a_volume_that_ec2_does_not_show_yet_is_waited_for(scene, agent):
    """The holder dies minutes after its launch, and so does the sight of what was made with it."""
    old = scene.serving(agent)
    scene.switch(agent, B)
    scene.run(300, until=lambda: scene.last_move(agent).new_instance_id is not None)
    new = scene.last_move(agent).new_instance_id
    made = scene.ec2.world.machine(new).volumes
    for volume in made.values():
        volume.visible_at = scene.now + timedelta(minutes=4)
    scene.run(900, until=lambda: scene.serving(agent) != old and scene.is_open(agent))
    state = made["/dev/sdf"].volume_id
    assert scene.rows(storage_resources, storage_resources.c.id == state) == []
    scene.ec2.controls.fail_instance(new)
    scene.run(1200, until=lambda: scene.serving(agent) != new and scene.is_open(agent))
    assert scene.last_move(agent).kind == MoveKind.VOLUME
    (view,) = scene.ec2.describe_volumes([state])
    assert view.attached_to == scene.serving(agent)


@pytest.mark.parametrize("notice_seconds", [0, 120])
def test_the_disk_of_a_standby_that_died_with_its_primary_is_kept_when_an_older_image_comes_back(
    scene, notice_seconds
):
    """The primary's state lay on its root disk, which nobody was allowed to keep."""
    scene.ec2.faults.sometimes("keep_volumes", 1.0, lambda: NeedsPerson("UnauthorizedOperation", "no"))
    agent = scene.protect(pool=A, terminate_wait_seconds=0, restore_point_hours=24, handed_over=False)
    scene.run(1800, until=lambda: scene.rows(storage_resources, *_DONE))
    scene.config(agent, manual_replica_enabled=True)
    scene.run(900, until=lambda: [r.status for r in scene.live_replicas(agent)] == [ReplicaStatus.READY])
    old, (standby,) = scene.serving(agent), scene.live_replicas(agent)
    (copy,) = scene.rows(
        storage_resources,
        storage_resources.c.attached_to == standby.instance_id,
        storage_resources.c.device == STATE_DEVICE,
    )
    on_root = sa.update(instances).where(instances.c.id == old).values(state_on_root=True)
    scene.db.write(lambda tx: tx.execute(on_root))
    scene.ec2.controls.interrupt(standby.instance_id, notice_seconds=notice_seconds)
    scene.run(15)
    scene.ec2.controls.interrupt(old, notice_seconds=0)
    scene.run(3600, until=scene.serves_elsewhere(agent, old))
    scene.run(3600)
    assert scene.last_move(agent).kind == MoveKind.IMAGE
    assert scene.ec2.describe_volumes([copy.id])
    assert copy.id in [one.row.id for one in scene.db.read(left_for_people.of_all)]
