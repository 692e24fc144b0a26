"""What EC2 refuses to delete after a look at a dead holder's volume is told: moves and restore points wait for it."""

import pytest

from spotguard.domain.errors import NeedsPerson
from tests.stories.test_salvage import dies_unheard, lost_state, standing_by


@pytest.mark.parametrize("call", ["delete_snapshot", "delete_volume", "detach_volume"])
def test_a_copy_that_ec2_refuses_to_delete_is_told_to_a_person(scene, call):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "attached", minutes=30)
    scene.world.ec2.faults.sometimes(call, 1.0, lambda: NeedsPerson("UnauthorizedOperation", "no such right"))
    scene.wait(minutes=40)
    assert lost_state(scene)["status"] == "detaching"
    (told,) = scene.events("needs_person")
    assert "no such right" in told.message
    scene.world.ec2.faults.sometimes(call, 0)
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=10)


def test_an_account_that_is_taken_away_meanwhile_is_told_to_a_person(scene):
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "attached", minutes=30)
    ctx = scene.world.seats[0].coordinator.ctx
    clouds, ctx.clouds = ctx.clouds, lambda _client: None
    scene.wait(minutes=90)
    (told,) = scene.events("lost_state")
    assert lost_state(scene)["volumeId"] in told.message
    assert "spotguard client account" in told.message
    ctx.clouds = clouds
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=10)
