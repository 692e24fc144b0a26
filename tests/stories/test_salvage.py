"""After an unheard death: what the dead one's volume has that the promoted standby lacks is told, and offered.

It is looked at by a copy: the volume itself is shown to nobody.
"""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.salvages import PURPOSE
from spotguard.domain.switches import Step
from spotguard.domain.tags import AGENT_TAG, CLIENT_TAG, MANAGED_TAG, PURPOSE_TAG, SWITCH_TAG
from spotguard.planning.cleaning import DELETED
from spotguard.ports.cloud import VolumeState, VolumeView
from spotguard.simulation.audit import judge, orphans_of
from spotguard.store.salvages import ask, begin, measured
from spotguard.store.tables import salvages


def lost_state(scene):
    return scene.get(f"/api/client/agents/{scene.agent().id}")["lostState"]


def told(scene):
    events = scene.get(f"/api/client/agents/{scene.agent().id}/events")["items"]
    return [event["message"] for event in events if event["kind"] == "lost_state"]


def standing_by(scene, *, in_its_zone):
    """A ready standby in the primary's zone or in another one."""
    az = scene.agent().az
    zones = [az] if in_its_zone else [f"{az[:-1]}{letter}" for letter in "abc" if letter != az[-1]]
    scene.configure(allowedAzs=zones, manualReplicaEnabled=True)
    standby = scene.until(scene.ready_replica, minutes=15)
    scene.wait(minutes=5)
    assert (standby.az == az) is in_its_zone
    return standby


def dies_unheard(scene):
    dead = scene.agent().instance_id
    machine = scene.world.ec2.world.machines[InstanceId(dead)]
    volumes = {volume.device: volume.volume_id for volume in machine.volumes.values()}
    scene.world.ec2.controls.fail_instance(InstanceId(dead))
    scene.until(lambda: scene.agent().instance_id != dead, minutes=10)
    return volumes


def volume(scene, volume_id):
    return scene.world.ec2.describe_volumes([VolumeId(volume_id)])[0]


def copies(scene):
    """Volumes and snapshots that carry the tag of a look, as EC2 shows them."""
    tags, ec2 = {PURPOSE_TAG: PURPOSE}, scene.world.ec2
    shown = *ec2.describe_volumes(tags=tags), *ec2.describe_snapshots(tags=tags)
    return [one for one in shown if getattr(one, "state", None) is not VolumeState.DELETING]


def test_a_look_whose_beginning_is_written_once_more_is_the_same_look(scene):
    """The commit came through, its answer did not: the transaction is run again."""
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    begun = scene.until(lambda: lost_state(scene), minutes=20)
    (move,) = (row for row in scene.switches() if row.is_recovery)
    db, now = scene.world.db, scene.world.clock.now()
    assert db.write(lambda tx: begin(tx, now, move))
    assert lost_state(scene) == begun
    assert db.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(salvages))) == 1


def test_two_coordinators_that_see_it_attached_at_once_ask_for_one_look(scene):
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    world = scene.world
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "waiting", minutes=20)
    (seen,) = world.db.read(lambda tx: tx.execute(sa.select(salvages)).all())
    for _ in range(2):
        world.db.write(lambda tx: ask(tx, world.clock.now(), seen))
    assert [row.command_type for row in scene.commands()].count("compare_state") == 1


@pytest.mark.parametrize("in_its_zone", [True, False])
def test_it_is_compared_on_the_new_primary_by_a_copy_that_is_deleted_afterwards(scene, in_its_zone):
    standing_by(scene, in_its_zone=in_its_zone)
    dead = scene.agent().instance_id
    volumes = dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "attached", minutes=30)
    (copy,) = (one for one in copies(scene) if isinstance(one, VolumeView))
    assert (copy.attached_to, copy.az) == (scene.agent().instance_id, scene.agent().az)
    assert {MANAGED_TAG, CLIENT_TAG, AGENT_TAG, SWITCH_TAG} <= copy.tags.keys()
    assert scene.volume_row(copy.volume_id).last_attached_to is None, "it is nobody's state"
    found = scene.until(lambda: (s := lost_state(scene)) and s["completedAt"] and s, minutes=20)
    assert found["status"] == "offered"
    loss = scene.world.registers["web-1"].losses[-1]
    assert found["files"] == loss.count > 0
    assert found["bytes"] == loss.count * 64 * 1024
    assert found["newestAt"] is not None
    assert copies(scene) == [], "snapshot and copy are gone before the end is told"
    assert found["volumeId"] in volumes.values()
    kept = volume(scene, found["volumeId"])
    assert (kept.state, kept.attached_to) == (VolumeState.AVAILABLE, None)
    assert (kept.az == scene.agent().az) is in_its_zone
    assert scene.volume_row(found["volumeId"]).last_attached_to == dead
    (message,) = told(scene)
    assert "nothing is merged by itself" in message
    scene.wait(minutes=10)
    deleted = [event.detail["kind"] for event in scene.events(DELETED)]
    assert sorted(deleted) == ["snapshot", "volume"]
    scene.world.settle()
    assert judge(scene.world).broken == []
    assert not orphans_of(scene.world)


@pytest.mark.long
def test_its_owners_volume_with_the_lost_writes_says_so_before_it_says_how_to_delete_it(scene):
    standing_by(scene, in_its_zone=False)
    dead = scene.agent().instance_id
    dies_unheard(scene)
    found = scene.until(lambda: (s := lost_state(scene)) and s["completedAt"] and s, minutes=40)
    assert not scene.volume_row(found["volumeId"]).is_ours
    assert found["keptUntil"] is None, "a person's to delete"
    scene.until(lambda: scene.events("leftover_kept"), minutes=25 * 60)
    (told,) = (
        one for one in scene.get("/api/client/leftovers")["items"] if one["resourceId"] == found["volumeId"]
    )
    assert told["looseBecause"].startswith(
        f"its owner brought it, and {dead}, which died unheard, left it: it has {found['files']} files "
        f"({found['bytes']} bytes) that who serves lacks, the newest of "
    )
    (kept,) = (one for one in scene.events("leftover_kept") if one.detail["resource_id"] == found["volumeId"])
    lacks, delete = kept.message.index("that who serves lacks"), kept.message.index("delete-volume")
    assert lacks < delete


def test_a_copy_that_nobody_waits_for_any_more_is_deleted_too(scene):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    scene.until(lambda: copies(scene), minutes=20)
    assert lost_state(scene)["status"] == "copying"
    scene.order_move(in_its_zone=False)
    found = scene.until(lambda: (s := lost_state(scene)) and s["completedAt"] and s, minutes=30)
    assert (found["status"], found["because"]) == ("failed", "the workload moved on meanwhile")
    assert copies(scene) == []
    assert volume(scene, found["volumeId"]).attached_to is None


def test_a_new_primary_that_dies_during_the_look_at_a_copy_is_recovered_from_its_own_state(scene):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "attached", minutes=30)
    row, register = scene.agent(), scene.world.registers["web-1"]
    scene.configure(manualReplicaEnabled=False)
    losses = len(register.losses)
    scene.world.ec2.controls.fail_instance(InstanceId(row.instance_id))
    scene.until(lambda: scene.agent().instance_id != row.instance_id, minutes=30)
    scene.until(lambda: register.serving() == [scene.agent().instance_id], minutes=10)
    assert len(register.losses) == losses, "its own volume was carried over"
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=90)
    assert copies(scene) == []


def test_a_move_that_a_user_orders_waits_for_the_look_and_a_death_does_not(scene):
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "waiting", minutes=20)
    row = scene.agent()
    refused = scene.post(
        f"/api/client/instances/{row.instance_id}/force-switch", {"target": "ondemand"}, expect=409
    )
    assert "attached for a look" in refused["detail"]
    scene.world.ec2.controls.fail_instance(InstanceId(row.instance_id))
    scene.until(lambda: scene.agent().instance_id != row.instance_id, minutes=30)
    found = scene.until(lambda: (s := lost_state(scene)) and s["completedAt"] and s, minutes=30)
    assert volume(scene, found["volumeId"]).attached_to is None
    register = scene.world.registers["web-1"]
    scene.until(lambda: register.serving() == [scene.agent().instance_id], minutes=5)


def test_a_drill_waits_for_the_look_and_not_for_the_day_on_which_the_volume_is_kept(scene):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "copying", minutes=20)
    page, drill = f"/api/client/agents/{scene.agent().id}", {"kind": "failover"}
    scene.until(lambda: scene.has_recorded(Step.OLD_ENDED), minutes=5)
    assert "is looked at" in scene.post(f"{page}/drill", drill, expect=409)["detail"]

    scene.until(lambda: lost_state(scene)["completedAt"] and scene.ready_replica(), minutes=30)
    assert scene.switches()[-1].status == "committed", "the volume is kept"
    assert "finish the move" not in scene.get(page)["nextAction"]
    scene.post(f"{page}/drill", drill, expect=202)
    scene.until(lambda: scene.get(page)["lastDrill"], minutes=10)
    assert scene.get(page)["lastDrill"]["passed"]
    assert lost_state(scene)["volumeDeletedAt"] is None
    scene.world.ec2.delete_volume(
        VolumeId(lost_state(scene)["volumeId"])
    )  # by its owner, when he has recovered it
    found = scene.until(lambda: (s := lost_state(scene))["volumeDeletedAt"] and s, minutes=10)
    assert found["status"] == "offered"


@pytest.mark.long
def test_an_agent_whose_dead_instances_volume_is_kept_may_be_deleted_and_its_user_keeps_the_volume(scene):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["completedAt"], minutes=40)
    kept = lost_state(scene)["volumeId"]
    scene.delete(f"/api/client/agents/{scene.agent().id}")
    scene.wait(hours=25)
    assert volume(scene, kept).state is VolumeState.AVAILABLE


@pytest.mark.long
def test_a_volume_that_cannot_be_taken_away_after_its_look_is_told_once(scene):
    """It is still mounted, and EC2 goes on detaching for as long as that."""
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "attached", minutes=30)
    ec2 = scene.world.ec2.world
    ec2.physics = replace(ec2.physics, detach_seconds=(6 * 3600, 6 * 3600))
    scene.until(lambda: lost_state(scene)["status"] == "detaching", minutes=30)
    scene.wait(minutes=14)
    assert told(scene) == []
    scene.wait(hours=4)
    (message,) = told(scene)
    assert message.startswith(f"the look at {lost_state(scene)['volumeId']} by its copy vol-")
    assert f"does not take it away from {scene.agent().instance_id}" in message
    assert "unmount it" in message
    scene.wait(hours=3)
    assert lost_state(scene)["completedAt"]
    assert len(told(scene)) == 2, "and what it has come to"


@pytest.mark.parametrize(
    "said",
    [
        None,
        {"files": 1, "bytes": 10},
        {"files": 1, "bytes": 10, "newest_at": None},
        {"files": 1, "bytes": 10, "newest_at": "yesterday"},
        {"files": -1, "bytes": 10, "newest_at": None},
        {"files": True, "bytes": 10, "newest_at": None},
    ],
)
def test_half_an_answer_is_none(said):
    with pytest.raises(InvalidInput):
        measured(said)


def test_an_answer_of_no_files_needs_no_time():
    assert measured({"files": 0, "bytes": 0, "newest_at": None})["files"] == 0
