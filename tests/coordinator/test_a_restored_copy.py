"""The database was put back to an older copy: what its rows take for idle may be what serves by now (invariant 7)."""

from types import SimpleNamespace

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.commands import CommandType
from spotguard.domain.switches import Step
from spotguard.store import claims, kill, leftover_report, releases
from spotguard.store.tables import agent_events, commands, epoch_grants, switches
from tests.coordinator.scene import A, B, Scene


@pytest.fixture
def scene():
    return Scene(executor=Executor.SERVER)


def under_way(scene):
    """A move whose new instance has been launched: as the copy shows it. The agent, the new instance."""
    agent = scene.protect(pool=A)
    scene.run(60)
    opened = scene.switch(agent, B)
    scene.run(300, until=lambda: Step.LAUNCHED in scene.steps(opened.switch_id))
    return agent, scene.move(opened.switch_id).new_instance_id


def turn(scene, level):
    """By the operator, for everybody."""
    scene.db.write(lambda tx: kill.set_level(tx, scene.now, kill.EVERYONE, kill.EVERYONE, level, "restored"))


def tell(scene, agent, instance_id, epoch):
    """The heartbeat of who holds an epoch that the copy does not know."""
    caller = SimpleNamespace(
        client_id=scene.client_id, agent_id=agent, instance_id=instance_id, epoch=scene.agent(agent).epoch
    )
    scene.db.write(lambda tx: claims.told(tx, scene.now, caller, epoch))


def test_while_all_is_stopped_no_machine_is_ended_and_afterwards_what_has_no_role_is(scene):
    agent, new = under_way(scene)
    scene.mute.add(new)  # its agent's token is of a later day: nobody hears it
    turn(scene, KillLevel.ALL)
    scene.run(1800)
    assert scene.row(switches).status == "unwound"
    assert new in scene.running()
    assert scene.breaches() == [], "it is no orphan: people hold it"
    (told,) = scene.db.read(lambda tx: leftover_report.report(tx, scene.now))
    assert (told.resource_id, told.may_go_at) == (new, None)
    assert "kill switch" in told.plan
    turn(scene, KillLevel.NONE)
    scene.run(600, until=lambda: new not in scene.running())
    assert scene.is_open(agent)


def test_nor_is_its_agent_asked_to_end_it(scene):
    _, new = under_way(scene)
    scene.mute.add(new)
    scene.has_cloud = False
    turn(scene, KillLevel.ALL)
    scene.run(900)
    assert scene.row(switches).status == "unwound"
    asked = commands.c.command_type == CommandType.RETIRE_REPLICA.value
    assert scene.rows(commands, asked) == []
    turn(scene, KillLevel.NONE)
    scene.run(600, until=lambda: bool(scene.rows(commands, asked)))


def test_who_says_that_it_holds_a_newer_epoch_is_never_ended_for_the_role_that_the_copy_gives_it(scene):
    agent, new = under_way(scene)
    tell(scene, agent, new, epoch=2)
    scene.mute.add(new)
    turn(scene, KillLevel.ALL)
    scene.run(60)
    turn(scene, KillLevel.NONE)
    scene.run(1800)
    assert scene.row(switches).status == "unwound"
    assert new in scene.running()


def test_nor_as_the_old_instance_of_a_move_from_which_its_workload_has_come_back(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=60)
    scene.run(60)
    old, opened = scene.serving(agent), scene.switch(agent, B)
    scene.run(1200, until=lambda: Step.GRANTED in scene.steps(opened.switch_id))
    tell(scene, agent, old, epoch=3)
    scene.run(900, until=lambda: bool(scene.rows(agent_events, agent_events.c.kind == "old_kept")))
    scene.run(300)
    assert old in scene.running()


def test_who_had_let_go_of_its_epoch_is_given_none_back_while_all_is_stopped(scene):
    """For a move that the copy does not know: another one serves, perhaps unheard, and this one has an old state."""
    agent = scene.protect(pool=A)
    scene.run(60)
    turn(scene, KillLevel.ALL)
    old = scene.serving(agent)
    scene.db.write(lambda tx: releases.heard(tx, scene.now, scene.client_id, agent, old, 1))
    scene.run(600)
    assert [row.epoch for row in scene.rows(epoch_grants)] == [1]
    (told,) = scene.rows(agent_events, agent_events.c.kind == "nobody_serves")
    assert "kill switch" in told.message
    turn(scene, KillLevel.NONE)
    scene.run(60, until=lambda: scene.agent(agent).epoch == 2)
