"""One workload's last days: bills that can be worked out by hand, holes that are told, and a process that ends."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from spotguard.backtest.apart import Apart
from spotguard.backtest.replays import replayed
from spotguard.domain.agents import GuardRails
from spotguard.domain.errors import Refused
from spotguard.domain.pools import parse_pool_id
from spotguard.ports.replay import PriceSteps, Replayed, ReplayQuestion

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
A, B = (parse_pool_id(f"t3.medium.ap-south-1{zone}") for zone in "ab")
HOUR = timedelta(hours=1)


def steps(pool: object, *told: tuple[float, str | None]) -> PriceSteps:
    """`(hours after the beginning, USD)`."""
    points = tuple((BEGIN + hours * HOUR, None if usd is None else Decimal(usd)) for hours, usd in told)
    return PriceSteps(pool, points)  # type: ignore[arg-type]


def question(*prices: PriceSteps, days: float = 10) -> ReplayQuestion:
    return ReplayQuestion(
        home=A,
        prices=prices,
        ondemand_usd=Decimal("0.10"),
        since=BEGIN,
        until=BEGIN + timedelta(days=days),
        rails=GuardRails(),
        minute_usd=0.0,
        wait_seconds=0.0,
    )


def bills(found: Replayed) -> dict[str, float]:
    return {course.policy: float(course.usd) for course in found.courses}


def test_with_one_steady_price_everybody_but_on_demand_pays_that_price():
    found = replayed(question(steps(A, (0, "0.03"))))
    usd = bills(found)
    assert set(usd) == {"on-demand", "reactive", "cheaper-5", "engine", "clairvoyant"}
    assert float(found.ondemand_usd) == usd["on-demand"] == pytest.approx(24.0)
    for name in ("reactive", "cheaper-5", "engine"):
        assert usd[name] == pytest.approx(7.2, rel=0.01), name
    assert usd["clairvoyant"] <= min(usd.values())


def test_the_days_of_a_course_add_up_to_its_bill_and_lie_in_its_interval():
    found = replayed(question(steps(A, (0, "0.03"), (100, "0.06")), steps(B, (0, "0.05"))))
    for course in found.courses:
        assert sum(usd for _, usd in course.days) == pytest.approx(course.usd, abs=Decimal("0.00002"))
        assert course.interval is not None
        low, high = course.interval
        assert low <= course.saved_percent <= high, course


def test_the_engine_stays_within_the_agents_own_rails():
    prices = (steps(A, (0, "0.05"), (48, "0.06")), steps(B, (0, "0.055")))
    free = replayed(question(*prices))
    railed = replayed(replace(question(*prices), rails=GuardRails(min_savings_percent=Decimal(50))))
    moves = [next(c.moves for c in found.courses if c.policy == "engine") for found in (free, railed)]
    assert moves == [1, 0]


def test_few_days_have_no_interval():
    found = replayed(question(steps(A, (0, "0.03")), days=3))
    assert {course.interval for course in found.courses} == {None}


def test_a_pool_that_is_hardly_known_is_left_out_and_told():
    found = replayed(question(steps(A, (0, "0.03")), steps(B, (0, "0.01"), (24, None))))
    assert found.pools == (A.id,)
    assert [(one.pool_id, one.because) for one in found.left_out] == [
        (B.id, "its price is known for 10% of this time")
    ]


def test_a_short_hole_holds_the_last_price_and_is_told_never_free():
    whole = replayed(question(steps(A, (0, "0.03"))))
    holed = replayed(question(steps(A, (0, "0.03"), (50, None), (60, "0.03"))))
    assert (whole.held_hours, holed.held_hours) == (0, 10)
    assert bills(whole) == bills(holed)


def test_prices_of_less_than_a_day_are_refused():
    with pytest.raises(Refused, match="less than a day"):
        replayed(question(steps(A, (0, None), (9.5 * 24, "0.03"))))
    with pytest.raises(Refused, match="less than a day"):
        replayed(question())


def test_it_begins_where_the_first_price_is_known():
    found = replayed(question(steps(A, (24, "0.03"))))
    assert found.since == BEGIN + timedelta(days=1)


@pytest.mark.long
def test_apart_gives_the_same_answer_and_the_same_refusal():
    asked = question(steps(A, (0, "0.03"), (100, "0.06")), steps(B, (0, "0.05")))
    assert Apart()(asked, lambda: False) == replayed(asked)
    with pytest.raises(Refused, match="less than a day"):
        Apart()(question(), lambda: False)


def test_apart_ends_with_whoever_gave_up_and_at_its_time():
    asked = question(steps(A, (0, "0.03")))
    began = time.monotonic()
    with pytest.raises(Refused, match="nobody waits"):
        Apart()(asked, lambda: True)
    with pytest.raises(Refused, match="too long"):
        Apart(wall_seconds=0)(asked, lambda: False)
    assert time.monotonic() - began < 5
