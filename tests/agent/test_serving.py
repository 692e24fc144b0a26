"""What a load balancer is told: 200 only while this instance serves, 503 before it stops serving."""

from dataclasses import replace
from datetime import timedelta

import pytest

from spotguard.agent.files import Document
from spotguard.agent.health import Health
from spotguard.agent.primacy import Primacy
from spotguard.agent.serving import FRESH_FOR, Serving
from spotguard.domain.errors import GateFailed, StartFailed
from spotguard.domain.ids import ImageId, InstanceId
from spotguard.domain.instances import GateState, Mode
from spotguard.ports.metadata import Identity
from spotguard.simulation.machine import Files, SimulatedDisk
from tests.agent.stage import Stage
from tests.cloud.scene import A, StoryClock

ME = Identity(
    instance_id=InstanceId("i-0123456789abcdef0"),
    boot_id="first",
    instance_type=A.instance_type,
    az=A.az,
    az_id="",
    image_id=ImageId("ami-0123456789abcdef0"),
    mode=Mode.SPOT,
    hostname="web",
    private_ip="10.0.0.1",
)


class Witness:
    """A gate and a disk that note what the endpoint says whenever they are touched."""

    def __init__(self, disk):
        self.disk, self.serving, self.open_now, self.seen = disk, None, False, []

    def says(self):
        heard = []
        self.serving.tell(heard.append)
        return heard[0]

    def state(self):
        return GateState.OPEN if self.open_now else GateState.CLOSED

    def open(self, epoch, before=None):
        if before is not None and not self.open_now:
            before()
        self.open_now = True

    def close(self):
        self.seen.append(("close", self.says()))
        self.open_now = False

    def healthy(self):
        return self.open_now

    def read(self, name):
        return self.disk.read(name)

    def replace(self, name, content):
        self.seen.append((name, self.says()))
        self.disk.replace(name, content)


class Instance:
    """An agent's primacy with its endpoint; `restart` loses what was only in memory."""

    def __init__(self):
        self.clock, self.files = StoryClock(), SimulatedDisk(Files())
        self.witness = self.gate = Witness(self.files)
        self.restart()

    def restart(self):
        self.serving = self.witness.serving = Serving(self.clock)
        self.openings = []
        self.primacy = Primacy(
            self.witness,
            self.gate,
            self.clock,
            5,
            self.serving,
            lambda: self.openings.append(self.clock.now()),
        )
        self.primacy.load(ME)

    def look(self):
        turn = self.serving.turn
        well = self.primacy.held is not None and self.witness.open_now
        self.serving.looked(turn, well=well)

    def serve(self, epoch=1):
        assert self.primacy.told(epoch)
        self.primacy.ensure_open()
        self.look()
        return self


@pytest.fixture
def instance():
    return Instance()


def test_every_opening_is_told_once_whoever_wanted_it(instance):
    """A look five seconds later would be five seconds of a client's time."""
    instance.serve()
    instance.primacy.ensure_open()
    assert len(instance.openings) == 1
    instance.primacy.pause()
    instance.primacy.resume()
    assert len(instance.openings) == 2


@pytest.mark.parametrize("beat_first", [True, False])
def test_what_something_else_has_started_on_a_standby_opens_anew_for_its_epoch(instance, beat_first):
    """It runs on the state of the image: the pass that was received takes its place when the gate opens."""
    instance.primacy.learn(1)
    instance.witness.open_now = True
    if beat_first:
        instance.primacy.learn(2)
    instance.serve(2)
    assert [what for what, _ in instance.witness.seen].count("close") == 1
    assert len(instance.openings) == 1
    assert instance.witness.says()
    instance.primacy.ensure_open()
    assert len(instance.openings) == 1


def test_what_something_else_has_started_opens_anew_although_the_agent_was_restarted_before_it_did(instance):
    """The epoch was on the disk, and the received state not yet in its place."""
    instance.primacy.learn(1)
    instance.primacy.told(2)
    assert not instance.primacy.has_opened
    instance.witness.open_now = True
    instance.restart()
    instance.primacy.ensure_open()
    assert [what for what, _ in instance.witness.seen].count("close") == 1
    assert instance.primacy.has_opened
    instance.restart()
    instance.primacy.ensure_open()
    assert instance.openings == [], "it is its own by now"


def test_a_disk_that_fills_up_at_the_opening_has_nothing_stopped_again(instance):
    instance.primacy.learn(1)
    instance.primacy.told(2)
    kept, instance.witness.replace = instance.witness.replace, full
    with pytest.raises(OSError, match="full"):
        instance.primacy.ensure_open()
    instance.witness.replace = kept
    assert not instance.primacy.ensure_open()
    assert "close" not in [what for what, _ in instance.witness.seen]


class Slow:
    """A gate whose workload comes up later than its start is waited for: until it has, it counts as open."""

    def __init__(self, witness):
        self._witness, self.runs, self.starts = witness, False, 0

    def open(self, epoch, before=None):
        if not self._witness.open_now:
            self.starts += 1
            self._witness.open(epoch, before)
        if not self.runs:
            raise StartFailed("the workload was started and does not run yet")

    def healthy(self):
        return self.runs

    def __getattr__(self, name):
        return getattr(self._witness, name)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_workload_that_comes_up_later_than_is_waited_for_is_started_once(instance, restarted):
    """On a promoted standby too: stopped for not having opened, it would never come up."""
    instance.primacy.learn(1)
    gate = instance.gate = Slow(instance.witness)
    instance.restart()
    instance.primacy.told(2)
    for _ in range(3):
        with pytest.raises(StartFailed, match="does not run yet"):
            instance.primacy.ensure_open()
    if restarted:
        instance.restart()
        instance.primacy.told(2)
    assert instance.openings == []
    gate.runs = True
    assert instance.primacy.ensure_open() is not restarted, (
        "who was not there does not know that it has just come up"
    )
    assert not instance.primacy.ensure_open()
    assert (gate.starts, "close" in [what for what, _ in instance.witness.seen]) == (1, False)


def full(name, content):
    raise OSError("full")


def test_what_ran_before_the_agent_came_is_not_stopped_for_the_first_epoch(instance):
    instance.witness.open_now = True
    instance.serve(1)
    assert "close" not in [what for what, _ in instance.witness.seen]
    assert instance.openings == []


def test_it_is_no_before_the_epoch_and_before_the_first_look(instance):
    assert not instance.witness.says()
    instance.primacy.told(1)
    instance.primacy.ensure_open()
    assert not instance.witness.says()
    instance.look()
    assert instance.witness.says()


@pytest.mark.parametrize(
    "end",
    [
        lambda primacy: primacy.pause(),
        lambda primacy: primacy.release(1),
        lambda primacy: primacy.fence(1),
        lambda primacy: primacy.fence(2),
        lambda primacy: (primacy.load(replace(ME, boot_id="another")), primacy.ensure_closed()),
    ],
    ids=["pause", "release", "fence: a copy of ours", "fence", "another boot"],
)
def test_it_is_no_before_the_gate_closes_and_before_anything_is_written(instance, end):
    instance.serve()
    instance.witness.seen.clear()
    end(instance.primacy)
    assert instance.witness.seen
    assert not [what for what, said in instance.witness.seen if said]
    instance.look()
    assert not instance.witness.says()


def test_a_move_that_is_given_up_serves_again(instance):
    instance.serve().primacy.pause()
    instance.primacy.resume()
    assert not instance.witness.says()
    instance.look()
    assert instance.witness.says()


def test_after_a_restart_it_is_no_until_the_server_confirms_the_epoch(instance):
    instance.serve().restart()
    instance.look()
    assert instance.witness.open_now
    assert not instance.witness.says()
    instance.primacy.told(1)
    assert instance.witness.says()


def test_a_look_that_began_before_the_closing_tells_nothing(instance):
    turn = instance.serve().serving.turn
    instance.primacy.pause()
    instance.primacy.resume()
    instance.serving.looked(turn, well=True)
    assert not instance.witness.says()


def test_a_yes_grows_old(instance):
    instance.serve()
    instance.clock.time += FRESH_FOR
    assert instance.witness.says()
    instance.clock.time += timedelta(seconds=1)
    assert not instance.witness.says()


@pytest.mark.parametrize("end", [lambda primacy: primacy.pause(), lambda primacy: primacy.fence(2)])
def test_a_gate_that_does_not_close_still_says_no(instance, end):
    instance.serve()

    def stuck():
        raise GateFailed("it hangs")

    instance.witness.close = stuck
    with pytest.raises(GateFailed):
        end(instance.primacy)
    assert not instance.witness.says()
    assert instance.primacy.confirmed is None, "it would fetch its clients back"


def test_the_duty_looks_at_gate_and_probe_of_the_real_agent():
    stage = Stage()
    host = stage.primary()
    desk = host.agent.desk
    duty = Health(desk, 5)
    heard = []
    assert duty.run(stage.clock.now()) == stage.clock.now() + timedelta(seconds=5)
    desk.serving.tell(heard.append)
    assert heard == [True]
    desk.primacy.pause()
    duty.run(stage.clock.now())
    desk.serving.tell(heard.append)
    assert heard == [True, False]
    assert Document(host.disk, Primacy.NAME).read()["paused"] is True
