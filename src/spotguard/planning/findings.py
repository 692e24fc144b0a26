"""What a look found and how grave it is: shared by the eligibility report and the doctor.

What nobody could look at is `UNKNOWN`, never fine: a rule that asks for it with `seen` is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")
Facts = TypeVar("Facts")


class Grade(StrEnum):
    """How grave: nothing to do, to be read, in the way, or not looked at."""

    FINE = "fine"
    CARE = "care"
    STOP = "stop"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Unseen:
    """Stands for a fact that was not looked at; `because` is a sentence."""

    because: str


class NotSeen(Exception):
    """A rule asked for a fact that nobody has."""


def seen(fact: T | Unseen) -> T:
    """The fact; what nobody looked at ends the rule."""
    if isinstance(fact, Unseen):
        raise NotSeen(fact.because)
    return fact


@dataclass(frozen=True)
class Verdict:
    """What a rule says: the grade, why, and what to do about it (empty when there is nothing)."""

    grade: Grade
    because: str
    mend: str = ""


def fine(because: str) -> Verdict:
    return Verdict(Grade.FINE, because)


def care(because: str, mend: str) -> Verdict:
    return Verdict(Grade.CARE, because, mend)


def stop(because: str, mend: str) -> Verdict:
    return Verdict(Grade.STOP, because, mend)


@dataclass(frozen=True)
class Rule(Generic[Facts]):
    """A function whose name is a sentence, and where its sentence comes from: what its reader can open or run."""

    judge: Callable[[Facts], Verdict]
    source: str

    @property
    def name(self) -> str:
        """As it is typed on a command line."""
        return self.judge.__name__.replace("_", "-")


@dataclass(frozen=True)
class Finding:
    """One rule's verdict."""

    name: str
    grade: Grade
    because: str
    mend: str
    source: str


def examine(rules: Iterable[Rule[Facts]], facts: Facts) -> tuple[Finding, ...]:
    """Every rule's finding, in the order of the rules."""
    return tuple(_examined(rule, facts) for rule in rules)


def _examined(rule: Rule[Facts], facts: Facts) -> Finding:
    try:
        verdict = rule.judge(facts)
    except NotSeen as missing:
        verdict = Verdict(
            Grade.UNKNOWN, f"not looked at: {missing}", "look yourself, or give what is missing"
        )
    return Finding(rule.name, verdict.grade, verdict.because, verdict.mend, rule.source)


BY_GRAVITY = (Grade.STOP, Grade.UNKNOWN, Grade.CARE, Grade.FINE)


def worst(findings: Iterable[Finding]) -> Grade:
    """What was not looked at is graver than what only wants care."""
    grades = {finding.grade for finding in findings}
    return next((grade for grade in BY_GRAVITY if grade in grades), Grade.FINE)


def named(findings: Iterable[Finding], grade: Grade) -> tuple[str, ...]:
    return tuple(finding.name for finding in findings if finding.grade is grade)
