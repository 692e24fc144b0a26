"""docs/enrolment.md names every rule of the eligibility report and of the doctor, and its source can be followed."""

import re
from pathlib import Path

import pytest

from spotguard.planning.checkup.report import RULES as CHECKS
from spotguard.planning.eligibility.report import RULES

DOCUMENT = (Path(__file__).parents[2] / "docs" / "enrolment.md").read_text()
ROWS = set(re.findall(r"^\| `([\w-]+)` \| (.*?) \| (.*?) \|$", DOCUMENT, re.MULTILINE))


def row(rule):
    """Its name, the first line of what it says of itself, its source."""
    return rule.name, rule.judge.__doc__.strip().splitlines()[0], rule.source


@pytest.mark.parametrize("rule", [*RULES, *CHECKS], ids=lambda rule: rule.name)
def test_every_rule_stands_in_the_document_with_its_reason_and_source(rule):
    assert row(rule) in ROWS


def test_the_document_names_no_rule_that_is_none():
    assert {name for name, _, _ in ROWS} == {rule.name for rule in (*RULES, *CHECKS)}


def test_no_number_is_cited_that_its_reader_cannot_follow():
    for rule in (*RULES, *CHECKS):
        told = f"{rule.source} {rule.judge.__doc__}"
        assert not re.search(r"\b([BESU]\d+|[Ii]nvariant \d+)\b|users, first hour", told), rule.name
