"""A standby that registers anew and never hears the answer: nobody can give it an epoch, and nobody waits unsaid."""

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.instances import Mode
from spotguard.domain.switches import MoveKind
from spotguard.store import obstacles
from spotguard.store.tables import agent_events
from tests.coordinator.guests import Guest
from tests.coordinator.scene import A, Scene
from tests.coordinator.test_another_boot import ready, registered


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def told(scene):
    return [event.message for event in scene.rows(agent_events, agent_events.c.kind == "instance_ended")]


def grows_deaf_and_loses_its_primary(scene, agent):
    """Its agent was started anew; the answer is lost with all that follows."""
    old, standby = scene.serving(agent), ready(scene, agent).instance_id
    registered(scene, standby, "1")
    scene.guests.pop(standby)
    scene.mute.add(standby)
    scene.guests.pop(old)
    scene.ec2.controls.fail_instance(old)
    return old, standby


def test_the_volume_is_fetched_where_there_is_one(scene):
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, manual_replica_enabled=True)
    scene.run(900, until=lambda: ready(scene, agent) is not None)
    scene.run(120)
    old, standby = grows_deaf_and_loses_its_primary(scene, agent)
    scene.run(4 * 3600, until=lambda: scene.serving(agent) not in (old, standby) and scene.is_open(agent))


@pytest.fixture
def agent(scene):
    """Its state lies on no volume that survives; there is a restore point."""
    agent = scene.protect(
        pool=A,
        mode=Mode.ONDEMAND,
        state_gib=None,
        manual_replica_enabled=True,
        restore_point_hours=1,
        restore_drill_days=0,
    )
    scene.run(900, until=lambda: ready(scene, agent) is not None)
    scene.run(1800, until=lambda: bool(scene.restore_points(agent)))
    return agent


def test_with_no_volume_left_people_are_told_which_standby_has_the_newest_state_and_what_to_do(scene, agent):
    old, standby = grows_deaf_and_loses_its_primary(scene, agent)
    scene.run(6 * 3600)
    assert scene.serving(agent) == old
    (why,) = told(scene)
    assert f"the standby {standby}, which has the newest state, hears nothing" in why
    assert "restart its agent or mend its network, and it serves; or terminate it" in why
    assert why.endswith("and then: the newest image is taken")
    assert scene.db.read(lambda tx: obstacles.of_serving(tx, [agent])) == {agent: why}
    assert scene.breaches() == []


def test_it_serves_once_its_agent_hears(scene, agent):
    old, standby = grows_deaf_and_loses_its_primary(scene, agent)
    scene.run(3600)
    assert scene.serving(agent) == old
    scene.guests[standby] = Guest(standby, agent, registered(scene, standby, "1"))
    scene.run(120, until=scene.serves_elsewhere(agent, old))
    assert scene.serving(agent) == standby
    assert scene.breaches() == []


def test_who_terminates_it_is_served_what_he_was_told(scene, agent):
    old, standby = grows_deaf_and_loses_its_primary(scene, agent)
    scene.run(3600)
    scene.ec2.controls.fail_instance(standby)
    scene.run(1200, until=scene.serves_elsewhere(agent, old))
    assert scene.last_move(agent).kind == MoveKind.IMAGE
    assert scene.breaches() == []
