"""An agent that was told of a newer epoch, another's, opens no older one after its process has started anew."""

from spotguard.domain.errors import GateFailed
from tests.agent.stage import Stage


class Stuck:
    """A gate whose stop takes longer than it is waited for; later the workload has stopped."""

    def __init__(self, gate):
        self._gate, self.is_stuck = gate, True

    def close(self):
        if self.is_stuck:
            raise GateFailed("no end within 90 s")
        self._gate.close()

    def __getattr__(self, name):
        return getattr(self._gate, name)


def test_one_whose_fenced_gate_did_not_close_in_time_opens_no_more_after_a_restart():
    stage = Stage()
    primary = stage.primary()
    primary.gate = Stuck(primary.gate)
    primary.restart()
    stage.run(5)
    stage.run(70, until=lambda: primary.primacy.confirmed == 1)
    assert primary.primacy.confirmed == 1
    desk = primary.agent.desk
    stage.server.holder, stage.server.epoch, stage.server.passive_epoch = "i-0aaaaaaaaaaaaaaaa", 2, 2
    stage.run(70, until=lambda: desk.gate_stuck)
    assert (desk.primacy.known, desk.gate_stuck) == (2, "no end within 90 s")
    stage.server.away = True
    stage.register.closed(primary.instance_id, stage.clock.now())  # it has stopped at last
    primary.gate.is_stuck = False
    primary.restart()  # the agent's process was killed
    stage.run(120)
    assert stage.register.serving() == [], "epoch 2 is another's, and stands on the disk"
