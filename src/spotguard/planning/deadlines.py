"""When the next step of a move is due, from the step table: pure.

Times are those at which the server heard of the steps: an agent's clock may be wrong, and a report may be late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.switches import PLANNED, MoveKind, Step, StepRule, WhenLate, rules_of

HEARD_WITHIN = timedelta(seconds=60)
"""Whoever does a step judges it first: the server gives up a minute later, since a report may be under way."""

KEEP_AFTER_LOSS = timedelta(hours=24)
"""A dead holder's volume holds writes that the promoted standby lacks: a person may want them."""


_SOONER = frozenset({Step.OLD_ENDED, Step.PRUNED})  # the old instance may end before the new one is proven
_CARRIED = frozenset({Step.VOLUMES_MOVED})  # to a recovery's new instance while it still boots


@dataclass(frozen=True)
class OpenMove:
    """A move as far as its deadlines go. `begun_at`: its opening, or a later grant that it waits for."""

    kind: MoveKind
    is_recovery: bool
    begun_at: datetime
    state_gib: int | None = None
    wait_seconds: int = 0  # before the old instance is ended
    keeps_lost: bool = False  # its leftovers are kept for a person


@dataclass(frozen=True)
class DueStep:
    """What a move waits for, until when, and what then."""

    step: Step
    at: datetime
    late: WhenLate


def lacks_writes(lost_seconds: Decimal | None, *, is_recovery: bool) -> bool:
    """Who serves after this move may lack writes that its dead holder's volumes hold. None: nobody knows how many."""
    return is_recovery and (lost_seconds is None or lost_seconds > 0)


def next_due(move: OpenMove, heard: Mapping[Step, datetime]) -> DueStep | None:
    """The first step of the table that is still to come; None when all have happened."""
    rules = rules_of(move.kind, is_recovery=move.is_recovery)
    sooner = _SOONER | _CARRIED if move.is_recovery else _SOONER
    got_past = [n for n, rule in enumerate(rules) if rule.step in heard and rule.step not in sooner]
    ahead = rules[max(got_past, default=-1) + 1 :]
    rule = next((rule for rule in ahead if rule.step not in heard), None)
    if rule is None:
        return None
    before = [heard[r.step] for r in rules[: rules.index(rule)] if r.step in heard]
    return DueStep(rule.step, max([move.begun_at, *before]) + _allowance(move, rule), rule.late)


def _allowance(move: OpenMove, rule: StepRule) -> timedelta:
    allowed = timedelta(seconds=rule.within_seconds(move.state_gib))
    if rule.step is Step.OLD_ENDED:
        return allowed + timedelta(seconds=move.wait_seconds)
    if rule.step is Step.PRUNED and move.keeps_lost:
        return allowed + KEEP_AFTER_LOSS
    return allowed


def prepares_within(kind: MoveKind, *, is_recovery: bool = False, state_gib: int | None = None) -> timedelta:
    """All the time that the steps up to the grant have together."""
    rules = rules_of(kind, is_recovery=is_recovery)
    steps = [rule.step for rule in rules]
    until = rules[: steps.index(Step.GRANTED) + 1]
    return timedelta(seconds=sum(rule.within_seconds(state_gib) for rule in until))


def closed_at_most(kind: MoveKind) -> timedelta:
    """How long a holder keeps its gate closed for a move that does not come to its release."""
    steps = [rule.step for rule in PLANNED[kind]]
    closed = PLANNED[kind][steps.index(Step.GATE_CLOSED) + 1 : steps.index(Step.RELEASED) + 1]
    return timedelta(seconds=sum(rule.seconds for rule in closed))
