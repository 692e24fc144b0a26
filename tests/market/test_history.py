"""The price history in memory: exact step functions, the same in whatever order the rows came."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from spotguard.domain.pools import Pool
from spotguard.market.history import PriceHistory, Step, load_price_history
from spotguard.market.rows import PriceRow
from tests.market.files import GOOD, csv_file

T0 = datetime(2026, 1, 1, tzinfo=UTC)
A, B = Pool("m5.large", "us-east-1a"), Pool("m5.large", "us-east-1b")


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def history(*rows: tuple[Pool, float, str]) -> PriceHistory:
    return PriceHistory([PriceRow(pool, at(minutes), Decimal(usd)) for pool, minutes, usd in rows], "test")


STEPS = history((A, 0, "0.03"), (A, 10, "0.04"), (A, 20, "0.04"), (A, 30, "0.02"), (B, 15, "0.05"))


def test_a_price_holds_until_the_next_change():
    assert STEPS.price_at(A, at(9.99)) == Decimal("0.03")
    assert STEPS.price_at(A, at(10)) == Decimal("0.04")
    assert STEPS.price_at(A, at(10_000)) == Decimal("0.02")


def test_before_its_first_price_a_pool_has_none():
    assert STEPS.price_at(B, at(14)) is None
    assert STEPS.price_at(Pool("c5.large", "us-east-1a"), at(14)) is None


def test_pools_are_told_apart_by_id_whatever_the_zone_id():
    assert STEPS.price_at(Pool("m5.large", "us-east-1a", az_id="use1-az4"), at(0)) == Decimal("0.03")


def test_unchanged_prices_are_not_changes():
    """Data, trap 1: an unchanged price is repeated about daily."""
    assert len(STEPS) == 4
    assert STEPS.next_change(A, at(10)) == Step(at(30), Decimal("0.02"))
    assert STEPS.next_change(A, at(30)) is None


def test_the_span_covers_unchanged_rows_too():
    assert history((A, 0, "0.03"), (A, 60, "0.03")).span == (at(0), at(60))


def test_changes_between_with_the_last_one_before():
    """E31: the answer includes the last price before the start."""
    assert STEPS.changes_between(at(10), at(30)) == [
        PriceRow(A, at(10), Decimal("0.04")),
        PriceRow(B, at(15), Decimal("0.05")),
    ]
    with_before = STEPS.changes_between(at(12), at(31), with_last_before=True)
    assert [(row.pool, row.at) for row in with_before] == [(A, at(10)), (B, at(15)), (A, at(30))]


def test_steps_begin_with_the_price_in_force():
    assert STEPS.steps(A, at(12), at(30)) == [Step(at(10), Decimal("0.04"))]
    assert STEPS.steps(A, at(12), at(30.1)) == [Step(at(10), Decimal("0.04")), Step(at(30), Decimal("0.02"))]


def test_one_region_of_several():
    other = Pool("m5.large", "eu-west-1a")
    both = history((A, 0, "0.03"), (other, 0, "0.04"))
    assert both.of_region("eu-west-1").pools() == (other,)


def test_files_name_the_source(tmp_path):
    loaded, broken = load_price_history([csv_file(tmp_path, GOOD, "nonsense")])
    assert loaded.source == "prices.csv"
    assert len(loaded) == 1
    assert [line.line_number for line in broken] == [3]


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([A, B]), st.integers(0, 30), st.sampled_from(["0.01", "0.02", "0.03"]))
    ),
    seed=st.integers(0, 100),
)
def test_any_order_and_any_repetition_end_the_same(rows, seed):
    """Invariant 10."""
    shuffled = rows + rows[: len(rows) // 2]
    Random(seed).shuffle(shuffled)
    one, other = history(*rows), history(*shuffled)
    assert one.changes_between(at(-1), at(99)) == other.changes_between(at(-1), at(99))


@given(
    rows=st.lists(
        st.tuples(st.just(A), st.integers(0, 30), st.sampled_from(["0.01", "0.02"])),
        unique_by=lambda row: row[1],
    ),
    minute=st.integers(0, 31),
)
def test_the_price_is_that_of_the_newest_row_not_after(rows, minute):
    earlier = [row for row in rows if row[1] <= minute]
    expected = Decimal(max(earlier, key=lambda row: row[1])[2]) if earlier else None
    assert history(*rows).price_at(A, at(minute)) == expected
