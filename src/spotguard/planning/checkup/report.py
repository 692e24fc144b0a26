"""The doctor's report: every rule's finding as ok, warning, error, or unknown."""

from __future__ import annotations

from collections.abc import Mapping

from spotguard.planning.checkup import of_fleet, of_server
from spotguard.planning.checkup.facts import Facts
from spotguard.planning.findings import Finding, Grade, examine

RULES = (*of_server.RULES, *of_fleet.RULES)
LEVEL: Mapping[Grade, str] = {
    Grade.FINE: "ok",
    Grade.CARE: "warning",
    Grade.STOP: "error",
    Grade.UNKNOWN: "unknown",
}


def checkup(facts: Facts) -> tuple[Finding, ...]:
    return examine(RULES, facts)
