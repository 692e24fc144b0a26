"""What the server says of a notice counts for that notice, and is not lost beside what comes in the same moment."""

import threading
from contextlib import suppress

import pytest

from spotguard.agent.signals import Signals
from spotguard.ports.server import Reply
from tests.agent.stage import Stage

HANDS_OFF = Reply(200, {"action": "none"})


class Meeting:
    """A disk on which two writes of the signals go on at the same time, if they can, once it is told to."""

    def __init__(self, disk):
        self._disk, self.both = disk, None

    def __getattr__(self, name):
        return getattr(self._disk, name)

    def replace(self, name, content):
        if name == Signals.NAME and self.both is not None:
            with suppress(threading.BrokenBarrierError):
                self.both.wait(0.2)
        self._disk.replace(name, content)


@pytest.fixture
def stage():
    return Stage()


@pytest.fixture
def holder(stage):
    """Its server is away."""
    host = stage.primary()
    host.disk = Meeting(host.disk)
    host.restart()
    stage.run(5)
    stage.server.away = True
    return host


def waiting(desk):
    """The reports that wait, in their order."""
    while (report := desk.outbox.first()) is not None:
        yield report
        desk.outbox.acknowledged(report)


def test_an_answer_to_a_notice_that_passed_does_not_bind_the_next_one(stage, holder):
    desk, signals = holder.agent.desk, Signals(holder.agent.desk)
    stage.ec2.controls.interrupt(holder.instance_id)
    signals.run(stage.clock.now())
    stage.ec2.controls.withdraw_notice(holder.instance_id)
    stage.wait(600)
    signals.run(stage.clock.now())
    stage.ec2.controls.interrupt(holder.instance_id)
    signals.run(stage.clock.now())
    first, second = waiting(desk)
    signals.answered(first, HANDS_OFF)
    assert signals.notice is not None
    signals.answered(second, HANDS_OFF)
    assert signals.notice is None


def test_what_is_heard_while_an_answer_comes_is_not_lost(stage, holder):
    desk, signals = holder.agent.desk, Signals(holder.agent.desk)
    stage.ec2.controls.interrupt(holder.instance_id)
    signals.run(stage.clock.now())
    (report,) = waiting(desk)
    stage.ec2.controls.signal_rebalance(holder.instance_id)
    holder.disk.both = threading.Barrier(2)
    answering = threading.Thread(target=signals.answered, args=(report, HANDS_OFF))
    answering.start()
    signals.run(stage.clock.now())
    answering.join(20)
    after = Signals(desk)
    after.load()
    assert after.is_doomed
    assert after.notice is None, "its user wants nothing done"
    list(waiting(desk))
    after.run(stage.clock.now())
    assert list(waiting(desk)) == [], "nothing is told twice"
