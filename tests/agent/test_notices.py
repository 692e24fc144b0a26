"""Two minutes: what the agent does of itself when EC2 takes its instance back."""

from datetime import timedelta

import pytest

from spotguard.domain.instances import GateState
from spotguard.domain.switches import MoveKind, Step
from tests.agent.stage import STATE, Stage
from tests.cloud.scene import B

NOTICE = timedelta(seconds=120)


def with_standby(stage=None):
    """A primary and an enrolled standby that it keeps in sync."""
    stage = stage or Stage()
    old = stage.primary()
    stage.server.enrolments["enrol-replica-1"] = "replica-1"
    other = stage.launch(B, user_data=stage.server.user_data("enrol-replica-1"))
    stage.run(90)
    address = stage.ec2.describe_instances([other])[0].private_ip
    stage.server.standbys = [{"replica_id": "replica-1", "instance_id": other, "address": address}]
    stage.server.config_version += 1
    stage.run(180)
    return stage, old, stage.hosts[other]


def test_a_standby_is_kept_in_sync_and_says_so():
    stage, _, _ = with_standby()
    told = [body["sync_status"] for body in stage.server.reports("sync-status")]
    assert told[0] in ("initializing", "syncing")
    assert told[-1] == "synced"
    before = len(told)
    stage.run(180)
    assert len(stage.server.reports("sync-status")) - before <= 3, "unchanged: once a minute is enough"


def test_a_standby_that_hears_nothing_more_says_that_it_is_out_of_sync():
    stage, old, _ = with_standby()
    old.due = {}
    stage.run(180)
    assert stage.server.reports("sync-status")[-1]["sync_status"] == "out-of-sync"


@pytest.mark.parametrize("signal", ["rebalance", "termination"])
def test_a_signal_is_told_once_and_within_a_second(signal):
    stage = Stage()
    old = stage.primary()
    begun = stage.clock.now()
    if signal == "rebalance":
        stage.ec2.controls.signal_rebalance(old.instance_id)
    else:
        stage.ec2.controls.interrupt(old.instance_id)
    stage.run(3)
    old.restart()
    stage.run(20)
    heard = [(at, body) for at, what, _, body in stage.server.heard if what == "interruption-signal"]
    assert len(heard) == 1
    assert heard[0][0] - begun <= timedelta(seconds=2)
    assert (heard[0][1].get("action_time") is not None) == (signal == "termination")


def test_with_a_move_ordered_the_gate_closes_when_the_target_is_ready():
    stage, old, standby = with_standby()
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    stage.run(1)
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    switch = stage.server.open_move(MoveKind.SYNCED, target=target, close_by=begun + NOTICE)
    stage.run(60)
    assert stage.register.serving() == [standby.instance_id]
    assert Step.OPENED in stage.server.moves[switch].recorded
    stage.nothing_lost()
    assert stage.register.downtime_seconds(begun, stage.clock.now()) < 10


@pytest.mark.parametrize("order_after", range(88, 118, 2))
def test_a_pass_that_began_before_the_gate_closed_is_not_the_last_delta(order_after):
    stage, old, standby = with_standby()
    stage.fabric.seconds_per_pass = 8
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    stage.run(order_after)
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    switch = stage.server.open_move(MoveKind.SYNCED, target=target, close_by=begun + NOTICE)
    old.due["commands"] = stage.clock.now()
    stage.run(119 - order_after)
    steps = stage.server.steps(switch)
    assert Step.RELEASED in steps
    arrived = stage.ec2.controls.content_at(standby.instance_id, STATE).last
    assert (Step.DELTA_SENT in steps) == (arrived == stage.register.acknowledged)


def test_without_a_target_the_gate_closes_in_time_and_the_epoch_is_released():
    stage = Stage()
    old = stage.primary()
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    switch = stage.server.open_move(MoveKind.SYNCED, close_by=begun + NOTICE)
    stage.run(100)
    assert stage.register.serving() == [old.instance_id], "as long as there is time, it serves"
    stage.run(18)
    assert stage.register.serving() == []
    assert {Step.GATE_CLOSED, Step.RELEASED} <= set(stage.server.steps(switch))
    assert old.primacy.released == 1
    closed = stage.register.sessions[-1].closed_at
    assert begun + NOTICE - closed >= timedelta(seconds=10), "the margin is kept"


@pytest.mark.parametrize("seconds", [-3600, -60, -15, 15, 3600])
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "alone"])
def test_the_time_of_a_notice_is_awss_whatever_the_servers_clock_says(seconds, ordered):
    stage = Stage()
    stage.server.clock_ahead = timedelta(seconds=seconds)
    old = stage.primary()
    stage.run(120)
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    if ordered:
        stage.server.open_move(MoveKind.SYNCED, close_by=begun + NOTICE)
    stage.run(80)
    assert stage.register.serving() == [old.instance_id], "as long as there is time, it serves"
    stage.run(38)
    closed = stage.register.sessions[-1].closed_at
    assert closed is not None
    assert begun + NOTICE - closed >= timedelta(seconds=10), "the margin is kept"


def test_of_a_notice_that_was_long_there_the_earlier_end_counts():
    """Its agent has just been started: how long ago the notice came nobody has seen."""
    stage = Stage()
    stage.server.clock_ahead = timedelta(seconds=-50)
    old = stage.primary()
    stage.run(120)
    old.due = {}
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    stage.run(60)
    old.restart()
    stage.run(58)
    closed = stage.register.sessions[-1].closed_at
    assert closed is not None
    assert begun + NOTICE - closed >= timedelta(seconds=10)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "alone"])
def test_a_notice_that_outlives_a_reboot_of_its_machine_ends_no_later_for_it(ordered):
    """What has elapsed since the boot begins anew with each, and the disk remembers the notice by that."""
    stage = Stage()
    stage.clock.booted_at = stage.clock.now() - timedelta(seconds=5)
    old = stage.primary()
    stage.run(40)
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    if ordered:
        stage.server.open_move(MoveKind.SYNCED, close_by=begun + NOTICE)
    stage.run(20)
    old.due = {}
    stage.wait(15)
    stage.clock.booted_at = stage.clock.now()
    old.restart()
    stage.run(80)
    closed = stage.register.sessions[-1].closed_at
    assert closed is not None
    assert begun + NOTICE - closed >= timedelta(seconds=10)


def test_alone_it_hands_over_to_its_newest_standby_and_tells_when_it_is_asked():
    stage, old, standby = with_standby()
    stage.server.away = True
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    stage.run(119)
    assert stage.register.serving() == []
    assert old.primacy.released == 1
    assert old.primacy.gate_state() is GateState.CLOSED
    stage.server.away = False
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    switch = stage.server.open_move(MoveKind.SYNCED, target=target, close_by=begun + NOTICE)
    old.due["commands"] = old.due["outbox"] = stage.clock.now()
    stage.run(0.5)
    assert {Step.GATE_CLOSED, Step.DELTA_SENT, Step.RELEASED} <= set(stage.server.steps(switch))
    stage.run(60)
    assert stage.register.serving() == [standby.instance_id]
    stage.nothing_lost()


def test_a_command_during_the_lonely_hand_over_is_the_same_hand_over():
    stage, old, standby = with_standby()
    stage.ec2.controls.interrupt(old.instance_id)
    begun = stage.clock.now()
    stage.run(100, until=lambda: False)
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    stage.run(20, until=lambda: stage.register.serving() == [])
    switch = stage.server.open_move(MoveKind.SYNCED, target=target, close_by=begun + NOTICE)
    old.due["commands"] = stage.clock.now()
    stage.run(60)
    assert Step.OPENED in stage.server.moves[switch].recorded
    assert stage.register.serving() == [standby.instance_id]
    stage.nothing_lost()


def test_what_the_server_said_of_a_notice_before_the_epoch_came_does_not_bind_its_holder():
    """It recorded the notice of one that did not serve yet, and is away when that has to hand over."""
    stage, old, standby = with_standby()
    stage.server.signal_action = "none"
    stage.ec2.controls.interrupt(standby.instance_id)
    stage.run(5)
    old.primacy.pause()
    old.primacy.release(1)
    stage.server.holder, stage.server.epoch = standby.instance_id, 2
    stage.run(65)
    assert stage.register.serving() == [standby.instance_id]
    stage.server.away = True
    stage.run(45)
    assert standby.primacy.released == 2
    assert standby.primacy.gate_state() is GateState.CLOSED
    assert stage.register.overlaps == []


def test_disabled_means_hands_off():
    stage = Stage()
    old = stage.primary()
    stage.server.enabled, stage.server.signal_action = False, "none"
    stage.server.config_version += 1
    stage.run(70)
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(118)
    assert stage.register.serving() == [old.instance_id]
    assert len(stage.server.reports("interruption-signal")) == 1


def test_an_unwound_move_reopens_under_the_same_epoch():
    stage = Stage()
    old = stage.primary()
    switch = stage.server.open_move(MoveKind.SYNCED, launch=stage.order_launch(B))
    stage.run(30)
    stage.server.moves[switch].status = "unwound"
    stage.run(120)
    assert stage.register.serving() == [old.instance_id]
    assert old.primacy.held == 1
    assert stage.server.orders[stage.server.moves[switch].command_id].result["status"] == "failed"


def test_metadata_that_does_not_answer_is_asked_again():
    from spotguard.cloud.simulated.imds import ImdsFault

    stage = Stage()
    old = stage.primary()
    stage.ec2.controls.disturb_metadata(old.instance_id, ImdsFault.THROTTLED)
    stage.run(30)
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(5)
    assert stage.server.reports("interruption-signal") == []
    stage.ec2.controls.disturb_metadata(old.instance_id, None)
    stage.run(3)
    assert len(stage.server.reports("interruption-signal")) == 1
