"""Whether a holder may name its successor by itself, and whom: one ticket at a time, to who could serve now."""

from __future__ import annotations

from dataclasses import dataclass

from spotguard.domain.agents import KillLevel
from spotguard.domain.ids import InstanceId


@dataclass(frozen=True)
class OutTicket:
    """The one that is out. `is_fit`: its standby runs in the boot that it names and stands by, without a notice."""

    to_instance: InstanceId
    is_fit: bool


@dataclass(frozen=True)
class TicketFacts:
    """What the server knows when one of a ticket's ends speaks. `moving_to` None: no move is under way.

    `ready`: standbys that could take over this moment, the oldest first. A move whose target is not known yet
    goes to somebody else.
    """

    enabled: bool
    kill: KillLevel
    holder_is_over: bool  # it has let go or is proven dead
    is_moving: bool
    moving_to: InstanceId | None
    out: OutTicket | None
    ready: tuple[InstanceId, ...]


@dataclass(frozen=True)
class Issue:
    """A ticket to this standby."""

    to_instance: InstanceId


@dataclass(frozen=True)
class Keep:
    """The one that is out is told to its holder again, in case the last answer was lost."""


@dataclass(frozen=True)
class AskBack:
    """Both ends of the one that is out are asked to destroy it."""

    because: str


Plan = Issue | Keep | AskBack | None


def plan(facts: TicketFacts) -> Plan:
    if facts.out is None:
        return _issue(facts)
    because = _why_back(facts, facts.out)
    return Keep() if because is None else AskBack(because)


def _issue(facts: TicketFacts) -> Issue | None:
    if not facts.enabled or facts.kill is KillLevel.ALL or facts.holder_is_over or facts.is_moving:
        return None
    return Issue(facts.ready[0]) if facts.ready else None


def _why_back(facts: TicketFacts, out: OutTicket) -> str | None:
    """A standby whose pass is old is still the one to hand over to: it receives the last pass before the ticket."""
    if facts.is_moving and facts.moving_to != out.to_instance:
        return "a move to another instance is under way"
    if facts.holder_is_over and not facts.is_moving:
        return "its holder is over, and the server decides who follows"
    if not facts.enabled:
        return "disabled by its user"
    if facts.kill is KillLevel.ALL:
        return "the kill switch stops everything, emergencies too"
    if not out.is_fit:
        return "its standby stands by no more"
    return None
