"""A look at a dead holder's volume that is called off while something of it is under way leaves nothing behind."""

import pytest
import sqlalchemy as sa

from spotguard.coordinator.coordinator import Coordinator
from spotguard.domain.ids import InstanceId, VolumeId
from spotguard.domain.salvages import SALVAGE_DEVICE
from spotguard.store.tables import salvages
from tests.coordinator.test_probes_raced import Interrupted
from tests.stories.test_salvage import copies, dies_unheard, lost_state, standing_by, volume


def kill_switch(scene, level):
    """It calls a look off."""
    scene.put("/api/client/kill-switch", {"level": level, "scope": "client", "reason": "a holiday"})


@pytest.mark.parametrize("hidden", [0, 120])
def test_a_copy_that_ec2_does_not_show_yet_is_deleted_all_the_same(scene, hidden):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    scene.until(lambda: copies(scene), minutes=20)
    scene.world.ec2.controls.hide_new((hidden, hidden))
    scene.until(lambda: lost_state(scene)["status"] == "waiting", minutes=30)
    kill_switch(scene, "voluntary")
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=30)
    kill_switch(scene, "none")
    scene.world.ec2.controls.hide_new(None)
    scene.wait(hours=2)
    assert copies(scene) == []


def test_what_another_coordinator_has_ended_is_not_attached_any_more(scene):
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "waiting", minutes=20)
    former = scene.world.seats[0].coordinator.ctx

    def called_off():
        kill_switch(scene, "voluntary")
        scene.wait(seconds=50)
        assert lost_state(scene)["status"] == "failed"

    cloud = Interrupted(scene.world.ec2, "attach_volume", called_off)
    world = scene.world
    slow = Coordinator(
        world.db, lambda _client: cloud, world.clock, former.settings, world.wakeups, former.traffics
    )
    slow.run_pass()
    found = lost_state(scene)
    scene.wait(hours=2)
    assert volume(scene, found["volumeId"]).attached_to is None


def test_a_look_that_a_server_before_this_one_began_at_the_volume_itself_ends_and_takes_it_away(scene):
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "copying", minutes=20)
    found, world, row = lost_state(scene), scene.world, scene.agent()
    world.ec2.attach_volume(VolumeId(found["volumeId"]), InstanceId(row.instance_id), SALVAGE_DEVICE)
    world.db.write(lambda tx: tx.execute(sa.update(salvages).values(status="waiting", copy_id=None)))
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=10)
    assert "without a copy" in lost_state(scene)["because"]
    assert volume(scene, found["volumeId"]).attached_to is None
    scene.wait(hours=2)
    assert copies(scene) == []


def test_a_look_that_ends_in_the_moment_in_which_its_snapshot_was_asked_for_leaves_none(scene):
    """EC2 shows it a while later, and nobody would look for it any more."""
    standing_by(scene, in_its_zone=True)
    scene.world.ec2.controls.hide_new((50, 50))
    dies_unheard(scene)
    scene.until(lambda: lost_state(scene), minutes=20)
    scene.wait(seconds=12)
    kill_switch(scene, "voluntary")
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=30)
    scene.wait(minutes=2)
    assert copies(scene) == []


def test_a_copy_that_ec2_shows_to_nobody_is_not_waited_for(scene):
    """It has said that it makes one, and then could not use the key."""
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "waiting", minutes=30)
    world = scene.world
    world.db.write(lambda tx: tx.execute(sa.update(salvages).values(copy_id="vol-0123456789abcdef0")))
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=12)
    assert "EC2 shows no vol-0123456789abcdef0" in lost_state(scene)["because"]
