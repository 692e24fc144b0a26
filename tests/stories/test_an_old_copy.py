"""The database is put back to an older copy, as docs/production.md says: what serves by now serves on."""

import sqlite3

import pytest

from spotguard.coordinator.coordinator import Coordinator
from spotguard.domain.agents import Executor, KillLevel
from spotguard.domain.ids import InstanceId
from spotguard.domain.instances import InstanceState
from spotguard.domain.switches import Step
from spotguard.domain.traffic import told_of
from spotguard.store import kill
from tests.stories.scene import Scene


class Restored(Scene):
    """A workload that has moved since the copy was made. `copied_at`: the step that the move was at; None: before.
    `in_its_zone`: its volume went along.
    """

    def __init__(self, executor, copied_at, *, in_its_zone=False):
        super().__init__(executor=executor)
        self.route = self.world.ec2.traffic.add_address()
        self.configure(autoSwitchEnabled=False, traffic=told_of(self.route))
        self.wait(minutes=3)
        self.copy = sqlite3.connect(":memory:", check_same_thread=False)
        if copied_at is None:
            self._file().backup(self.copy)
        self.order_move(in_its_zone=in_its_zone)
        if copied_at is not None:
            self.until(lambda: self.has_recorded(copied_at), minutes=30)
            self._file().backup(self.copy)
        self.until(lambda: self.has_recorded(Step.VERIFIED), minutes=60)
        self.serving = InstanceId(self.agent().instance_id)
        self.state = self.state_volumes(self.serving)

    def _file(self):
        with self.world.db.engine.connect() as connection:
            return connection.connection.driver_connection

    def restore(self):
        """Nothing of the former processes is left; all is stopped before the new ones start."""
        self.copy.backup(self._file())
        self.turn(KillLevel.ALL)
        world = self.world
        for seat in world.seats:
            former = seat.coordinator.ctx
            seat.coordinator = Coordinator(
                world.db, former.clouds, world.clock, former.settings, world.wakeups, former.traffics
            )

    def turn(self, level, whose=(kill.EVERYONE, kill.EVERYONE)):
        now = self.world.clock.now()
        self.world.db.write(lambda tx: kill.set_level(tx, now, *whose, level, "restored"))

    def serves_on(self):
        self.assert_no_record_lost_or_doubled()
        assert self.world.registers["web-1"].serving() == [self.serving]
        assert self.world.ec2.traffic.leads_to(self.route) == {self.serving}


@pytest.fixture
def restored(request):
    made = []

    def story(executor, copied_at, **more):
        made.append(Restored(executor, copied_at, **more))
        return made[0]

    yield story
    made[0].close()


@pytest.mark.long
@pytest.mark.parametrize("executor", list(Executor))
@pytest.mark.parametrize("minutes", [5, 180], ids=["the old one waits", "the old one has ended"])
@pytest.mark.parametrize("copied_at", [None, Step.LAUNCHED, Step.GATE_CLOSED])
def test_who_serves_by_now_serves_on_whatever_the_copy_knows_of_it(restored, executor, minutes, copied_at):
    scene = restored(executor, copied_at)
    scene.wait(minutes=minutes)
    scene.restore()
    scene.wait(minutes=40)
    scene.serves_on()
    agent = scene.agent()
    scene.turn(KillLevel.ALL, (agent.client_id, agent.id))
    scene.turn(KillLevel.NONE)
    scene.wait(minutes=90)
    scene.serves_on()


@pytest.mark.long
@pytest.mark.parametrize("minutes", [5, 180], ids=["the old one waits", "the old one has ended"])
def test_one_that_people_overlook_is_served_once_all_the_same(restored, minutes):
    scene = restored(Executor.SERVER, None)
    scene.wait(minutes=minutes)
    scene.restore()
    scene.wait(minutes=10)
    scene.turn(KillLevel.NONE)
    scene.wait(minutes=90)
    scene.serves_on()


def test_no_volume_is_taken_from_who_serves_by_now_for_a_move_that_the_copy_gives_up(restored):
    scene = restored(Executor.SERVER, Step.VOLUMES_MOVED, in_its_zone=True)
    scene.wait(minutes=180)
    scene.restore()
    scene.wait(minutes=40)
    scene.serves_on()
    assert scene.state_volumes(scene.serving) == scene.state != []


@pytest.mark.parametrize("copied_at", [None, Step.GATE_CLOSED], ids=["unheard", "heard"])
def test_the_state_of_who_dies_afterwards_is_kept_for_a_person(restored, copied_at):
    """The copy knows of an older volume alone, and goes on with that."""
    scene = restored(Executor.SERVER, copied_at)
    scene.wait(minutes=180)
    scene.restore()
    scene.wait(minutes=10)
    scene.world.ec2.controls.fail_instance(scene.serving)
    scene.wait(minutes=10)
    scene.turn(KillLevel.NONE)
    scene.wait(minutes=90)
    assert scene.world.registers["web-1"].serving() == [scene.agent().instance_id]
    assert {v.volume_id for v in scene.world.ec2.describe_volumes(scene.state)} == set(scene.state)
    told = {event.detail["resource_id"]: event.message for event in scene.events("leftover_found")}
    assert all("newest state" in told[volume] for volume in scene.state)
    assert scene.instance(scene.serving).ec2_state == InstanceState.TERMINATED
