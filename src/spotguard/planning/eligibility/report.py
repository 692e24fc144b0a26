"""The eligibility report: every rule's finding under its colour, and whether the machine may be enrolled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from spotguard.domain.errors import InvalidInput
from spotguard.planning.eligibility import of_account, of_instance, of_machine
from spotguard.planning.eligibility.facts import Facts
from spotguard.planning.findings import Finding, Grade, examine, named, worst

RULES = (*of_machine.RULES, *of_instance.RULES, *of_account.RULES)
COLOUR: Mapping[Grade, str] = {
    Grade.FINE: "green",
    Grade.CARE: "amber",
    Grade.STOP: "red",
    Grade.UNKNOWN: "unknown",
}


@dataclass(frozen=True)
class Report:
    """Findings in the order of the rules."""

    findings: tuple[Finding, ...]

    @property
    def grade(self) -> Grade:
        return worst(self.findings)

    @property
    def red(self) -> tuple[str, ...]:
        return named(self.findings, Grade.STOP)


def report(facts: Facts) -> Report:
    return Report(examine(RULES, facts))


def in_the_way(found: Report, accepted: Collection[str]) -> tuple[str, ...]:
    """The red findings that nobody accepted by name. `InvalidInput` for a name that is no rule's."""
    known = {rule.name for rule in RULES}
    if strange := sorted(set(accepted) - known):
        raise InvalidInput(f"no rule is named {', '.join(strange)}; the report shows the names")
    return tuple(name for name in found.red if name not in accepted)
