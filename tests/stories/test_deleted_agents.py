"""A user deletes an agent whose instance SpotGuard launched: it serves on, billed and unguarded, and he is told so."""

import pytest

from spotguard.simulation.audit import ledger_equals_meter, let_go_usd, orphans_of
from tests.stories.scene import Scene


@pytest.fixture
def scene():
    stage = Scene()
    yield stage
    stage.close()


def leftovers(scene):
    return {one["resourceId"]: one for one in scene.get("/api/client/leftovers")["items"]}


def test_what_goes_on_is_named_in_the_answer_the_event_and_the_leftovers_until_its_user_ends_it(scene):
    scene.configure(autoTerminateEnabled=True, terminateWaitSeconds=0, autoSwitchEnabled=False)
    scene.force_to_spot()
    scene.wait(minutes=30)
    serving = scene.agent().instance_id
    answer = scene.delete(f"/api/client/agents/{scene.agent().id}")
    left = {one["resourceId"]: one for one in answer["left"]}
    volumes = {name for name, one in left.items() if one["kind"] == "volume"}
    assert left[serving]["madeBySpotguard"]
    assert (
        f"terminate-instances --region {scene.agent().region} --instance-ids {serving}"
        in left[serving]["plan"]
    )
    assert volumes, "its disks go on too"
    made = {name: left[name]["madeBySpotguard"] for name in volumes}
    assert made == {name: scene.volume_row(name).is_ours for name in volumes}
    assert False in made.values(), "its owner's, which the move carried along"
    (event,) = scene.events("agent_deleted")
    assert "billed and guarded by nobody" in event.message
    assert serving in event.message
    assert set(event.detail["left"]) == left.keys()
    assert scene.delete(f"/api/client/agents/{scene.agent().id}")["left"] == answer["left"], (
        "again is harmless"
    )

    scene.wait(hours=2)
    listed = leftovers(scene)
    assert {serving, *volumes} <= listed.keys()
    assert listed[serving]["mayGoAt"] is None
    assert scene.agent().status == "deleted"
    assert scene.active_instances() == {serving}, "nobody ends what serves its user"
    assert let_go_usd(scene.world) > 0
    scene.world.settle()
    assert ledger_equals_meter(scene.world) == []
    assert orphans_of(scene.world) == []

    scene.world.ec2.terminate_instance(serving)
    scene.wait(minutes=15)
    assert serving not in leftovers(scene)
    assert volumes <= leftovers(scene).keys(), "its state is kept until a person deletes it"


def test_of_an_agent_on_its_owners_own_server_nothing_is_left_over(scene):
    answer = scene.delete(f"/api/client/agents/{scene.agent().id}")
    assert {one["kind"] for one in answer["left"]} >= {"instance"}
    assert not any(one["madeBySpotguard"] for one in answer["left"])
    assert leftovers(scene) == {}
