"""The old instance is ended in its time and by its user's present word, not by what held when the move began."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.commands import CommandType
from spotguard.domain.errors import NeedsPerson
from spotguard.domain.instances import Mode
from spotguard.domain.switches import Step
from spotguard.store import configuration, steps
from spotguard.store.invariant_moves import ENDS_OLD
from spotguard.store.tables import agent_events, commands, switch_steps
from tests.coordinator.scene import A, B, Scene

WAIT = 1800


@pytest.fixture(params=[Executor.AGENT, Executor.SERVER])
def scene(request):
    return Scene(executor=request.param)


@pytest.fixture
def agent(scene):
    agent = scene.protect(pool=A, terminate_wait_seconds=WAIT)
    scene.run(30)
    return agent


def waiting(scene, agent):
    """A move in its waiting time; the old instance, the move."""
    old, opened = scene.serving(agent), scene.switch(agent, B)
    scene.run(1200, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))
    return old, opened.switch_id


def configure(scene, agent, **wanted):
    scene.db.write(lambda tx: configuration.configure(tx, scene.now, scene.client_id, agent, wanted))


def test_auto_terminate_switched_off_meanwhile_leaves_it_running(scene, agent):
    old, move = waiting(scene, agent)
    configure(scene, agent, auto_terminate_enabled=False)
    scene.run(WAIT + 600)
    assert old in scene.running()
    assert scene.move(move).old_terminated_at is None
    assert scene.move(move).status == "completed"


def test_a_longer_wait_counts_from_the_same_moment(scene, agent):
    old, _ = waiting(scene, agent)
    configure(scene, agent, terminate_wait_seconds=2 * WAIT)
    scene.run(WAIT + 300)
    assert old in scene.running()
    scene.run(WAIT, until=lambda: old not in scene.running())
    assert not scene.rows(agent_events, agent_events.c.kind == "step_late")


@pytest.mark.parametrize("level", [KillLevel.VOLUNTARY, KillLevel.ALL])
def test_the_kill_switch_keeps_it_until_it_is_turned_back(scene, agent, level):
    old, _ = waiting(scene, agent)
    scene.turn(level)
    scene.run(WAIT + 3000)
    assert old in scene.running()
    assert scene.breaches() == [], "nothing is late that its user holds"
    assert len(scene.rows(agent_events, agent_events.c.kind == "old_kept")) == 1
    scene.turn(KillLevel.NONE)
    scene.run(600, until=lambda: old not in scene.running())


def test_hands_off_keeps_it_until_hands_are_on_again(scene, agent):
    old, _ = waiting(scene, agent)
    configure(scene, agent, enabled=False)
    scene.run(WAIT + 900)
    assert old in scene.running()
    configure(scene, agent, enabled=True)
    scene.run(600, until=lambda: old not in scene.running())


@pytest.mark.parametrize(
    "change",
    [
        lambda scene, agent: configure(scene, agent, auto_terminate_enabled=False),
        lambda scene, agent: configure(scene, agent, enabled=False),
        lambda scene, agent: configure(scene, agent, terminate_wait_seconds=86_400),
        lambda scene, agent: scene.turn(KillLevel.ALL),
    ],
    ids=["auto-terminate off", "hands off", "a longer wait", "kill switch"],
)
def test_a_command_that_waits_for_its_agent_is_withdrawn_with_the_word_that_made_it(change):
    scene = Scene(executor=Executor.AGENT, has_cloud=True)
    agent = scene.protect(pool=A, terminate_wait_seconds=WAIT)
    scene.run(30)
    old, _ = waiting(scene, agent)
    scene.guests[scene.serving(agent)].silent = True  # it does not come for its commands
    asked = commands.c.command_type == CommandType.TERMINATE_INSTANCE.value
    scene.run(WAIT + 120, until=lambda: bool(scene.rows(commands, asked)))
    change(scene, agent)
    assert [row.status for row in scene.rows(commands, asked)] == ["cancelled"]
    scene.guests[scene.serving(agent)].silent = False
    scene.run(900)
    assert old in scene.running()


def test_one_that_ec2_refuses_to_end_is_told_to_a_person_and_not_announced_again_and_again():
    """As where it is protected from termination."""
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, mode=Mode.ONDEMAND, terminate_wait_seconds=0)
    scene.run(30)

    def protected():
        return NeedsPerson("OperationNotPermitted", "its disableApiTermination attribute is set")

    scene.ec2.faults.sometimes("terminate_instance", 1, protected)
    old, _ = waiting(scene, agent)
    scene.run(1800)
    told = [e for e in scene.rows(agent_events) if e.detail.get("instance_id") == old]
    assert [e.kind for e in told].count("needs_person") == 1
    assert 1 < [e.kind for e in told].count(ENDS_OLD) <= 4
    scene.ec2.faults.sometimes("terminate_instance", 0)
    scene.run(900, until=lambda: old not in scene.running())


def test_one_that_was_never_handed_over_is_told_of_once_since_it_is_billed(scene):
    scene.refuses = frozenset({CommandType.TERMINATE_INSTANCE})  # an agent looks at the tags too
    agent = scene.protect(pool=A, terminate_wait_seconds=0, handed_over=False, auto_switch_enabled=False)
    scene.run(30)
    old, move = waiting(scene, agent)
    scene.run(7200)
    assert (scene.move(move).status, old in scene.running()) == ("completed", True)
    (told,) = scene.rows(agent_events, agent_events.c.kind == "needs_person")
    assert told.detail["instance_id"] == old
    assert f"{old} carries neither spotguard:agent nor spotguard:adopted of this agent" in told.message
    assert "billed beside the new one until you end it yourself" in told.message


def test_the_wait_runs_by_the_servers_clock_whatever_the_new_instance_tells(scene, agent):
    old, opened = scene.serving(agent), scene.switch(agent, B)
    scene.run(1200, until=lambda: Step.GRANTED in scene.steps(opened.switch_id))
    long_ago = scene.now - timedelta(hours=3)
    new = scene.serving(agent)
    scene.db.write(lambda tx: steps.record_step(tx, scene.now, opened.switch_id, Step.OPENED, long_ago, new))
    heard = scene.row(switch_steps, switch_steps.c.step == Step.OPENED.value)
    assert heard.at == long_ago
    scene.run(heard.recorded_at.timestamp() + WAIT - scene.now.timestamp() - 30)
    assert old in scene.running()
    scene.run(600, until=lambda: old not in scene.running())
