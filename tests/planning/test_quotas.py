"""The edge of a quota, and how long a look at it counts."""

from datetime import UTC, datetime, timedelta

import pytest

from spotguard.domain.instances import Mode
from spotguard.domain.quotas import QuotaClass, VcpuQuota
from spotguard.planning.quotas import KNOWN_FOR, Wanted, why_it_does_not_fit

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def wanted(limit, used, age=timedelta(0), mode=Mode.SPOT):
    quota = VcpuQuota(QuotaClass.STANDARD, mode, limit, used)
    return Wanted("m5.large", 2, quota, ours_vcpus=1, code="L-1216C47A", seen_at=NOW - age)


@pytest.mark.parametrize(
    ("limit", "used", "fits"), [(8, 6, True), (8, 7, False), (0, 0, False), (640, 0, True)]
)
@pytest.mark.parametrize("mode", Mode)
def test_old_and_new_fit_together_or_not(limit, used, fits, mode):
    assert (why_it_does_not_fit(wanted(limit, used, mode=mode), NOW) is None) is fits


def test_it_says_the_numbers_and_what_to_do():
    assert why_it_does_not_fit(wanted(8, 7, mode=Mode.ONDEMAND), NOW) == (
        "the on-demand quota of class Standard is 8 vCPUs: 1 are in use or ordered here, 6 elsewhere in the account, "
        "and m5.large needs 2 beside them: raise the quota (Service Quotas, L-1216C47A), or end something"
    )


def test_an_old_look_is_none():
    assert why_it_does_not_fit(wanted(0, 0, KNOWN_FOR), NOW) is not None
    assert why_it_does_not_fit(wanted(0, 0, KNOWN_FOR + timedelta(seconds=1)), NOW) is None
