"""A person's answer to a proposal that waits for one (autonomy `approve`, ruling B17), given once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.agents import Autonomy
from spotguard.domain.clock import rfc3339
from spotguard.domain.decisions import Proposal, Verdict
from spotguard.domain.errors import NotFound, Refused
from spotguard.domain.ids import ClientId
from spotguard.domain.instances import Mode
from spotguard.engine import forecast, rules_v1
from spotguard.models.shelf import Shelf
from spotguard.planning import guard_rails
from spotguard.planning.approvals import stands_until
from spotguard.store import decisions, events, fleet, forecasts, judges, moves, rails, silence
from spotguard.store.judges import Judge
from spotguard.store.tables import decisions as rows

Row = sa.Row[Any]


@dataclass(frozen=True)
class Approved:
    """The move that an approval has begun, and the instance that carries it out."""

    move: moves.OpenedMove
    instance_id: str


def approve(
    tx: sa.Connection, now: datetime, client_id: ClientId, decision_id: str, shelf: Shelf
) -> Approved:
    """Opens the proposed move, if the policy still proposes it and every guard-rail agrees now.

    `shelf`: where the active model lies, whose risks are asked for again.
    """
    row = _waiting(tx, now, client_id, decision_id)
    agent = decisions.candidate(tx, row.agent_id)
    if agent is None:
        raise Refused(
            "the engine does not decide for this agent now: it must be enabled, automatic, online and idle"
        )
    if agent.autonomy != Autonomy.APPROVE:
        raise Refused(f"this agent's autonomy is {agent.autonomy} now: set it to approve, or force a switch")
    proposal = _still_proposed(tx, now, agent, row, judges.sitting(tx, now, shelf).present)
    _answer(tx, now, row, Verdict.MOVE, "approved by its user", {"approved_at": rfc3339(now)})
    opened = decisions.open_proposed(tx, now, agent, proposal)
    tx.execute(sa.update(rows).where(rows.c.id == row.id).values(command_id=opened.command_id))
    return Approved(opened, agent.instance_id)


def reject(
    tx: sa.Connection, now: datetime, client_id: ClientId, decision_id: str, reason: str | None
) -> None:
    """The same is not proposed again for a day, unless the workload has moved."""
    row = _waiting(tx, now, client_id, decision_id)
    said = "rejected by its user" if reason is None else f"rejected by its user: {reason}"
    _answer(tx, now, row, Verdict.REFUSED, said, {"rejected_at": rfc3339(now)})


def get(tx: sa.Connection, client_id: ClientId, decision_id: str) -> Row:
    """`NotFound` for one of another tenant."""
    row = tx.execute(
        sa.select(rows).where(rows.c.client_id == client_id, rows.c.id == decision_id)
    ).one_or_none()
    if row is None:
        raise NotFound("no such decision")
    return row


def _waiting(tx: sa.Connection, now: datetime, client_id: ClientId, decision_id: str) -> Row:
    row = get(tx, client_id, decision_id)
    until = stands_until(Verdict(row.verdict), row.decided_at)
    if until is None:
        raise Refused(f"this decision does not wait for an answer: its verdict is {row.verdict}")
    if now >= until:
        raise Refused(f"this proposal expired at {rfc3339(until)}: what still holds is proposed anew")
    last = decisions.newest(tx, row.agent_id)
    if last is not None and last.id != row.id:
        raise Refused("a newer decision has taken this proposal's place: look at that one")
    return row


def _still_proposed(tx: sa.Connection, now: datetime, agent: Row, row: Row, judge: Judge) -> Proposal:
    allowed = fleet.allowance_of_engine(tx, agent)
    bare = fleet.assess_pools(tx, now, agent.client_id, agent, allowed)
    client_id = ClientId(agent.client_id)
    watched = forecasts.watched(tx, now, client_id, {a.pool: a.usd_per_hour for a in bare})
    prospects = forecasts.prospects(tx, now, client_id, [a.pool for a in bare], judge.hazard, watched)
    flaw = judge.flaw or judges.why_not(judge, prospects)
    if flaw is not None:
        raise Refused(f"no voluntary move is made: {flaw}")
    assessments = forecast.with_risks(bare, prospects)
    situation = decisions.situation(tx, now, agent, assessments, fleet.ondemand_of(tx, agent))
    (figures,) = forecasts.figures([(agent, situation)], prospects)
    situation = replace(situation, figures=figures)
    proposal = rules_v1.propose(situation)
    if proposal is None:
        raise Refused(f"the market has moved: {rules_v1.why_stay(situation)}")
    frozen = silence.frozen(tx, now, agent.client_id)
    proposal, facts = rails.rung(tx, now, agent, situation, proposal, frozen)
    if _what(proposal) != (row.aim, row.target_mode, row.target_pool_id):
        raise Refused(f"the market has moved, a new proposal follows: {proposal.because}")
    refused = guard_rails.refusal(facts)
    if refused is not None:
        raise Refused(f"a guard-rail refuses it now: {refused}")
    return proposal


def _what(proposal: Proposal) -> tuple[str, str, str | None]:
    target = proposal.target if proposal.mode is Mode.SPOT else None
    return proposal.aim.value, proposal.mode.value, None if target is None else target.id


def _answer(
    tx: sa.Connection, now: datetime, row: Row, verdict: Verdict, said: str, told: dict[str, str]
) -> None:
    """Once: who comes second finds that it does not wait any more."""
    because = f"{row.because}; {said}"
    changed = tx.execute(
        sa.update(rows)
        .where(rows.c.id == row.id, rows.c.verdict == Verdict.AWAIT_APPROVAL.value)
        .values(verdict=verdict.value, because=because, inputs={**row.inputs, **told})
    )
    if changed.rowcount != 1:
        raise Refused("somebody else has answered already: look again")
    kind = "decision_approved" if verdict is Verdict.MOVE else "decision_rejected"
    events.append(tx, now, row.client_id, row.agent_id, kind, because, {"decision_id": row.id})
