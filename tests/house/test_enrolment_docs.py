"""docs/enrolment.md names every rule of the eligibility report and of the doctor, and every source that they cite."""

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


def test_every_number_that_is_cited_is_explained():
    cited = {number for rule in (*RULES, *CHECKS) for number in re.findall(r"\b[EU]\d+\b", rule.source)}
    explained = set(re.findall(r"^\| ([EU]\d+) \|", DOCUMENT, re.MULTILINE))
    assert cited <= explained
