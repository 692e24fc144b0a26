"""The demo's workload tells every lost, doubled or twice-served record."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.simulation.records import Records, Register

START = datetime(2026, 1, 5, tzinfo=UTC)


def after(seconds):
    return START + timedelta(seconds=seconds)


def test_a_register_counts_one_record_a_second_while_the_gate_is_open():
    register, disk = Register(), Records()
    register.opened("i-1", 1, START, disk)
    register.closed("i-1", after(10))
    assert (register.acknowledged, disk.ranges) == (10, [(1, 10)])
    assert register.downtime_seconds(START, after(15)) == 5


def test_a_standby_that_lacks_the_last_records_is_a_loss():
    register, primary, standby = Register(), Records(), Records()
    register.opened("i-1", 1, START, primary)
    register.flush(after(10))
    standby.become(primary, after(10))
    register.closed("i-1", after(14))
    register.opened("i-2", 2, after(20), standby)
    (loss,) = register.losses
    assert (loss.instance_id, loss.count) == ("i-2", 4)
    register.closed("i-2", after(22))
    assert standby.faults_against(register.acknowledged) == (4, 0)


def test_what_a_standby_lacks_is_counted_once_though_it_opens_again_before_its_first_record():
    register, primary, standby = Register(), Records(), Records()
    register.opened("i-1", 1, START, primary)
    register.closed("i-1", after(8))
    register.opened("i-2", 2, after(12), standby)
    register.closed("i-2", after(12.5))
    register.opened("i-2", 2, after(48), standby)
    register.closed("i-2", after(48.5))
    register.opened("i-3", 3, after(90), standby)  # its volume goes on to another
    assert [(loss.instance_id, loss.count) for loss in register.losses] == [("i-2", 8)]


def test_what_was_lost_before_is_not_lost_once_more_with_what_came_after():
    """Its second standby was fed before the volume of the first one served."""
    register, primary, standby, third = Register(), Records(), Records(), Records()
    register.opened("i-1", 1, START, primary)
    register.flush(after(10))
    standby.become(primary, after(10))
    third.become(primary, after(10))
    register.closed("i-1", after(14))
    register.opened("i-2", 2, after(20), standby)
    register.closed("i-2", after(25))
    register.opened("i-3", 3, after(27), third)
    assert [(loss.instance_id, loss.count) for loss in register.losses] == [("i-2", 4), ("i-3", 5)]


def test_a_loss_is_laid_to_who_served_last_before_it():
    register, primary, heir, third = Register(), Records(), Records(), Records()
    assert register.served_before(START) is None
    register.opened("i-1", 1, START, primary)
    register.closed("i-1", after(8))
    heir.become(primary, after(8))
    register.opened("i-2", 2, after(9), heir)
    register.closed("i-2", after(20))
    register.opened("i-3", 3, after(40), third)
    (loss,) = register.losses
    assert register.served_before(loss.at) == "i-2"
    assert register.served_before(after(9)) == "i-1"


def test_two_open_gates_are_an_overlap():
    register = Register()
    register.opened("i-1", 1, START, Records())
    register.opened("i-2", 2, after(1), Records())
    assert len(register.overlaps) == 1


def test_the_same_records_taken_twice_are_doubled():
    disk = Records()
    disk.write(1, 5)
    disk.write(4, 6)
    assert disk.faults_against(6) == (0, 2)


def test_a_fork_is_as_of_now():
    disk = Records()
    disk.write(1, 5)
    copy = disk.fork()
    disk.write(6, 7)
    assert (copy.last, disk.last) == (5, 7)


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 5)), max_size=8))
def test_missing_and_doubled_agree_with_counting_one_by_one(pieces):
    disk, written = Records(), []
    for first, length in pieces:
        disk.write(first, first + length)
        written += range(first, first + length + 1)
    acknowledged = max(written, default=0)
    missing = acknowledged - len(set(written))
    assert disk.faults_against(acknowledged) == (missing, len(written) - len(set(written)))


@pytest.mark.parametrize("moments", [[1.2, 1.4], [0.3, 0.9, 2.7]])
def test_looking_often_changes_nothing(moments):
    often, once = Register(), Register()
    a, b = Records(), Records()
    often.opened("i-1", 1, START, a)
    once.opened("i-1", 1, START, b)
    for moment in moments:
        often.flush(after(moment))
    often.closed("i-1", after(3))
    once.closed("i-1", after(3))
    assert a.ranges == b.ranges
