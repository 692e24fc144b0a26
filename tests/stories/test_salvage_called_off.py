"""A look at a dead holder's volume that is called off while something of it is under way leaves nothing behind."""

import pytest

from spotguard.coordinator.coordinator import Coordinator
from tests.coordinator.test_probes_raced import Interrupted
from tests.stories.test_salvage import copies, dies_unheard, lost_state, standing_by, volume


@pytest.mark.parametrize("hidden", [0, 120])
def test_a_copy_that_ec2_does_not_show_yet_is_deleted_all_the_same(scene, hidden):
    standing_by(scene, in_its_zone=False)
    dies_unheard(scene)
    scene.until(lambda: copies(scene), minutes=20)
    scene.world.ec2.controls.hide_new((hidden, hidden))
    scene.until(lambda: lost_state(scene)["status"] == "waiting", minutes=30)
    stop = {"level": "voluntary", "scope": "client", "reason": "a holiday"}
    scene.put("/api/client/kill-switch", stop)
    scene.until(lambda: lost_state(scene)["completedAt"], minutes=30)
    scene.put("/api/client/kill-switch", {**stop, "level": "none"})
    scene.world.ec2.controls.hide_new(None)
    scene.wait(hours=2)
    assert copies(scene) == []


def test_what_another_coordinator_has_ended_is_not_attached_any_more(scene):
    standing_by(scene, in_its_zone=True)
    dies_unheard(scene)
    scene.until(lambda: (s := lost_state(scene)) and s["status"] == "waiting", minutes=20)
    former = scene.world.seats[0].coordinator.ctx

    def called_off():
        stop = {"level": "voluntary", "scope": "client", "reason": "a holiday"}
        scene.put("/api/client/kill-switch", stop)
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
