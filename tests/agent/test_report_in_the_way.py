"""A report that the server takes again and again for later stands in no other's way for ever."""

import pytest

from spotguard.domain.errors import ServerAway
from spotguard.domain.switches import MoveKind
from spotguard.ports.server import Reply
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
