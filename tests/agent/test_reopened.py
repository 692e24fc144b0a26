"""Something else (a timer, a package's upgrade, a person) starts the workload after a move has closed its gate."""

from datetime import timedelta

import pytest

from spotguard.domain.errors import StartFailed
from spotguard.domain.instances import GateState
from spotguard.domain.switches import MoveKind, Step
from tests.agent.server import FakeServer
from tests.agent.stage import Stage
from tests.agent.test_moves import moving
from tests.agent.test_notices import with_standby


def waiting(kind, *, seconds):
    """The server goes away when the gate has closed, so that the release waits, for so many seconds already."""
    stage, switch, old = moving(kind)
    stage.run(1800, lambda: Step.GATE_CLOSED in stage.server.moves[switch].recorded)
    stage.server.away = True
    stage.run(seconds)
    assert stage.register.serving() == []
    stage.register.seconds_per_record = 0.01
    return stage, old


def is_given_up(stage, old):
    """Doing nothing is safe: the old one serves on, with everything."""
    stage.server.away = False
    stage.run(900)
    stage.nothing_lost()
    return (stage.register.serving(), old.primacy.held, old.primacy.released) == ([old.instance_id], 1, 0)


@pytest.mark.parametrize(("kind", "seconds"), [(MoveKind.SYNCED, 10), (MoveKind.IMAGE, 600)])
def test_a_move_in_which_it_was_found_open_is_given_up(kind, seconds):
    stage, old = waiting(kind, seconds=seconds)
    before = stage.register.acknowledged
    old.gate.open(1)
    stage.run(70)
    assert stage.register.acknowledged > before
    assert stage.register.serving() == [], "closed again with the next heartbeat"
    assert is_given_up(stage, old)


def test_one_that_has_run_and_ended_between_two_looks_has_changed_its_state():
    stage, old = waiting(MoveKind.SYNCED, seconds=10)
    old.gate.open(1)
    stage.wait(0.3)
    old.gate.close()
    assert is_given_up(stage, old)


def test_an_image_that_lacks_what_was_written_after_it_has_no_follower_under_a_notice_either():
    stage, old = waiting(MoveKind.IMAGE, seconds=600)
    old.gate.open(1)
    stage.run(10)
    stage.ec2.controls.interrupt(old.instance_id)
    stage.server.away = False
    stage.run(600)
    stage.nothing_lost()


def test_that_it_ran_again_is_told_and_not_forgotten_with_the_agent():
    """The server would take a holder that dies now for one that had its last pass."""
    stage, old = waiting(MoveKind.SYNCED, seconds=10)
    old.gate.open(1)
    stage.run(0.2)
    stage.server.away = False
    old.run("presence")
    assert (stage.register.serving(), stage.server.reports("heartbeat")[-1]["gate"]) == ([], "open")
    old.restart()
    assert is_given_up(stage, old)


class Meddling(FakeServer):
    """While it answers the question whether the move is still on, something else starts the workload, once."""

    meddle = None

    def switch_report(self, instance, body):
        answer = super().switch_report(instance, body)
        asks = not body.get("timing") and Step.GATE_CLOSED in self.moves[body["switch_id"]].recorded
        if self.meddle and asks:
            self.meddle, meddle = None, self.meddle
            meddle()
        return answer


def test_what_is_started_in_the_very_moment_of_the_release_keeps_it_from_being_let_go():
    stage, switch, old = moving(MoveKind.SYNCED, Stage(server=Meddling))

    def meddle():
        stage.register.seconds_per_record = 0.01
        old.gate.open(1)
        stage.wait(1)

    stage.server.meddle = meddle
    stage.run(1800, lambda: stage.server.meddle is None)
    assert Step.RELEASED not in stage.server.moves[switch].recorded
    assert is_given_up(stage, old)


class Restless:
    """A sync after whose last pass something else starts the workload, once: it was looked at a moment before."""

    def __init__(self, sync, host, clock):
        self._sync, self._host, self._clock, self._is_over = sync, host, clock, False

    def position(self):
        found, gate = self._sync.position(), self._host.gate
        if self._host.agent.desk.primacy.paused and not self._is_over:
            self._is_over = True
            gate.open(1)
            self._clock.time += timedelta(seconds=3)
        return found

    def __getattr__(self, name):
        return getattr(self._sync, name)


class Restive(Stage):
    """Of which the first host has such a sync."""

    def sync_of(self, instance_id):
        sync, host = super().sync_of(instance_id), self.hosts.get(instance_id)
        is_first = host is not None and next(iter(self.hosts)) == instance_id
        return Restless(sync, host, self.clock) if is_first else sync


def test_under_a_notice_what_it_wrote_goes_with_another_last_pass():
    """There is no way back."""
    stage, old, standby = with_standby(Restive())
    target = {"instance_id": standby.instance_id, "address": "10.0.0.9"}
    notice = stage.ec2.controls.interrupt(old.instance_id)
    stage.server.open_move(MoveKind.SYNCED, target=target, close_by=notice)
    stage.run(60)
    assert [session.instance_id for session in stage.register.sessions].count(old.instance_id) == 2
    assert stage.register.serving() == [standby.instance_id]
    stage.nothing_lost()


def test_one_that_is_paused_anew_has_nothing_left_to_be_sent_again():
    _, old = waiting(MoveKind.SYNCED, seconds=10)
    old.gate.open(1)
    assert not old.primacy.stays_closed()
    assert not old.primacy.stays_closed()
    old.primacy.pause()
    assert old.primacy.stays_closed()
    old.primacy.resume()
    assert old.primacy.stays_closed()
    assert old.gate.state() is GateState.OPEN, "no move has paused it any more"


class Slow:
    """A gate whose workload does not come up for as long as it is waited for here."""

    def __init__(self, gate):
        self._gate, self.is_coming = gate, False

    def state(self):
        return GateState.OPEN if self.is_coming else self._gate.state()

    def open(self, _epoch, _before=None):
        self.is_coming = True
        raise StartFailed("the workload was started and does not run yet")

    def close(self):
        self.is_coming = False
        self._gate.close()

    def __getattr__(self, name):
        return getattr(self._gate, name)


def test_a_move_that_was_given_up_waits_for_no_slow_workload_when_a_notice_comes():
    """Nothing would be let go of before the instance ends."""
    stage, old = waiting(MoveKind.SYNCED, seconds=10)
    slow = old.gate = Slow(old.gate)
    old.restart()
    stage.run(2400, lambda: slow.is_coming)
    assert slow.is_coming
    stage.run(30)
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(115)
    assert old.primacy.released == 1


class Blinking:
    """A gate of which one look cannot be told: unknown counts as open."""

    def __init__(self, gate):
        self._gate, self.blinks = gate, 0

    def state(self):
        if self.blinks:
            self.blinks -= 1
            return GateState.OPEN
        return self._gate.state()

    def __getattr__(self, name):
        return getattr(self._gate, name)


def test_one_look_that_cannot_be_told_gives_no_move_up():
    _, old = waiting(MoveKind.SYNCED, seconds=10)
    old.gate = Blinking(old.gate)
    old.run("start")
    old.gate.blinks = 1
    assert old.primacy.stays_closed()
    old.gate.blinks = 2
    assert not old.primacy.stays_closed(), "twice"
