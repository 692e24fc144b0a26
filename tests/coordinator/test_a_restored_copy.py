"""The database was put back to an older copy: what its rows take for idle may be what serves by now (invariant 7)."""

from types import SimpleNamespace

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.commands import CommandType
from spotguard.domain.switches import MoveKind, Step
from spotguard.planning.switching import STATE_DEVICE
from spotguard.store import claims, kill, leftover_report, releases, resuming
from spotguard.store.tables import agent_events, commands, epoch_grants, storage_resources, switches
from tests.coordinator.scene import A, B, C, Scene
from tests.coordinator.strays import machine_of_an_unknown_launch


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
        client_id=scene.client_id,
        agent_id=agent,
        instance_id=instance_id,
        epoch=scene.agent(agent).epoch,
        claimed_epoch=None,
        claimed_boot=None,
        boot_id="boot",
    )
    scene.db.write(lambda tx: claims.told(tx, scene.now, caller, epoch, released=None))


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


def recoveries(scene):
    return scene.rows(switches, switches.c.is_recovery)


@pytest.mark.parametrize("way", ["dead", "let go", "another boot"])
def test_nobody_takes_over_while_an_instance_lives_whose_launch_these_rows_do_not_know(scene, way):
    agent = scene.protect(pool=A)
    scene.run(60)
    old = scene.serving(agent)
    turn(scene, KillLevel.ALL)
    leave(scene, agent, old, way)
    scene.run(60)
    newer = machine_of_an_unknown_launch(scene, agent)
    scene.run(60)
    turn(scene, KillLevel.NONE)
    scene.run(3600)
    assert [row.epoch for row in scene.rows(epoch_grants)] == [1]
    assert (recoveries(scene), newer in scene.running()) == ([], True)
    kind = "instance_ended" if way == "dead" else "nobody_serves"
    *_, told = scene.rows(agent_events, agent_events.c.kind == kind)
    assert newer in told.message
    assert "backup" in told.message
    scene.ec2.terminate_instance(newer)
    scene.run(1800, until=lambda: scene.agent(agent).epoch > 1)
    assert scene.agent(agent).epoch == 2


def leave(scene, agent, holder, way):
    """As it stands in the copy, or comes to it afterwards."""
    if way == "dead":
        scene.ec2.terminate_instance(holder)
    elif way == "let go":
        scene.db.write(lambda tx: releases.heard(tx, scene.now, scene.client_id, agent, holder, 1))
    else:
        scene.db.write(lambda tx: resuming.resume(tx, scene.now, scene.client_id, agent, holder))


def test_a_recovery_that_the_copy_shows_under_way_comes_to_nothing_then(scene):
    agent = scene.protect(pool=A)
    scene.run(60)
    old = scene.serving(agent)
    scene.ec2.terminate_instance(old)
    scene.run(600, until=lambda: bool(recoveries(scene)))
    newer = machine_of_an_unknown_launch(scene, agent)
    scene.run(7200)
    assert [row.epoch for row in scene.rows(epoch_grants)] == [1]
    assert newer in scene.running()


def test_somebodys_copy_of_a_machine_keeps_nobody_from_a_recovery(scene):
    """Its launch is older than the holder's last word that it serves."""
    agent = scene.protect(pool=A)
    scene.run(60)
    copy = machine_of_an_unknown_launch(scene, agent)
    scene.run(300)
    scene.ec2.terminate_instance(scene.serving(agent))
    scene.run(1800, until=lambda: scene.agent(agent).epoch > 1)
    assert scene.agent(agent).epoch == 2
    assert copy in scene.running()


def test_the_volume_of_one_that_tells_of_an_epoch_that_the_copy_lacks_is_kept_by_the_move_that_left_it(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=0)
    scene.run(60)
    first = scene.switch(agent, B, kind=MoveKind.SYNCED)
    scene.run(1800, until=lambda: scene.move(first.switch_id).status == "completed")
    scene.config(agent, terminate_wait_seconds=3600)
    old = scene.serving(agent)
    second = scene.switch(agent, C, kind=MoveKind.SYNCED)
    scene.run(900, until=lambda: Step.VERIFIED in scene.steps(second.switch_id))
    tell(scene, agent, old, scene.agent(agent).epoch + 1)  # by a way back since the backup
    mine = storage_resources.c.attached_to == old, storage_resources.c.device == STATE_DEVICE
    (state,) = scene.rows(storage_resources, *mine)
    scene.ec2.controls.fail_instance(old)
    scene.run(900)
    (kept,) = scene.rows(storage_resources, storage_resources.c.id == state.id)
    assert kept.ended_at is None
