"""An agent is deleted while nobody knows yet that its standby serves by a ticket."""

import pytest

from tests.primacy.test_by_ticket import protected, serving, ticket


@pytest.fixture
def scene():
    stage = protected(troubled=True)
    yield stage
    stage.close()


def test_the_standby_that_serves_by_its_ticket_serves_on_and_is_told_to_be_left(scene):
    old, standby = scene.agent().instance_id, scene.ready_replica().instance_id
    lines = [scene.world.trouble_of(one).line for one in (old, standby)]
    for line in lines:
        line.request_lost = 1.0
    scene.aws_gives_notice()
    scene.until(lambda: serving(scene) == [standby], seconds=20)
    scene.delete(f"/api/client/agents/{scene.agent().id}")
    for line in lines:
        line.request_lost = 0.0
    scene.wait(hours=2)
    assert serving(scene) == [standby], "nobody ends what serves its user"
    left = {one["resourceId"] for one in scene.get("/api/client/leftovers")["items"]}
    assert standby in left
    assert ticket(scene).status == "used"
    assert [move.status for move in scene.switches()] == ["completed", "completed"]
