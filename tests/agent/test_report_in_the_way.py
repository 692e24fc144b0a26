"""A report that the server takes again and again for later stands in no other's way for ever."""

from datetime import timedelta

import pytest

from spotguard.domain.errors import ServerAway
from spotguard.domain.switches import MoveKind
from spotguard.ports.server import Reply
from tests.agent.stage import Stage
from tests.agent.test_notices import with_standby

AWAY = 500


def refused(status):
    """What the agent hears of a report that the server cannot take: of a 500 `host.link` makes `ServerAway`."""
    return ServerAway("the server answered 500") if status == AWAY else Reply(status, {"detail": "later"})


@pytest.mark.parametrize("status", [408, 429, AWAY])
def test_a_move_behind_a_report_that_is_never_taken_comes_to_its_end(status):
    stage, old, standby = with_standby()
    stage.server.refuse["interruption-signal"] = refused(status)
    stage.ec2.controls.signal_rebalance(old.instance_id)
    stage.run(10)
    target = {"instance_id": standby.instance_id, "address": "10.0.0.5"}
    stage.server.open_move(MoveKind.SYNCED, target=target)
    stage.run(600)
    assert old.primacy.released == 1
    assert stage.register.serving() == [standby.instance_id]
    stage.nothing_lost()


def test_it_is_told_again_until_it_is_taken_at_last():
    stage, old, _ = with_standby()
    stage.server.refuse["interruption-signal"] = refused(429)
    stage.ec2.controls.signal_rebalance(old.instance_id)
    stage.run(600)
    del stage.server.refuse["interruption-signal"]
    stage.run(130)
    assert len(stage.server.reports("interruption-signal")) == 1


def told_after(stage, begun):
    """How long after it came the termination notice was known to the server."""
    heard = [
        at
        for at, what, _, body in stage.server.heard
        if what == "interruption-signal" and "action_time" in body
    ]
    assert heard, "nobody was told of the notice"
    return heard[0] - begun


@pytest.mark.parametrize("status", [408, 429, AWAY])
def test_a_notice_does_not_wait_for_a_report_before_it(status):
    stage = Stage()
    old = stage.primary()
    stage.server.refuse["switch-report"] = refused(status)
    stage.ec2.controls.interrupt(old.instance_id)
    old.agent.desk.report("switch:other:old_ended", "switch", "switch-report", {"switch_id": "other"})
    begun = stage.clock.now()
    stage.run(100)
    assert told_after(stage, begun) <= timedelta(seconds=2)


def test_a_notice_is_told_soon_after_a_server_that_was_long_away_is_back():
    stage = Stage()
    old = stage.primary()
    stage.server.away = True
    stage.ec2.controls.signal_rebalance(old.instance_id)
    stage.run(300)
    stage.ec2.controls.interrupt(old.instance_id)
    stage.run(5)
    stage.server.away = False
    begun = stage.clock.now()
    stage.run(60)
    assert told_after(stage, begun) <= timedelta(seconds=5)
