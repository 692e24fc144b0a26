"""A server that was frozen, suspended or not there calls nobody silent who had nobody to speak to."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from spotguard.coordinator.runner import Runner
from spotguard.domain.agents import AgentStatus, Executor
from spotguard.domain.replicas import ReplicaStatus
from spotguard.domain.switches import Step
from spotguard.store import leases
from spotguard.store.tables import agent_events, agents, replica_instances, switches
from tests.coordinator.scene import A, B, Scene

AGENTS = 5
ALARMS = ("agent_offline", "agent_online", "correlated_silence")
Story = Callable[[Scene], Iterator[None]]


class Days(threading.Event):
    """Each rest of the coordinator's is the story's next part; with its last one the process is told to end."""

    def __init__(self, parts: Iterator[None]) -> None:
        super().__init__()
        self.parts = parts
        self.runner: Runner | None = None

    def wait(self, timeout: float | None = None) -> bool:
        assert self.runner is not None
        if next(self.parts, self) is self:
            self.runner.stop()
        return True


def play(scene: Scene, story: Story) -> None:
    days = Days(story(scene))
    days.runner = Runner(scene.new_coordinator("host:1"), days)
    days.runner.run()


@pytest.fixture
def scene():
    scene = Scene()
    for number in range(AGENTS):
        scene.protect(f"web-{number}", pool=A, auto_switch_enabled=False)
    return scene


def rest(scene: Scene, seconds: float, *, heard: bool = True) -> Iterator[None]:
    """Passes every ten seconds; the agents speak meanwhile, or do not."""
    for _ in range(int(seconds / 10)):
        scene.clock.time += timedelta(seconds=10)
        if heard:
            scene.live()
        yield


def alarms(scene: Scene) -> list[str]:
    return [row.kind for row in scene.rows(agent_events) if row.kind in ALARMS]


def statuses(scene: Scene) -> set[str]:
    return {row.status for row in scene.rows(agents)}


def test_a_fleet_that_speaks_again_after_the_servers_sleep_was_never_silent(scene):
    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 200)
        scene.clock.time += timedelta(minutes=30)
        yield from rest(scene, 60, heard=False)  # agents come again within a minute
        assert alarms(scene) == []
        yield from rest(scene, 200)

    play(scene, story)
    assert alarms(scene) == []
    assert statuses(scene) == {AgentStatus.ONLINE}


def test_a_process_that_has_just_come_listens_before_it_judges(scene):
    scene.clock.time += timedelta(minutes=30)
    play(scene, lambda scene: rest(scene, 60, heard=False))
    assert alarms(scene) == []


def test_who_stays_silent_after_the_servers_sleep_is_told_of_two_minutes_later(scene):
    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 200)
        scene.clock.time += timedelta(minutes=30)
        yield from rest(scene, 110, heard=False)
        assert alarms(scene) == []
        yield from rest(scene, 60, heard=False)

    play(scene, story)
    assert sorted(alarms(scene)) == ["agent_offline"] * AGENTS + ["correlated_silence"]
    assert statuses(scene) == {AgentStatus.OFFLINE}


def test_who_was_silent_before_the_servers_sleep_is_not_called_heard_after_it(scene):
    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 200, heard=False)
        scene.clock.time += timedelta(minutes=30)
        yield from rest(scene, 60, heard=False)

    play(scene, story)
    assert "agent_online" not in alarms(scene)
    assert statuses(scene) == {AgentStatus.OFFLINE}


def test_a_silence_that_the_server_heard_without_a_gap_is_told_after_two_minutes(scene):
    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 200)
        yield from rest(scene, 180, heard=False)

    play(scene, story)
    assert sorted(alarms(scene)) == ["agent_offline"] * AGENTS + ["correlated_silence"]


def launched(scene: Scene, wanted: Callable[[], str | None]) -> Iterator[None]:
    """Until EC2 has named an instance, which has not come up yet."""
    while wanted() is None:
        yield from rest(scene, 10, heard=False)


def test_a_rescue_that_came_up_while_nobody_could_hear_it_is_waited_for():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A, auto_switch_enabled=False)

    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 60)
        scene.ec2.controls.fail_instance(scene.serving(agent))
        yield from launched(scene, lambda: next((m.new_instance_id for m in scene.rows(switches)), None))
        scene.clock.time += timedelta(minutes=20)
        yield from rest(scene, 20, heard=False)
        yield from rest(scene, 120)

    play(scene, story)
    (move,) = scene.rows(switches)
    assert (move.is_recovery, move.new_instance_id) == (True, scene.serving(agent))


def test_a_standby_that_came_up_while_nobody_could_hear_it_is_not_replaced():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)

    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 60)
        scene.config(agent, manual_replica_enabled=True)
        yield from launched(scene, lambda: scene.live_replicas(agent)[0].instance_id)
        scene.clock.time += timedelta(minutes=20)
        yield from rest(scene, 20, heard=False)
        yield from rest(scene, 200)

    play(scene, story)
    (standby,) = scene.rows(replica_instances)
    assert standby.status == ReplicaStatus.READY


def test_who_does_not_come_up_then_either_is_given_up():
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)

    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 60)
        scene.config(agent, manual_replica_enabled=True)
        yield from launched(scene, lambda: scene.live_replicas(agent)[0].instance_id)
        scene.clock.time += timedelta(minutes=20)
        yield from rest(scene, 180, heard=False)

    play(scene, story)
    assert "failed" in {row.status for row in scene.rows(replica_instances)}


def test_a_move_whose_holder_had_nobody_to_tell_how_far_it_is_goes_on():
    scene = Scene()
    agent = scene.protect(pool=A, auto_switch_enabled=False, auto_terminate_enabled=False)

    def story(scene: Scene) -> Iterator[None]:
        yield from rest(scene, 60)
        scene.switch(agent, B)
        while Step.ENROLLED not in scene.steps(scene.last_move(agent).id):
            yield from rest(scene, 10)
        scene.clock.time += timedelta(hours=6)
        yield from rest(scene, 20, heard=False)
        yield from rest(scene, 300)

    play(scene, story)
    (move,) = scene.rows(switches)
    assert (move.new_instance_id, move.status) == (scene.serving(agent), "completed")


@pytest.fixture
def waiting():
    """A standby is launched, and never comes up."""
    scene = Scene(executor=Executor.SERVER)
    agent = scene.protect(pool=A)
    scene.run(60)
    scene.config(agent, manual_replica_enabled=True)
    scene.run(20)
    assert scene.live_replicas(agent)[0].instance_id is not None
    return scene


def is_given_up(scene: Scene) -> bool:
    return "failed" in {row.status for row in scene.rows(replica_instances)}


def test_passes_that_take_minutes_keep_nobody_from_being_given_up(waiting):
    def story(scene: Scene) -> Iterator[None]:
        for _ in range(10):
            scene.clock.time += timedelta(seconds=150)
            yield

    play(waiting, story)
    assert is_given_up(waiting)


@pytest.mark.long
def test_nor_does_a_coordinator_that_dies_again_and_again(waiting):
    for number in range(15):
        play(waiting, lambda scene: rest(scene, 80, heard=False))
        waiting.db.write(
            lambda tx, name=f"host:{number}": leases.hold(tx, waiting.now, name)
        )  # what a kill leaves
    assert is_given_up(waiting)
