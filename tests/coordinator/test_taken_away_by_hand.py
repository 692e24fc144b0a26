"""While its user has stopped everything, or keeps hands off, what a person takes away to work on stays with him."""

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, Scene


@pytest.mark.parametrize("how", ["kill switch", "hands off"])
def test_what_a_person_detaches_stays_detached(how):
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(120)
    volume = scene.volume_at(scene.serving(agent))
    if how == "kill switch":
        scene.turn(KillLevel.ALL)
    else:
        scene.config(agent, enabled=False)
    scene.run(60)
    scene.ec2.detach_volume(volume)
    scene.run(900)
    assert scene.holder_of(volume) is None
    told = [event.message for event in scene.rows(agent_events, agent_events.c.kind == "volume_adrift")]
    assert [("nobody attaches it" in message) for message in told] == ([True] if how == "kill switch" else [])
    scene.turn(KillLevel.NONE)
    scene.config(agent, enabled=True)
    scene.run(300)
    assert scene.holder_of(volume) == scene.serving(agent)
