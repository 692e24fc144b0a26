"""Who has let go and lives on without serving: nobody serves, and no rule goes on from there."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor
from spotguard.domain.ids import InstanceId
from spotguard.domain.signals import SignalType
from spotguard.store import releases, views_agents
from spotguard.store.tables import agent_events, storage_resources
from tests.coordinator.scene import A, Scene


class Everybody:
    def __contains__(self, _instance_id):
        return True


def let_go(scene, agent):
    """For a notice; its standby never comes up, and AWS does not take it. Who has let go."""
    old = scene.serving(agent)
    scene.mute = Everybody()
    guest, now = scene.guests[old], scene.now
    scene._send(guest, SignalType.TERMINATION, now, now + timedelta(seconds=120))
    scene.run(130)
    assert not scene.is_open(agent)
    return guest


@pytest.mark.parametrize(
    ("enabled", "mend"), [(True, "terminate it, and the workload is recovered"), (False, "enable it")]
)
def test_who_has_let_go_outlives_its_notice_and_may_not_serve_on_is_told_of(scene, agent, enabled, mend):
    """Nothing else would ever happen: nobody hears it, or it is nobody's to give back."""
    guest = let_go(scene, agent)
    guest.silent = enabled
    scene.config(agent, enabled=enabled)
    scene.run(1500)
    (told,) = scene.rows(agent_events, agent_events.c.kind == "nobody_serves")
    assert mend in told.message
    action, why = outlook_of(scene, agent)
    assert action.startswith("nobody serves it")
    assert why == told.message


def test_of_who_died_with_the_agent_disabled_nobody_reads_that_it_stays():
    scene = Scene()
    agent = scene.protect(pool=A)
    scene.run(60)
    scene.config(agent, enabled=False)
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=0)
    scene.run(300)
    (ended,) = scene.rows(agent_events, agent_events.c.kind == "instance_ended")
    assert outlook_of(scene, agent) == ("nobody serves it: see what it waits for", ended.message)
    scene.config(agent, enabled=True)
    scene.run(900, until=lambda: scene.is_open(agent))
    assert "nobody serves" not in outlook_of(scene, agent)[0]


def test_a_recovery_that_finds_no_capacity_says_so_until_it_has_an_instance():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(60)
    scene.dry_up()
    scene.ec2.controls.interrupt(scene.serving(agent), notice_seconds=0)
    scene.run(600, until=lambda: scene.rows(agent_events, agent_events.c.kind == "recovery_waits"))
    (waits,) = scene.rows(agent_events, agent_events.c.kind == "recovery_waits")
    action, why = outlook_of(scene, agent)
    assert action.startswith("move to ")
    assert why == waits.message
    scene.end_drought()
    scene.run(900, until=lambda: scene.is_open(agent))
    assert outlook_of(scene, agent)[1] != waits.message


def outlook_of(scene, agent):
    view = scene.db.read(lambda tx: views_agents.agent(tx, scene.now, scene.client_id, agent))
    return view.outlook.next_action, view.outlook.why


def test_who_is_heard_long_after_the_end_that_its_notice_named_serves_on(scene, agent):
    guest = let_go(scene, agent)
    scene.run(500)
    assert not scene.is_open(agent), "it may still be taken"
    scene.run(200, until=lambda: scene.is_open(agent))
    assert (scene.serving(agent), scene.agent(agent).epoch) == (guest.instance_id, 2)
    assert scene.rows(agent_events, agent_events.c.kind == "nobody_serves") == []


def test_who_lets_go_again_for_the_same_notice_is_given_no_epoch_again(scene, agent):
    """Its metadata show it still: it would let go of each that it was given."""
    guest = let_go(scene, agent)
    scene.run(700, until=lambda: scene.is_open(agent))
    scene.db.write(lambda tx: releases.heard(tx, scene.now, scene.client_id, agent, guest.instance_id, 2))
    scene.run(1200)
    assert scene.agent(agent).epoch == 2
    (told,) = scene.rows(agent_events, agent_events.c.kind == "nobody_serves")
    assert "terminate it" in told.message


def test_who_has_let_go_and_whose_volume_somebody_else_has_is_told_of_and_serves_on_once_it_is_back():
    """No move of these rows took it there: whoever has it may serve."""
    scene = Scene(executor=Executor.SERVER)
    agent, other = scene.protect(pool=A), scene.protect("db", pool=A, state_gib=None)
    scene.run(60)
    old, thief = scene.serving(agent), InstanceId(scene.serving(other))
    volume = scene.row(storage_resources, storage_resources.c.device == "/dev/sdf").id
    scene.db.write(lambda tx: releases.heard(tx, scene.now, scene.client_id, agent, old, 1))
    move_volume(scene, volume, thief)
    scene.run(1200)
    assert not scene.is_open(agent)
    (told,) = scene.rows(agent_events, agent_events.c.kind == "nobody_serves")
    assert f"its volume {volume} is attached to {thief}" in told.message
    assert outlook_of(scene, agent)[1] == told.message

    move_volume(scene, volume, old)
    scene.run(300, until=lambda: scene.is_open(agent))
    assert scene.serving(agent) == old


def move_volume(scene, volume, to):
    """By a stranger, between two looks."""
    scene.ec2.detach_volume(volume)
    scene.clock.time += timedelta(seconds=10)
    scene.ec2.attach_volume(volume, to, "/dev/sdf")
    scene.clock.time += timedelta(seconds=10)
