"""A move that EC2 does not let be taken back keeps the gate closed: a person hears of it."""

from spotguard.domain.errors import NeedsPerson
from spotguard.domain.switches import MoveKind
from tests.agent.test_moves import moving


def test_volumes_that_ec2_never_lets_come_back_are_told():
    stage, _, old = moving(MoveKind.VOLUME)
    stage.ec2.faults.sometimes("attach_volume", 1.0, lambda: NeedsPerson("UnauthorizedOperation"))
    stage.run(3600)
    assert stage.register.serving() == []
    assert old.primacy.held == 1
    stuck = [beat["workload_stuck"] for beat in stage.server.reports("heartbeat")]
    assert any(stuck)
