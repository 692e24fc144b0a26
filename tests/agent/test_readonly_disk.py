"""The agent's own disk takes no write any more (ext4's `errors=remount-ro`) while AWS takes the instance."""

import errno
from datetime import timedelta

import pytest

from spotguard.domain.switches import MoveKind, Step
from tests.agent.stage import STATE, Stage
from tests.agent.test_notices import NOTICE, with_standby


class ReadOnly:
    """A disk that can be turned read-only, and back."""

    def __init__(self, disk):
        self._disk, self.refuses = disk, False

    def __getattr__(self, name):
        method = getattr(self._disk, name)
        return self._refuse if self.refuses and name in ("replace", "append", "remove") else method

    def _refuse(self, name, *_):
        raise OSError(errno.EROFS, "Read-only file system", name)


class ReadOnlyHost:
    """A host whose disk refuses, and whose runner tries a duty that has failed again, as `agent.runner` does."""

    def __init__(self, host):
        self.host, self.run_duty = host, host.run
        host.disk = self.disk = ReadOnly(host.disk)
        host.run = self.run
        host.restart()
        host.stage.run(2)
        self.failed = []

    def run(self, name):
        try:
            self.run_duty(name)
        except OSError as error:
            self.failed.append((name, error))
            self.host.due[name] = self.host.stage.clock.now() + timedelta(seconds=5)
            for rung in self.host.agent.bells.take():
                self.host.due[rung] = self.host.stage.clock.now()


def taken_back(stage, host):
    """Its disk refuses; EC2 gives it notice."""
    readonly = ReadOnlyHost(host)
    stage.run(5)
    readonly.disk.refuses = True
    stage.ec2.controls.interrupt(host.instance_id)
    return readonly, stage.clock.now()


def closed_at(stage):
    return stage.register.sessions[-1].closed_at


def test_the_gate_closes_in_time_and_nobody_hears_of_a_release():
    stage = Stage()
    old = stage.primary()
    _, begun = taken_back(stage, old)
    stage.run(80)
    assert stage.register.serving() == [old.instance_id], "as long as there is time, it serves"
    assert len(stage.server.reports("interruption-signal")) == 1
    stage.run(38)
    assert stage.register.serving() == []
    assert begun + NOTICE - closed_at(stage) >= timedelta(seconds=5)
    assert old.primacy.released == 0
    assert {body.get("released") for body in stage.server.reports("heartbeat")} == {None}


def test_the_signal_is_told_once_though_the_answer_cannot_be_written_down():
    stage = Stage()
    old = stage.primary()
    stage.server.signal_action = "none"
    taken_back(stage, old)
    stage.run(118)
    assert len(stage.server.reports("interruption-signal")) == 1
    assert stage.register.serving() == [old.instance_id], "the server has said: record it, do nothing"


@pytest.mark.parametrize("away", [False, True], ids=["", "server-away"])
def test_the_standby_receives_the_last_pass_and_the_volume_has_it_too(away):
    stage, old, standby = with_standby()
    stage.server.away = away
    taken_back(stage, old)
    stage.run(119)
    assert stage.register.serving() == []
    arrived = stage.ec2.controls.content_at(standby.instance_id, STATE)
    assert arrived.last == stage.register.acknowledged
    assert old.primacy.released == 0
    stage.nothing_lost()


def test_a_move_under_way_tells_nothing_that_is_not_written():
    stage, old, standby = with_standby()
    readonly = ReadOnlyHost(old)
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    stage.fabric.seconds_per_pass = 60
    switch = stage.server.open_move(MoveKind.SYNCED, target=target)
    stage.run(20)
    readonly.disk.refuses = True
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(118)
    assert stage.register.serving() == []
    assert not {Step.GATE_CLOSED, Step.DELTA_SENT, Step.RELEASED} & set(stage.server.steps(switch))
    assert old.primacy.released == 0


def test_as_soon_as_the_disk_takes_it_the_epoch_is_let_go_of():
    stage, old, _ = with_standby()
    readonly, _ = taken_back(stage, old)
    stage.run(110)
    assert (stage.register.serving(), old.primacy.released) == ([], 0)
    readonly.disk.refuses = False
    stage.run(5)
    assert old.primacy.released == 1


def test_without_a_notice_the_workload_is_not_stopped_for_what_cannot_be_remembered():
    stage, old, standby = with_standby()
    readonly = ReadOnlyHost(old)
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    stage.server.open_move(MoveKind.SYNCED, target=target)
    readonly.disk.refuses = True
    stage.run(120)
    assert stage.register.serving() == [old.instance_id]


def test_a_process_that_forgets_the_closed_gate_serves_on_and_hands_over_what_it_wrote_since():
    """The disk takes writes again, and the process is killed before it has let go."""
    stage, old, standby = with_standby()
    readonly, _ = taken_back(stage, old)
    stage.run(107)
    assert (stage.register.serving(), old.primacy.released) == ([], 0)
    readonly.disk.refuses = False
    old.restart()
    stage.run(11)
    assert old.primacy.released == 1
    assert stage.register.serving() == []
    arrived = stage.ec2.controls.content_at(standby.instance_id, STATE)
    assert arrived.last == stage.register.acknowledged
    stage.nothing_lost()


class UntilMove(ReadOnly):
    """It turns read-only with the first write of a move."""

    def __getattr__(self, name):
        method = super().__getattr__(name)
        if name != "replace":
            return method

        def replace(what, *content):
            self.refuses = self.refuses or what == "move"
            return (self._refuse if self.refuses else method)(what, *content)

        return replace


@pytest.mark.parametrize("hours", [0, 1])
def test_a_notice_is_acted_on_where_a_planned_move_s_first_write_is_what_failed(hours):
    stage, old, standby = with_standby()
    old.disk = UntilMove(old.disk)
    readonly = ReadOnlyHost(old)
    stage.run(5)
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    stage.server.open_move(MoveKind.SYNCED, target=target)
    stage.run(30)
    readonly.disk.refuses = True
    stage.run(hours * 3600)
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(118)
    assert stage.register.serving() == []


def test_a_notice_is_acted_on_where_the_last_report_of_a_given_up_move_could_not_be_written():
    stage, old, standby = with_standby()
    readonly = ReadOnlyHost(old)
    stage.run(5)
    stage.fabric.seconds_per_pass = 60
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    move = stage.server.open_move(MoveKind.SYNCED, target=target)
    stage.run(20)
    stage.server.moves[move].status = "unwound"
    readonly.disk.refuses = True
    stage.run(1800)
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(118)
    assert stage.register.serving() == []


@pytest.mark.parametrize("away", [False, True], ids=["", "server-away"])
def test_an_agent_that_is_started_on_it_closes_the_gate_in_time(away):
    stage, old, _ = with_standby()
    readonly = ReadOnlyHost(old)
    stage.run(5)
    stage.server.away = away
    readonly.disk.refuses = True
    old.restart()
    stage.run(30)
    assert stage.register.serving() == [old.instance_id]
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(118)
    assert stage.register.serving() == []
    stage.nothing_lost()
