"""Who may serve: starts, crashes, reboots, clones, lost servers."""

import zlib
from datetime import timedelta
from itertools import pairwise

import pytest

from spotguard.domain.errors import GateFailed
from spotguard.domain.instances import GateState
from spotguard.domain.switches import MoveKind, Step
from spotguard.ports.server import Reply
from tests.agent.stage import Host, Stage
from tests.cloud.scene import A, B


def test_the_first_of_its_name_serves():
    stage = Stage()
    primary = stage.primary()
    assert primary.primacy.held == 1


def test_a_running_workload_serves_on_while_the_server_is_away_and_the_agent_restarts():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    primary.restart()
    stage.run(300)
    assert stage.register.serving() == [primary.instance_id]
    assert len(stage.register.sessions) == 0, "never closed"


def test_after_a_reboot_it_opens_again_without_asking():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    stage.register.closed(primary.instance_id, stage.clock.now())
    primary.restart()
    stage.run(30)
    assert stage.register.serving() == [primary.instance_id]
    assert primary.primacy.held == 1


def test_a_released_epoch_never_opens_again_whatever_it_is_told():
    stage = Stage()
    primary = stage.primary()
    primary.primacy.pause()
    primary.primacy.release(1)
    for _ in range(3):
        primary.restart()
        stage.run(200)  # the server still says: primary, epoch 1
        stage.server.order(primary.instance_id, "promote", {"switch_id": None, "epoch": 1}, epoch=1)
        stage.run(60)
    assert stage.register.serving() == []
    results = [o.result["status"] for o in stage.server.orders.values()]
    assert results == ["refused"] * 3


def test_a_clone_discards_the_identity_and_stays_passive():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    other = stage.launch(B)
    stage.wait(10)
    clone = Host(stage, other)
    clone.files.files.update(primary.files.files)
    stage.hosts[other] = clone
    stage.run(200)
    assert clone.primacy.held is None
    assert clone.agent.desk.enrolment is None
    assert stage.register.serving() == [primary.instance_id]
    stage.server.away = False
    clone.installed_as = "web"
    clone.restart()
    stage.run(200)
    assert clone.primacy.gate_state() is GateState.CLOSED
    assert primary.agent.desk.enrolled().agent_token != clone.agent.desk.enrolled().agent_token
    stage.nothing_lost()


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 17))
def test_a_clone_killed_at_any_line_of_its_start_serves_nothing(number: int, before: bool):
    stage = Stage()
    primary = stage.primary()
    other = stage.launch(B)
    stage.wait(10)
    clone = Host(stage, other, installed_as="web")
    clone.files.files.update(primary.files.files)
    clone.peril.kill_at(number, before=before)
    stage.hosts[other] = clone
    stage.run(200)
    assert clone.crashes == 1
    assert clone.primacy.held is None
    assert stage.register.serving() == [primary.instance_id]
    stage.nothing_lost()


def test_a_holding_without_its_enrolment_is_not_believed_on_another_machine():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    other = stage.launch(B)
    stage.wait(10)
    clone = Host(stage, other, installed_as="web")
    clone.files.files["primacy"] = primary.files.files["primacy"]
    stage.hosts[other] = clone
    stage.run(200)
    assert clone.primacy.held is None
    assert stage.register.serving() == [primary.instance_id]


def told_once(stage):
    before = len(stage.server.reports("heartbeat"))
    stage.run(120, until=lambda: len(stage.server.reports("heartbeat")) > before)


def test_two_answers_in_a_row_that_another_holds_this_very_epoch_close_the_gate():
    stage = Stage()
    primary = stage.primary()
    stage.server.holder = "i-0123456789abcdef0"
    stage.server.passive_epoch = 1
    told_once(stage)
    assert stage.register.serving() == [primary.instance_id], "one answer may have crossed with a grant"
    stage.run(10)
    assert stage.register.serving() == []
    assert primary.primacy.released == 1


def test_one_such_answer_that_crossed_with_its_own_grant_closes_nothing():
    stage = Stage()
    primary = stage.primary()
    stage.server.holder, stage.server.passive_epoch = "i-0123456789abcdef0", 1
    told_once(stage)
    stage.server.holder = primary.instance_id
    stage.run(300)
    assert stage.register.serving() == [primary.instance_id]
    assert len(stage.register.sessions) == 0, "never closed"


def test_a_clone_does_not_send_the_reports_of_its_original():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    stage.ec2.controls.signal_rebalance(primary.instance_id)
    stage.run(5)
    other = stage.launch(B)
    stage.wait(10)
    clone = Host(stage, other, installed_as="web")
    clone.files.files.update(primary.files.files)
    stage.hosts[other] = clone
    stage.server.away = False
    stage.run(200)
    told_by = [who for _, what, who, _ in stage.server.heard if what == "interruption-signal"]
    assert told_by == [primary.instance_id]


def test_an_instance_with_a_lost_token_enrols_anew_and_serves_on():
    stage = Stage()
    primary = stage.primary()
    stage.server.tokens.clear()
    stage.run(120)
    assert stage.register.serving() == [primary.instance_id]
    assert len(stage.register.sessions) == 0
    assert primary.agent.desk.is_enrolled


def test_whoever_lost_the_epoch_closes():
    stage = Stage()
    primary = stage.primary()
    stage.server.holder, stage.server.epoch = "i-0123456789abcdef0", 2
    stage.run(130)
    assert stage.register.serving() == []
    assert primary.primacy.released == 1


@pytest.mark.parametrize("server_away", [True, False])
def test_what_something_else_starts_again_after_the_release_is_stopped_within_a_minute(server_away: bool):
    """A socket, a timer or a person, with the server away as well."""
    stage = Stage()
    primary = stage.primary()
    primary.primacy.release(1)
    stage.run(70)
    stage.server.away = server_away
    assert stage.register.serving() == []
    primary.gate.open(1)
    stage.run(70)
    assert stage.register.serving() == []
    assert primary.primacy.held is None


def test_a_workload_that_ran_before_us_is_left_alone_until_an_epoch_says_otherwise():
    stage = Stage()
    stage.primary()
    other = stage.launch(A)
    stage.wait(10)
    second = Host(stage, other, installed_as="web")
    second.gate.open(0)
    stage.hosts[other] = second
    stage.run(200)
    assert second.primacy.gate_state() is GateState.OPEN, "a mistyped name stops nobody's workload"


@pytest.mark.parametrize(("damaged", "released"), [("move", 1), ("enrolment", 0)])
def test_a_gate_that_a_move_has_closed_is_not_opened_again_over_a_damaged_file(damaged: str, released: int):
    """What was acknowledged then would not be in the image. Of an enrolment alone nothing but itself is lost."""
    stage = Stage()
    primary = stage.primary()
    stage.server.open_move(MoveKind.IMAGE, launch=stage.order_launch(B))
    stage.run(60, until=lambda: not stage.register.serving())
    sessions = len(stage.register.sessions)
    stage.server.away = True
    primary.files.files[damaged] = b"00000000 {}\n"
    primary.restart()
    stage.run(20)
    assert stage.register.serving() == []
    assert len(stage.register.sessions) == sessions
    assert primary.primacy.released == released


def test_a_torn_journal_loses_nothing_that_was_whole():
    stage = Stage()
    primary = stage.primary()
    stage.server.away = True
    stage.ec2.controls.signal_rebalance(primary.instance_id)
    stage.run(5)
    whole = primary.files.files["outbox"]
    assert zlib.crc32(whole)
    primary.files.files["outbox"] = whole + b'deadbeef {"put":{"id":"half'
    primary.restart()
    stage.run(5)
    stage.ec2.controls.interrupt(primary.instance_id)
    stage.run(5)
    stage.server.away = False
    stage.run(70)
    told = [body["signal_type"] for body in stage.server.reports("interruption-signal")]
    assert told == ["instance-termination", "rebalance-recommendation"]


def test_after_hours_without_the_server_reports_come_in_order_and_once():
    stage = Stage()
    primary = stage.primary()
    switch = stage.server.open_move(MoveKind.SYNCED, launch=stage.order_launch(B))
    stage.run(12)  # the command has arrived
    stage.server.away = True
    stage.run(3600)
    stage.ec2.controls.signal_rebalance(primary.instance_id)
    stage.run(3 * 3600)
    assert stage.register.serving() == [primary.instance_id]
    stage.server.away = False
    stage.server.lose_answers = 3
    stage.run(180)
    signals = stage.server.reports("interruption-signal")
    assert len({body["signal_time"] for body in signals}) == 1
    own = [(what, body) for _, what, who, body in stage.server.heard if who == primary.instance_id]
    kept = [body["observed_at"] for what, body in own if what == "pricing-report"]
    assert kept == sorted(kept)
    assert len(kept) > 20, "a sample every ten minutes was kept"
    stage.run(300)
    assert Step.OPENED in stage.server.moves[switch].recorded
    stage.nothing_lost()


def test_a_report_that_is_refused_does_not_hold_up_the_rest():
    stage = Stage()
    primary = stage.primary()
    stage.server.refuse["interruption-signal"] = Reply(422, {"detail": "nonsense"})
    stage.ec2.controls.signal_rebalance(primary.instance_id)
    stage.run(5)
    order = stage.server.order(primary.instance_id, "drill", {})
    stage.run(20)
    assert order.result["status"] == "refused"
    letters = primary.agent.desk.outbox.dead_letters()
    assert [letter["status"] for letter in letters] == [422]
    assert len(primary.agent.desk.outbox) == 0


def handing_over(answer):
    """A primary that has let go, and whose report of it the server answers so; its heartbeats do not get through."""
    stage = Stage()
    primary = stage.primary()
    stage.server.refuse_release = answer
    switch = stage.server.open_move(MoveKind.SYNCED, launch=stage.order_launch(B))
    stage.run(900, until=lambda: primary.primacy.paused)
    stage.server.refuse["heartbeat"] = Reply(503, {})
    stage.run(130)
    assert primary.primacy.released == 1
    return stage, primary, switch


def test_a_release_that_the_server_refuses_to_hear_is_kept_and_told_by_the_heartbeat():
    stage, primary, _ = handing_over(Reply(422, {"detail": "this time lies in the future"}))
    outbox = primary.agent.desk.outbox
    assert outbox.dead_letters() == []
    assert outbox.first() is None, "it holds up nobody"
    stage.server.refuse.clear()
    stage.run(180)
    own = [
        body for _, what, who, body in stage.server.heard if (what, who) == ("heartbeat", primary.instance_id)
    ]
    assert own[-1]["released"] == 1
    assert [letter["status"] for letter in outbox.dead_letters()] == [422], "now a person may look at it"


def test_a_release_that_was_refused_once_is_taken_the_next_time():
    stage, primary, switch = handing_over(Reply(409, {"detail": "not now"}))
    stage.server.refuse_release = None
    stage.run(180)
    assert Step.OPENED in stage.server.moves[switch].recorded
    assert primary.agent.desk.outbox.dead_letters() == []
    stage.nothing_lost()


def test_the_beat_that_the_server_gave_survives_a_restart():
    stage = Stage()
    stage.server.intervals["heartbeat_seconds"] = 7
    primary = stage.primary()
    primary.restart()
    stage.run(60)
    assert primary.agent.desk.intervals.heartbeat_seconds == 7
    beats = [at for at, what, _, _ in stage.server.heard if what == "heartbeat"][-4:]
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(beats)} == {7}


class Slow:
    """A gate whose workload stops, but later than anybody waits for."""

    def __init__(self, gate, clock):
        self._gate, self._clock, self._stops_at = gate, clock, None
        self.healthy = gate.healthy

    def state(self):
        if self._stops_at is not None and self._clock.now() >= self._stops_at:
            self._gate.close()
            self._stops_at = None
        return self._gate.state()

    def open(self, epoch, before=None):
        self._gate.open(epoch, before)

    def close(self):
        if self.state() is GateState.OPEN:
            self._stops_at = self._stops_at or self._clock.now() + timedelta(seconds=20)
            raise GateFailed("no end within 90 s")


def test_one_whose_epoch_is_over_does_not_start_again_what_stops_too_slowly():
    stage = Stage()
    primary = stage.primary()
    primary.gate = Slow(primary.gate, stage.clock)
    primary.restart()
    stage.run(70)
    stage.server.epoch, stage.server.holder, stage.server.passive_epoch = 2, "i-0123456789abcdef0", 2
    stage.run(300)
    assert stage.register.serving() == []
    assert len(stage.register.sessions) == 1
    assert primary.primacy.released == 1
