"""A command that was journalled and never begun is over when its time is over (invariant 5)."""

import pytest

from spotguard.domain.switches import MoveKind
from tests.agent.stage import Stage
from tests.agent.test_moves import DEVICES
from tests.cloud.scene import B


def journalled_and_killed(kind=MoveKind.SYNCED):
    stage = Stage()
    old = stage.primary()
    stage.run(60)
    stage.server.open_move(kind, launch=stage.order_launch(B, DEVICES[kind]))
    old.run("commands")  # it is on the disk, and the process is killed before its moves duty has its turn
    assert old.agent.duties["commands"]._book.open()
    old.due = {}
    return stage, old


@pytest.mark.parametrize("kind", [MoveKind.SYNCED, MoveKind.IMAGE])
def test_a_switch_that_expired_while_its_agent_was_down_launches_nothing(kind):
    stage, old = journalled_and_killed(kind)
    stage.run(3700)
    stage.server.away = True  # the server has given the move up long ago, and cannot say so
    old.restart()
    stage.run(600)
    assert list(stage.ec2.world.machines) == [old.instance_id]
    assert old.gate.state().value == "open"
