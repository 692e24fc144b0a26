"""Something else (a timer, a package's upgrade, a person) starts the workload after a move has closed its gate."""

from spotguard.domain.instances import GateState
from spotguard.domain.switches import MoveKind, Step
from tests.agent.test_moves import moving


def reopened(kind, *, seconds):
    """The server goes away when the gate has closed, so that the release waits; so many seconds later it is opened."""
    stage, switch, old = moving(kind)
    stage.run(1800, lambda: Step.GATE_CLOSED in stage.server.moves[switch].recorded)
    stage.server.away = True
    stage.run(seconds)
    assert stage.register.serving() == []
    stage.register.seconds_per_record = 0.01
    old.gate.open(1)
    return stage, switch, old


def test_what_was_written_after_the_last_pass_goes_with_another_one():
    stage, switch, old = reopened(MoveKind.SYNCED, seconds=10)
    before = stage.register.acknowledged
    stage.run(20)
    assert stage.register.acknowledged > before
    assert stage.register.serving() == [], "closed again"
    stage.server.away = False
    stage.run(900)
    stage.nothing_lost()
    assert stage.register.serving() == [stage.server.moves[switch].new]
    assert old.primacy.released == 1


def test_an_image_that_lacks_what_was_written_after_it_has_no_follower():
    stage, _, old = reopened(MoveKind.IMAGE, seconds=600)
    stage.run(20)
    stage.server.away = False
    stage.run(900)
    stage.nothing_lost()
    assert stage.register.serving() == [old.instance_id]
    assert old.primacy.released == 0


def test_what_ran_again_and_was_found_by_the_heartbeat_is_not_lost_either():
    """Presence closes it before the move's own look: that it ran is remembered, also by the next agent."""
    stage, switch, old = reopened(MoveKind.SYNCED, seconds=10)
    stage.run(0.2)
    old.run("presence")
    assert stage.register.serving() == []
    old.restart()
    stage.server.away = False
    stage.run(900)
    stage.nothing_lost()
    assert stage.register.serving() == [stage.server.moves[switch].new]


def test_one_that_is_paused_anew_has_nothing_left_to_be_sent_again():
    _, _, old = reopened(MoveKind.SYNCED, seconds=10)
    assert not old.primacy.stays_closed()
    assert not old.primacy.stays_closed()
    old.primacy.pause()
    assert old.primacy.stays_closed()
    old.primacy.resume()
    assert old.primacy.stays_closed()
    assert old.gate.state() is GateState.OPEN, "no move has paused it any more"
