"""Autonomy `approve`: a person confirms each move; what is confirmed runs, and nothing else does (ruling B17)."""

from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from spotguard.domain.agents import Autonomy, KillLevel
from spotguard.domain.errors import NotFound, Refused
from spotguard.planning.approvals import REJECTED_FOR, STANDS_FOR
from spotguard.store import approvals, kill, prices
from spotguard.store.tables import agent_events, agents, decisions, switches
from tests.coordinator.scene import A, B, C, Scene

WAITING = decisions.c.verdict == "await_approval"


class Desk:
    """A person at the screen, and the agent that waits for them."""

    def __init__(self, reports=None, **scene) -> None:
        self.scene = Scene(**scene)
        self.agent = self.scene.protect(pool=A, min_pool_hours=0, terminate_wait_seconds=0)
        if reports:
            self.report(reports)
        self.scene.config(self.agent, autonomy=Autonomy.APPROVE.value)
        self.scene.run(300, until=lambda: bool(self.waiting()))

    def report(self, usd):
        scene = self.scene
        told = [(pool.id, Decimal(price)) for pool, price in usd.items()]
        scene.db.write(lambda tx: prices.record_report(tx, scene.now, scene.client_id, scene.now, told))

    def waiting(self):
        return sorted(self.scene.rows(decisions, WAITING), key=lambda row: row.decided_at)

    @property
    def proposal(self):
        return self.waiting()[-1]

    def approve(self, decision_id=None):
        wanted = decision_id or self.proposal.id
        scene = self.scene
        shelf = scene.coordinator.ctx.shelf
        return scene.db.write(lambda tx: approvals.approve(tx, scene.now, scene.client_id, wanted, shelf))

    def reject(self, reason=None):
        scene, wanted = self.scene, self.proposal.id
        scene.db.write(lambda tx: approvals.reject(tx, scene.now, scene.client_id, wanted, reason))

    def place(self):
        return self.scene.agent(self.agent).current_pool_id


def test_what_is_approved_runs():
    desk = Desk()
    asked = desk.proposal
    assert desk.scene.rows(switches) == []
    approved = desk.approve()
    desk.scene.run(1800, until=lambda: desk.scene.move(approved.move.switch_id).status == "completed")
    assert desk.place() == asked.target_pool_id
    answered = desk.scene.row(decisions, decisions.c.id == asked.id)
    assert (answered.verdict, answered.command_id) == ("move", approved.move.command_id)
    assert answered.because.endswith("approved by its user")
    assert desk.scene.last_move(desk.agent).event_trigger == "auto_switch", "it counts as the engine's own"
    assert len(desk.scene.rows(agent_events, agent_events.c.kind == "decision_approved")) == 1
    assert desk.scene.breaches() == []


def test_a_second_click_finds_it_answered():
    desk = Desk()
    asked = desk.proposal.id
    desk.approve()
    with pytest.raises(Refused, match="its verdict is move"):
        desk.approve(asked)
    assert len(desk.scene.rows(switches)) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"max_switches_per_day": 0}, "0 voluntary switches"),
        ({"min_pool_hours": 24}, "at least 24"),
        ({"allowed_azs": [A.az]}, "the market has moved"),
        ({"autonomy": "observe"}, "autonomy is observe"),
        ({"enabled": False}, "does not decide for this agent"),
    ],
    ids=str,
)
def test_the_guard_rails_are_asked_again(change, why):
    desk = Desk()
    desk.scene.db.write(lambda tx: tx.execute(sa.update(agents).values(**change)))
    with pytest.raises(Refused, match=why):
        desk.approve()
    assert desk.scene.rows(switches) == []
    assert desk.proposal.verdict == "await_approval", "nothing was answered"


def test_the_kill_switch_stops_an_approval():
    desk = Desk()
    scene = desk.scene
    scene.db.write(
        lambda tx: kill.set_level(tx, scene.now, scene.client_id, "client", KillLevel.VOLUNTARY, "x")
    )
    with pytest.raises(Refused, match="kill switch"):
        desk.approve()


def test_a_market_that_has_moved_since_is_not_what_was_approved():
    desk = Desk(reports={A: "0.050", B: "0.030", C: "0.048"}, has_cloud=False)
    assert desk.proposal.target_pool_id == B.id
    desk.report({B: "0.060"})
    with pytest.raises(Refused, match="the market has moved"):
        desk.approve()


def test_an_unanswered_proposal_expires_and_is_made_anew():
    desk = Desk()
    first = desk.proposal.id
    desk.scene.run(STANDS_FOR.total_seconds() - 600)
    assert len(desk.waiting()) == 1, "one is not repeated while it stands"
    desk.scene.run(1200)
    assert len(desk.waiting()) == 2
    with pytest.raises(Refused, match="expired"):
        desk.approve(first)
    desk.approve()


def test_a_proposal_that_a_newer_decision_replaced_is_not_approved():
    desk = Desk()
    old = desk.proposal
    newer = {
        **old._mapping,
        "id": "newer",
        "verdict": "stay",
        "decided_at": old.decided_at + timedelta(seconds=1),
    }
    desk.scene.db.write(lambda tx: tx.execute(sa.insert(decisions), newer))
    with pytest.raises(Refused, match="newer decision"):
        desk.approve(old.id)


@pytest.mark.long
def test_who_said_no_is_not_asked_again_for_a_day():
    desk = Desk()
    asked = desk.proposal
    desk.reject("the quarter ends")
    answered = desk.scene.row(decisions, decisions.c.id == asked.id)
    assert (answered.verdict, answered.because.endswith("rejected by its user: the quarter ends")) == (
        "refused",
        True,
    )
    with pytest.raises(Refused, match="its verdict is refused"):
        desk.approve(asked.id)
    desk.scene.run(REJECTED_FOR.total_seconds() - 900)
    assert desk.waiting() == []
    desk.scene.run(1800)
    assert len(desk.waiting()) == 1


def test_an_approved_move_that_came_to_nothing_is_proposed_again():
    desk = Desk()
    desk.approve()
    scene = desk.scene
    scene.db.write(
        lambda tx: kill.set_level(tx, scene.now, scene.client_id, "client", KillLevel.VOLUNTARY, "x")
    )
    scene.run(30)
    assert scene.last_move(desk.agent).status == "unwound"
    scene.db.write(lambda tx: kill.set_level(tx, scene.now, scene.client_id, "client", KillLevel.NONE, "x"))
    scene.run(900, until=lambda: bool(desk.waiting()))


def test_a_decision_is_its_tenants():
    desk = Desk()
    scene, asked = desk.scene, desk.proposal.id
    with pytest.raises(NotFound):
        scene.db.write(lambda tx: approvals.reject(tx, scene.now, "another", asked, None))
