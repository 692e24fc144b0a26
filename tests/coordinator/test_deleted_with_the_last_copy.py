"""An agent is deleted while nobody serves: what a standby had received may be all that is left, and is its user's."""

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.store import deletions
from spotguard.store.tables import agents
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_deleting_the_disabled import delete
from tests.coordinator.test_told_to_delete import exists, loses_its_state_and_dies, state_of
from tests.coordinator.test_what_was_left import Ended, living_volumes


def left(done):
    return {one.row.id for one in done.left}


def test_the_copy_that_people_are_told_of_outlives_the_deletion_of_its_agent():
    ended = Ended()
    scene = ended.scene
    assert any(ended.copy in message for message in ended.told("instance_ended"))
    (agent,) = scene.rows(agents)
    done = delete(scene, agent.id)
    assert ended.copy in left(done)
    scene.run(1800)
    assert ended.copy in living_volumes(scene)


@pytest.mark.parametrize("how", ["hands off", "kill switch"])
def test_a_living_standby_outlives_it_and_is_told_as_left(how):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, terminate_wait_seconds=0, manual_replica_enabled=True)
    scene.run(1200, until=lambda: [r for r in scene.live_replicas(agent) if r.status == "ready"])
    (replica,) = scene.live_replicas(agent)
    copy = state_of(scene, replica.instance_id)
    if how == "hands off":
        scene.config(agent, enabled=False)
    else:
        scene.turn(KillLevel.ALL)
    loses_its_state_and_dies(scene, scene.serving(agent))
    scene.turn(KillLevel.NONE)
    done = scene.db.write(lambda tx: deletions.delete(tx, scene.now, scene.client_id, agent))
    assert {replica.instance_id, copy} <= left(done)
    assert done.standbys == ()
    scene.run(3600)
    assert replica.instance_id in scene.running()
    assert exists(scene, copy)
