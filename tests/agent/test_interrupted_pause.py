"""An agent that was killed while it closed its gate for a move, and whose record of that move is damaged, lets go."""

from tests.agent.stage import Stage
from tests.agent.test_damaged_memory import Late
from tests.agent.test_fenced_and_restarted import Stuck


def killed_in_a_pause(gate_of):
    """Between the note that a move has paused it and the end of the closing; the new process meets this gate."""
    stage = Stage()
    primary = stage.primary()
    primary.primacy.pause()
    primary.files.files["move"] = b"00000000 {}\n"
    primary.gate = gate_of(primary.gate)
    primary.restart()
    return stage, primary


def test_a_start_that_goes_on_behind_a_closed_gate_is_ended_before_a_lost_move_lets_go():
    stage, primary = killed_in_a_pause(Late)
    stage.run(70)
    assert (primary.primacy.released, primary.gate.goes_on) == (1, False)


class Opened(Stuck):
    """One that also runs still: the closing had not got so far."""

    def __init__(self, gate):
        super().__init__(gate)
        gate.open(1)


def test_a_gate_that_does_not_close_at_once_is_told_and_closed_later():
    stage, primary = killed_in_a_pause(Opened)
    stage.run(70)
    beats = stage.server.reports("heartbeat")
    assert beats[-1]["workload_stuck"] == "no end within 90 s"
    primary.gate.is_stuck = False
    stage.run(70)
    assert (primary.primacy.released, stage.register.serving()) == (1, [])
    assert stage.server.reports("heartbeat")[-1]["released"] == 1
