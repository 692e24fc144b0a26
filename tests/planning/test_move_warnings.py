"""What a person is told before a move: one sentence for each thing that changes, and no other."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from spotguard.domain.instances import Mode
from spotguard.domain.pools import Pool
from spotguard.domain.switches import MoveKind
from spotguard.planning.guard_rails import above_the_limit
from spotguard.planning.move_warnings import Change, warnings

PLAIN = Change(
    old=Pool("m5.large", "us-east-1a"),
    old_mode=Mode.SPOT,
    new=Pool("m5.large", "us-east-1a"),
    new_mode=Mode.SPOT,
    kind=MoveKind.VOLUME,
    state_gib=20,
    auto_terminate=True,
    old_usd=Decimal("0.05"),
    new_usd=Decimal("0.04"),
)


def test_the_address_changes_with_every_instance():
    assert warnings(PLAIN) == ("the private address changes, and so does a public one that is no Elastic IP",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"new": Pool("m5.large", "us-east-1b")}, "another availability zone, us-east-1b"),
        ({"new": Pool("m6i.large", "us-east-1a")}, "another instance type: m6i.large instead of m5.large"),
        ({"new": Pool("m4.large", "us-east-1a")}, "of an older generation: m4.large instead of m5.large"),
        ({"old_mode": Mode.ONDEMAND}, "two minutes' notice or none"),
        ({"new_usd": Decimal("0.06")}, "it is dearer: 0.06 instead of 0.05 USD/h"),
        ({"new_usd": None}, "a price is not known"),
        (
            {"quarantined_until": datetime(2026, 3, 1, 12, tzinfo=UTC)},
            "in quarantine until 2026-03-01 12:00 UTC",
        ),
        (
            {"above_risk_limit": above_the_limit(Decimal("0.597"), Decimal("0.3"))},
            "its risk is above this agent's risk limit: 59.7 % within 6 h, at most 30.0 % are allowed",
        ),
        ({"kind": MoveKind.IMAGE}, "the workload stands still meanwhile"),
        ({"kind": MoveKind.SYNCED, "state_gib": None}, "no state volume is known"),
        ({"auto_terminate": False}, "until somebody ends it"),
    ],
)
def test_each_change_is_told_once(change, told):
    (more,) = set(warnings(replace(PLAIN, **change))) - set(warnings(PLAIN))
    assert told in more


@pytest.mark.parametrize("other", ["c4.large", "u-6tb1.metal", "m5ad.large"])
def test_generations_are_compared_within_a_series_alone(other):
    told = " ".join(warnings(replace(PLAIN, new=Pool(other, "us-east-1a"))))
    assert "another instance type" in told
    assert "older" not in told
