"""The ledger against a bill recomputed second by second (B12): exact, and the same however often it was settled."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.ids import AgentId, ClientId, PoolId
from spotguard.domain.instances import EndReason, Mode
from spotguard.planning.metering import (
    USD_STEP,
    Change,
    Counterfactual,
    EntryKind,
    Pause,
    Place,
    StoredThing,
    Term,
    meter_counterfactual,
    meter_instance,
    meter_storage,
    pauses_of,
    since_hour_of,
)
from tests.planning.naive_meter import LONGEST_SECONDS, NOON, SECOND, a_run, naive_bill, runs

HOUR = timedelta(hours=1)
LOOK_BACK = HOUR  # what EC2 tells late may lie before the last settlement
looks = st.integers(0, LONGEST_SECONDS + 4_000).map(lambda s: NOON + s * SECOND)


def by_kind(entries, what):
    sums = Counter()
    for entry in entries:
        sums[entry.kind] += what(entry)
    return sums


def only_what_was_known(run, now):
    """The facts of a run as they stood at `now`."""
    has_ended = run.ended_at is not None and run.ended_at <= now
    return replace(
        run,
        ended_at=run.ended_at if has_ended else None,
        end_reason=run.end_reason if has_ended else None,
        terms=[
            Term(t.since, t.until if t.until is not None and t.until <= now else None)
            for t in run.terms
            if t.since <= now
        ],
        prices=[change for change in run.prices if change.at <= now],
    )


class Ledger:
    """The table: unique over (resource, kind, from); an open hour is written anew, a closed one stays."""

    def __init__(self):
        self.rows = {}
        self.settled = None

    def settle(self, meter, now):
        cut = None if self.settled is None else since_hour_of(self.settled - LOOK_BACK)
        self.rows = {key: row for key, row in self.rows.items() if cut is not None and row.from_at < cut}
        for entry in meter(now, cut):
            key = (entry.resource_id, entry.kind, entry.from_at)
            assert key not in self.rows
            self.rows[key] = entry
        self.settled = now

    def entries(self):
        return sorted(self.rows.values(), key=_order)


def _order(entry):
    return (entry.from_at, entry.kind)


@given(runs(), looks)
def test_it_is_the_bill_of_every_second(run, until):
    entries = meter_instance(run, until)
    usd, seconds = naive_bill(run, until)
    told = by_kind(entries, lambda e: Fraction(e.usd))
    assert told.keys() == usd.keys()
    for kind, exact in usd.items():
        assert abs(told[kind] - exact) <= len(entries) * Fraction(USD_STEP) / 2
    paid = [entry for entry in entries if entry.kind is not EntryKind.WAIVED]
    assert by_kind(paid, lambda e: e.quantity) == seconds


@given(runs(), looks)
def test_every_entry_can_be_checked_by_hand(run, until):
    for entry in meter_instance(run, until):
        assert entry.usd == (entry.quantity * entry.rate_usd / 3600).quantize(USD_STEP)
        assert (entry.usd < 0) is (entry.kind is EntryKind.WAIVED) or entry.usd == 0
        assert entry.from_at < entry.to_at <= since_hour_of(entry.from_at) + HOUR


@given(runs(), looks)
def test_entries_follow_each_other_without_gap_or_overlap(run, until):
    end = until if run.ended_at is None else min(until, run.ended_at)
    paid = [e for e in meter_instance(run, until) if e.kind is not EntryKind.WAIVED]
    assert bool(paid) is (end > run.since)
    if paid:
        assert (paid[0].from_at, paid[-1].to_at) == (run.since, end)
        assert all(one.to_at == other.from_at for one, other in pairwise(paid))


@given(runs(), st.lists(looks, max_size=6).map(sorted))
def test_settled_in_any_sequence_of_moments_it_is_the_same_to_the_last_digit(run, moments):
    """Each settlement knows only what had happened by then; the ledger at the end does not show it (invariant 9)."""
    final = NOON + (LONGEST_SECONDS + 4_000) * SECOND
    ledger = Ledger()
    for now in (*moments, final):
        known = only_what_was_known(run, now)
        ledger.settle(lambda until, cut, known=known: meter_instance(known, until, cut), now)
    assert ledger.entries() == sorted(meter_instance(run, final), key=_order)


@given(runs(), looks, looks)
def test_what_lies_in_the_past_is_not_written_differently_later(run, one, other):
    early, late = sorted((one, other))
    running = replace(run, ended_at=None, end_reason=None)
    closed = [e for e in meter_instance(only_what_was_known(running, early), early) if e.to_at < early]
    assert set(closed) <= set(meter_instance(running, late))


@given(runs(), looks, looks)
def test_from_a_cut_on_it_is_the_same_without_what_came_before(run, until, moment):
    cut = since_hour_of(moment)
    whole = meter_instance(run, until)
    kept = [entry for entry in whole if entry.from_at >= cut]
    assert sorted(meter_instance(run, until, cut), key=_order) == sorted(kept, key=_order)


# Stories


def told(run, until=NOON + 24 * HOUR):
    return [(e.kind.value, e.quantity, str(e.usd)) for e in meter_instance(run, until)]


def ended(seconds, reason=EndReason.REQUESTED, **known):
    return a_run(ended_at=NOON + seconds * SECOND, end_reason=reason, **known)


def test_an_hour_of_a_price_per_hour_costs_that_price():
    assert told(ended(3_600)) == [("compute", 3600, "0.036000000")]


@pytest.mark.parametrize(("ran", "billed"), [(1, 60), (59, 60), (60, 60), (61, 61)])
def test_a_run_is_billed_for_at_least_a_minute(ran, billed):
    assert [quantity for _, quantity, _ in told(ended(ran))] == [billed]


def test_the_minimum_waits_for_the_end():
    assert told(a_run(), NOON + 10 * SECOND) == [("compute", 10, "0.000100000")]


def test_the_minimum_is_of_the_run_not_of_each_role():
    run = ended(90, is_replica=True, terms=(Term(NOON + 60 * SECOND, None),))
    assert [(kind, quantity) for kind, quantity, _ in told(run)] == [("replica", 60), ("compute", 30)]


def test_the_minimum_costs_what_the_last_second_did():
    prices = (Change(NOON, Decimal("0.36")), Change(NOON + 10 * SECOND, Decimal("0.72")))
    assert told(ended(20, prices=prices)) == [("compute", 10, "0.001000000"), ("compute", 50, "0.010000000")]


def test_an_instance_that_ran_before_it_was_ours_has_no_minimum_left_to_fill():
    """Adopted by its enrolment: what it cost before is not ours to count."""
    run = replace(ended(20), launched_at=NOON - 10 * SECOND)
    assert told(run) == [("compute", 20, "0.000200000")]


@pytest.mark.parametrize(
    ("seconds", "reason", "mode", "waived"),
    [
        (3_599, EndReason.INTERRUPTED, Mode.SPOT, True),
        (30, EndReason.INTERRUPTED, Mode.SPOT, True),
        (3_600, EndReason.INTERRUPTED, Mode.SPOT, False),  # within its first hour: before it is over
        (3_599, EndReason.REQUESTED, Mode.SPOT, False),  # ended by us: billed
        (3_599, EndReason.INTERRUPTED, Mode.ONDEMAND, False),
    ],
)
def test_the_first_hour_is_free_only_when_aws_took_a_spot_instance(seconds, reason, mode, waived):
    entries = meter_instance(ended(seconds, reason, mode=mode), NOON + 24 * HOUR)
    assert (EntryKind.WAIVED in {e.kind for e in entries}) is waived
    assert (sum(e.usd for e in entries) == 0) is waived


def test_what_was_waived_is_shown_beside_what_it_would_have_cost():
    run = ended(1_800, EndReason.INTERRUPTED)
    assert told(run) == [("compute", 1800, "0.018000000"), ("waived", 1800, "-0.018000000")]


def test_the_first_hour_counts_from_the_launch_not_from_the_enrolment():
    run = replace(ended(1_800, EndReason.INTERRUPTED), launched_at=NOON - HOUR)
    assert EntryKind.WAIVED not in {e.kind for e in meter_instance(run, NOON + HOUR)}


def test_the_life_of_a_standby_that_took_over_and_was_followed():
    """Standby, primary, then the second instance of the move away from it: double running is shown (B12)."""
    run = ended(1_500, is_replica=True, terms=(Term(NOON + 300 * SECOND, NOON + 900 * SECOND),))
    assert [(kind, quantity) for kind, quantity, _ in told(run)] == [
        ("replica", 300),
        ("compute", 600),
        ("overlap", 600),
    ]


def test_a_price_step_and_the_full_hour_cut_an_entry():
    prices = (Change(NOON - HOUR, Decimal("0.036")), Change(NOON + 1_800 * SECOND, Decimal("0.072")))
    assert told(ended(5_400, prices=prices)) == [
        ("compute", 1800, "0.018000000"),
        ("compute", 1800, "0.036000000"),
        ("compute", 1800, "0.036000000"),
    ]


def test_a_grant_between_two_seconds_loses_no_microsecond():
    granted = NOON + timedelta(seconds=100, microseconds=123_457)
    entries = meter_instance(ended(300, is_replica=True, terms=(Term(granted, None),)), NOON + HOUR)
    assert [str(e.quantity) for e in entries] == ["100.123457", "199.876543"]


def test_without_a_price_nothing_is_claimed_and_the_seconds_are_told():
    assert told(ended(3_600, prices=())) == [("unpriced", 3600, "0E-9")]


def test_a_price_holds_for_a_day_on_either_side_of_where_it_was_told():
    prices = (
        Change(NOON, Decimal("0.036")),
        Change(NOON + 24 * HOUR, None),
        Change(NOON + 72 * HOUR, Decimal("0.1")),
    )
    run = ended(80 * 3_600, prices=prices, baseline_usd_per_hour=Decimal("0.107"))
    entries = meter_instance(run, NOON + 90 * HOUR)
    assert by_kind(entries, lambda e: e.quantity / 3600) == {"compute": 56, "unpriced": 24}
    assert by_kind(entries, lambda e: e.usd)["unpriced"] == 24 * Decimal("0.107"), "compared with nothing"
    assert {e.rate_usd for e in entries if e.from_at >= NOON + 48 * HOUR} == {Decimal("0.1")}


def test_what_aws_gives_free_needs_no_price():
    assert told(ended(1_800, EndReason.INTERRUPTED, prices=())) == []


def test_nothing_is_metered_before_it_began():
    assert meter_instance(a_run(), NOON) == meter_instance(a_run(), NOON - HOUR) == []


# Storage and the counterfactual

DISK = StoredThing("vol-1", ClientId("client"), AgentId("agent"), 20, Decimal("0.088"), NOON, None)
ONDEMAND = Counterfactual(ClientId("client"), AgentId("agent"), Decimal("0.107"), NOON, None)


def test_a_volume_costs_its_monthly_rate_for_730_hours():
    month = meter_storage(DISK, NOON + 730 * HOUR)
    assert abs(sum(e.usd for e in month) - 20 * Decimal("0.088")) <= len(month) * USD_STEP / 2
    assert sum(e.quantity for e in month) == 20 * 730 * 3600


def test_the_counterfactual_is_the_on_demand_price_of_every_second_since_enrolment():
    day = meter_counterfactual(ONDEMAND, NOON + 24 * HOUR)
    assert [e.usd for e in day] == [Decimal("0.107000000")] * 24
    assert {e.kind for e in day} == {EntryKind.ONDEMAND}


def test_the_counterfactual_is_told_of_the_pool_where_the_workload_was():
    places = (Place(NOON + 60 * SECOND, PoolId("a")), Place(NOON + 90 * SECOND, None))
    entries = meter_counterfactual(replace(ONDEMAND, places=places), NOON + 100 * SECOND)
    assert [(e.pool_id, e.quantity) for e in entries] == [("a", 60), ("a", 30), (None, 10)]


def test_the_counterfactual_leaves_out_what_nobody_ran():
    pauses = (Pause(NOON + 20 * SECOND, NOON + 50 * SECOND), Pause(NOON + 90 * SECOND, None))
    entries = meter_counterfactual(replace(ONDEMAND, pauses=pauses), NOON + HOUR)
    assert [(e.from_at - NOON, e.quantity) for e in entries] == [(0 * SECOND, 20), (50 * SECOND, 40)]


@pytest.mark.parametrize(
    ("stop", "pause"),
    [
        ((10, 20), None),
        ((10, 40), (30, 40)),
        ((40, 50), (40, 50)),
        ((50, 70), (50, 60)),
        ((50, None), (50, 60)),
        ((60, 90), None),
    ],
)
def test_a_stop_is_a_pause_as_far_as_it_lies_within_the_term(stop, pause):
    def at(seconds):
        return None if seconds is None else NOON + seconds * SECOND

    term = Term(NOON + 30 * SECOND, NOON + 60 * SECOND)
    expected = [] if pause is None else [Pause(at(pause[0]), at(pause[1]))]
    assert pauses_of(term, [Pause(at(stop[0]), at(stop[1]))]) == expected


def test_what_was_let_go_is_metered_up_to_then_and_its_end_is_not_ours():
    gone = NOON + 30 * SECOND
    for run in (a_run(), ended(45), ended(45, EndReason.INTERRUPTED)):
        assert told(replace(run, let_go_at=gone)) == [("compute", 30, "0.000300000")]


@given(
    st.sampled_from([DISK, ONDEMAND]),
    st.none() | st.integers(1, 20_000),
    st.integers(0, 5_000),
    st.lists(st.integers(0, 30_000), max_size=6).map(sorted),
)
def test_storage_and_counterfactual_too_are_settled_in_any_sequence(thing, length, begin, moments):
    since = NOON + begin * SECOND
    final = NOON + 40_000 * SECOND
    end = None if length is None else since + length * SECOND
    fact = replace(thing, since=since, ended_at=end)
    meter = meter_storage if isinstance(thing, StoredThing) else meter_counterfactual
    ledger = Ledger()
    for now in (*(NOON + s * SECOND for s in moments), final):
        known = replace(fact, ended_at=end if end is not None and end <= now else None)
        ledger.settle(lambda until, cut, known=known: meter(known, until, cut), now)
    whole = meter(fact, final)
    assert ledger.entries() == whole
    units = 20 if isinstance(thing, StoredThing) else 1
    assert sum(e.quantity for e in whole) == units * Decimal(((end or final) - since) // SECOND)
