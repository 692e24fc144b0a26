"""Each step has its time: before the grant a late move is given up, after it people are told and it goes on."""

from datetime import timedelta

import pytest

from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.switches import MoveKind, Step
from spotguard.store import configuration, kill, move_deadlines
from spotguard.store.tables import agent_events
from tests.coordinator.scene import A, B, Scene


@pytest.fixture(params=[Executor.AGENT, Executor.SERVER])
def scene(request):
    return Scene(executor=request.param)


def late_steps(scene, switch_id):
    events = scene.rows(agent_events, agent_events.c.kind == "step_late")
    return [e.detail["step"] for e in events if e.detail["switch_id"] == switch_id]


def begun(scene, **config):
    agent = scene.protect(pool=A, **config)
    scene.run(60)
    opened = scene.switch(agent, B)
    return agent, opened


def test_a_holder_that_does_not_get_on_is_not_waited_for(scene):
    """It is heard of, and its first pass does not come: the move ends when that step's time is over."""
    agent, opened = begun(scene)
    scene.guests[scene.serving(agent)].stuck = True
    scene.run(7200, until=lambda: scene.move(opened.switch_id).status == "unwound")
    move = scene.move(opened.switch_id)
    assert move.completed_at < move.deadline_at
    late = Step.LAUNCHED if scene.steps(opened.switch_id) == [Step.DECIDED] else Step.SYNCED
    assert move.ended_because.startswith(f"the step {late} was due at")
    assert late_steps(scene, opened.switch_id) == [late]
    scene.guests[scene.serving(agent)].stuck = False
    scene.run(300)
    assert scene.is_open(agent)
    assert scene.agent(agent).epoch == 1
    assert scene.running() == {scene.serving(agent)}
    assert scene.breaches() == []


def test_what_a_silent_holder_has_done_meanwhile_nobody_knows():
    """Silence proves nothing: its steps are late, people are told, and all of the move's time is waited."""
    scene = Scene(executor=Executor.SERVER)
    agent, opened = begun(scene)
    scene.guests[scene.serving(agent)].silent = True
    move = scene.move(opened.switch_id)
    seconds = (move.deadline_at - scene.now).total_seconds()
    scene.run(seconds - 60)
    assert scene.move(opened.switch_id).status == "preparing"
    assert late_steps(scene, opened.switch_id) == [Step.SYNCED]
    scene.run(120, until=lambda: scene.move(opened.switch_id).status == "unwound")


def test_a_new_instance_that_never_enrols_is_given_up(scene):
    agent, opened = begun(scene)
    scene.run(120, until=lambda: scene.move(opened.switch_id).new_instance_id is not None)
    new = scene.move(opened.switch_id).new_instance_id
    scene.mute.add(new)
    scene.run(1200, until=lambda: scene.move(opened.switch_id).status == "unwound")
    assert scene.move(opened.switch_id).ended_because == f"its new instance {new} did not enrol in time"
    scene.run(300)
    assert scene.running() == {scene.serving(agent)}


def test_after_the_grant_it_goes_on_and_people_are_told(scene):
    agent, opened = begun(scene, terminate_wait_seconds=0)
    scene.run(600, until=lambda: Step.GRANTED in scene.steps(opened.switch_id))
    scene.guests[scene.serving(agent)].silent = True
    scene.run(300, until=lambda: late_steps(scene, opened.switch_id) != [])
    assert late_steps(scene, opened.switch_id) == [Step.OPENED]
    assert scene.move(opened.switch_id).status == "committed"
    scene.guests[scene.serving(agent)].silent = False
    scene.run(1800, until=lambda: scene.move(opened.switch_id).status == "completed")
    assert scene.breaches() == []


def test_a_step_that_waits_long_past_its_time_is_a_broken_promise():
    """Its new holder is heard of and does not open: ten minutes after that step's time the auditor says so."""
    scene = Scene()
    agent, opened = begun(scene)
    scene.run(600, until=lambda: Step.GRANTED in scene.steps(opened.switch_id))
    scene.keep_closed.add(scene.serving(agent))
    scene.run(700)
    assert scene.breaches() == []
    scene.run(120)
    (breach,) = scene.breaches()
    assert (breach.invariant, "waits for opened" in breach.what) == ("nothing_waits_for_ever", True)


def test_a_new_holder_that_is_ended_opens_no_more_and_its_move_waits_for_a_recovery():
    """It was heard of until its end, and a kill switch at `all` keeps everybody from recovering it."""
    scene = Scene(executor=Executor.SERVER)
    agent, opened = begun(scene)
    scene.run(600, until=lambda: Step.GRANTED in scene.steps(opened.switch_id))
    scene.keep_closed.add(scene.serving(agent))
    scene.run(700)
    level = KillLevel.ALL
    scene.db.write(lambda tx: kill.set_level(tx, scene.now, scene.client_id, agent, level, "a test"))
    scene.ec2.terminate_instance(scene.serving(agent))
    scene.run(120)
    assert scene.breaches() == []


@pytest.mark.parametrize("slow", [timedelta(hours=1), timedelta(hours=-1)])
def test_the_time_of_a_step_counts_from_when_the_server_heard_of_the_one_before(slow):
    """Whatever the holder's own clock says."""
    scene = Scene(executor=Executor.SERVER)
    scene.clock_slow = slow
    agent = scene.protect(pool=A)
    scene.run(60)
    opened = scene.switch(agent, B, kind=MoveKind.IMAGE)
    scene.run(60, until=lambda: Step.GATE_CLOSED in scene.steps(opened.switch_id))
    move = scene.move(opened.switch_id)
    due = scene.db.read(lambda tx: move_deadlines.due_of(tx, move))
    assert (due.step, due.at) == (Step.IMAGED, scene.now + timedelta(seconds=2400))


@pytest.mark.parametrize("hold", ["kill switch", "disabled"])
def test_what_its_user_has_held_is_due_from_his_later_word_on(scene, hold):
    agent, opened = begun(scene, terminate_wait_seconds=60)
    scene.run(900, until=lambda: Step.VERIFIED in scene.steps(opened.switch_id))

    def say(*, held):
        level = KillLevel.ALL if held else KillLevel.NONE
        if hold == "kill switch":
            scene.db.write(lambda tx: kill.set_level(tx, scene.now, scene.client_id, agent, level, "a test"))
        else:
            wanted = {"enabled": not held}
            scene.db.write(lambda tx: configuration.configure(tx, scene.now, scene.client_id, agent, wanted))

    say(held=True)
    scene.run(7200)
    assert Step.OLD_ENDED not in scene.steps(opened.switch_id)
    say(held=False)
    assert scene.breaches() == []
    scene.run(900, until=lambda: Step.OLD_ENDED in scene.steps(opened.switch_id))
    assert Step.OLD_ENDED in scene.steps(opened.switch_id)
