"""Prices: what is kept answers as if every report had been kept; tenants are walls; EC2's own word stands first."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby, permutations

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spotguard.domain.ids import ClientId, PoolId
from spotguard.domain.pools import parse_pool_id
from spotguard.ports.cloud import PriceChange
from spotguard.store import prices
from spotguard.store import tables as t
from spotguard.store.database import Database
from spotguard.store.price_runs import changes_of, compressed
from tests.store import rows
from tests.store.rows import NOW, POOL_A, POOL_B, POOL_C
from tests.support.databases import ON_MARIADB

POOLS = (POOL_A, POOL_B, POOL_C)
FIRST, SECOND = ClientId("tenant-a"), ClientId("tenant-b")
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
FEW = settings(SHARED, max_examples=15)

type_ = st.sampled_from
told = st.dictionaries(type_(POOLS), type_([Decimal("0.01"), Decimal("0.02"), Decimal("0.03")]), min_size=1)
report = st.tuples(
    type_([FIRST, SECOND, None]), st.integers(0, 40).map(lambda n: NOW + timedelta(minutes=3 * n)), told
)
reports = st.lists(report, max_size=25)


def fresh(database) -> None:
    """Hypothesis runs many examples in one test."""

    def work(tx: sa.Connection) -> None:
        for table in (t.spot_price_snapshots, t.spot_pools, t.clients):
            tx.execute(sa.delete(table))
        known = {"created_at": NOW, "updated_at": NOW}
        tx.execute(sa.insert(t.clients), [{"id": c, "name": c, **known} for c in (FIRST, SECOND)])

    database.write(work)
    rows.pools(database)


def tell(database, source, at: datetime, prices_told: dict[str, Decimal]) -> None:
    told_now = [(PoolId(pool), price) for pool, price in prices_told.items()]
    database.write(lambda tx: prices.record_report(tx, at, source, at, told_now))


def kept(database, source=FIRST, pool=POOL_A) -> list[tuple[datetime, Decimal]]:
    s = t.spot_price_snapshots.c
    found = sa.select(s.captured_at, s.price).where(
        s.pool_id == pool, s.client_id.is_not_distinct_from(source)
    )
    return [
        tuple(row)
        for row in database.read(lambda tx: tx.execute(found.order_by(s.captured_at, s.price)).all())
    ]


def naive(all_reports: Iterable, now: datetime, reader: ClientId | None) -> dict[str, Decimal | None]:
    """The key query over a store that kept every report."""
    answer: dict[str, Decimal | None] = dict.fromkeys(POOLS)
    for pool in POOLS:
        seen = [
            (source is None and at >= now - prices.FETCHED_WINS, at, told_now[pool])
            for source, at, told_now in all_reports
            if pool in told_now and source in (None, reader) and at >= now - prices.CURRENT
        ]
        if seen:
            answer[pool] = max(seen)[2]
    return answer


def asked(database, now: datetime, reader: ClientId | None) -> dict[str, Decimal | None]:
    found = database.read(lambda tx: prices.current_prices(tx, now, reader, ["t3.medium"], "ap-south-1"))
    assert [pool.price for pool in found] == sorted(
        (pool.price for pool in found), key=lambda price: (price is None, price or 0)
    )
    return {pool.pool.id: pool.price for pool in found}


def answers_as_if_all_were_kept(database, all_reports) -> None:
    fresh(database)
    for source, at, told_now in all_reports:
        tell(database, source, at, told_now)
    for minutes in (0, 45, 90, 125, 190):
        now = NOW + timedelta(minutes=minutes)
        for reader in (FIRST, SECOND, None):
            assert asked(database, now, reader) == naive(all_reports, now, reader)


@SHARED
@given(reports)
def test_any_order_duplicates_and_late_reports_answer_as_if_all_were_kept(sqlite_database, all_reports):
    answers_as_if_all_were_kept(sqlite_database, all_reports)


@FEW
@given(reports)
def test_the_same_on_mariadb(mariadb_database, all_reports):
    answers_as_if_all_were_kept(mariadb_database, all_reports)


@SHARED
@given(reports)
def test_whatever_the_order_runs_are_short_and_every_row_was_reported(sqlite_database, all_reports):
    fresh(sqlite_database)
    for source, at, told_now in all_reports:
        tell(sqlite_database, source, at, told_now)
    for source in (FIRST, SECOND, None):
        for pool in POOLS:
            said = [
                (at, told_now[pool])
                for who, at, told_now in all_reports
                if who == source and pool in told_now
            ]
            table = kept(sqlite_database, source, pool)
            assert set(table) <= set(said)
            assert len({at for at, _ in table}) == len(table)
            assert all(len(list(run)) <= 2 for _, run in groupby(table, key=lambda row: row[1]))
            if said:
                newest, oldest = max(at for at, _ in said), min(at for at, _ in said)
                assert table[-1] == (newest, max(price for at, price in said if at == newest))
                assert table[0] == (oldest, max(price for at, price in said if at == oldest))


@SHARED
@given(reports, st.data())
def test_in_order_the_table_is_first_and_newest_of_each_run_and_repeats_change_nothing(
    sqlite_database, all_reports, data
):
    fresh(sqlite_database)
    in_order = sorted({at: told_now for _, at, told_now in all_reports}.items())
    for index, (at, told_now) in enumerate(in_order):
        tell(sqlite_database, FIRST, at, told_now)
        if data.draw(st.booleans()):
            tell(sqlite_database, FIRST, *in_order[data.draw(st.integers(0, index))])
    for pool in POOLS:
        assert kept(sqlite_database, FIRST, pool) == compressed(
            (at, told_now[pool]) for at, told_now in in_order if pool in told_now
        )


def minutes(*pairs: tuple[int, str]) -> list[tuple[datetime, Decimal]]:
    return [(NOW + timedelta(minutes=minute), Decimal(price)) for minute, price in pairs]


@pytest.mark.parametrize("price_of_last", ["0.01", "0.02"])
def test_three_reports_in_any_order_end_in_the_same_table(database, price_of_last):
    told_points = minutes((0, "0.01"), (1, "0.01"), (2, price_of_last))
    for order in permutations(told_points):
        fresh(database)
        for at, price in order:
            tell(database, FIRST, at, {POOL_A: price})
        assert kept(database) == compressed(told_points)


def test_an_unchanged_price_costs_two_rows_however_often_it_is_told(database):
    fresh(database)
    for minute in range(30):
        tell(database, FIRST, NOW + timedelta(minutes=minute), dict.fromkeys(POOLS, Decimal("0.03")))
    assert kept(database) == minutes((0, "0.03"), (29, "0.03"))


def test_a_late_report_finds_its_place(database):
    fresh(database)
    for at, price in minutes((0, "0.01"), (10, "0.01"), (5, "0.02")):
        tell(database, FIRST, at, {POOL_A: price})
    assert kept(database) == minutes((0, "0.01"), (5, "0.02"), (10, "0.01"))


def test_of_two_prices_for_one_instant_the_higher_stands_in_either_order(database):
    for order in (("0.01", "0.02"), ("0.02", "0.01")):
        fresh(database)
        for price in order:
            tell(database, FIRST, NOW, {POOL_A: Decimal(price)})
        assert kept(database) == minutes((0, "0.02"))


def test_a_report_makes_the_pools_that_it_names(database):
    fresh(database)
    tell(database, FIRST, NOW, {"m5.large.eu-west-1b": Decimal("0.05")})
    found = database.read(lambda tx: prices.current_prices(tx, NOW, FIRST, ["m5.large"], "eu-west-1"))
    assert [(pool.pool.az, pool.price) for pool in found] == [("eu-west-1b", Decimal("0.05"))]


def test_no_tenant_sees_or_steers_another(database):
    fresh(database)
    tell(database, FIRST, NOW, {POOL_A: Decimal("0.03")})
    tell(database, SECOND, NOW, {POOL_A: Decimal("0.000001"), POOL_B: Decimal("0.000001")})
    assert asked(database, NOW, FIRST) == {POOL_A: Decimal("0.03"), POOL_B: None, POOL_C: None}
    steps = database.read(
        lambda tx: prices.price_steps(tx, FIRST, [PoolId(POOL_B)], NOW, NOW + timedelta(days=1))
    )
    assert steps == {POOL_B: []}


def change(pool: str, minute: float, price: str) -> PriceChange:
    return PriceChange(parse_pool_id(pool), NOW + timedelta(minutes=minute), Decimal(price))


def fetch(database, minute: float, *changes: PriceChange) -> None:
    now = NOW + timedelta(minutes=minute)
    database.write(lambda tx: prices.record_changes(tx, now, changes))


def test_what_the_server_fetched_stands_before_a_tenant_s_report_while_it_is_fresh(database):
    fresh(database)
    fetch(database, 0, change(POOL_A, -500, "0.03"))
    tell(database, FIRST, NOW + timedelta(minutes=1), {POOL_A: Decimal("0.01")})
    assert asked(database, NOW + timedelta(minutes=30), FIRST)[POOL_A] == Decimal("0.03")
    assert asked(database, NOW + timedelta(minutes=31), FIRST)[POOL_A] == Decimal("0.01")


def test_a_fetched_price_counts_as_current_however_old_its_change_is(database):
    fresh(database)
    fetch(database, 0, change(POOL_A, -60_000, "0.03"))
    assert asked(database, NOW + timedelta(minutes=60), None)[POOL_A] == Decimal("0.03")
    assert asked(database, NOW + timedelta(minutes=61), None)[POOL_A] is None


def test_fetching_again_changes_nothing_and_later_moves_the_newest_row_on(database):
    fresh(database)
    for _ in range(2):
        fetch(database, 0, change(POOL_A, -10, "0.03"))
    fetch(database, 5, change(POOL_A, -10, "0.03"))
    assert kept(database, None) == minutes((-10, "0.03"), (5, "0.03"))


def test_a_change_that_ec2_shows_late_corrects_what_was_assumed(database):
    fresh(database)
    fetch(database, 10, change(POOL_A, -10, "0.03"))
    fetch(database, 20, change(POOL_A, -10, "0.03"), change(POOL_A, 7, "0.04"))
    assert kept(database, None) == minutes((-10, "0.03"), (7, "0.04"), (20, "0.04"))


def test_an_answer_that_arrives_after_a_newer_one_takes_nothing_away(database):
    fresh(database)
    fetch(database, 20, change(POOL_A, -10, "0.03"), change(POOL_A, 15, "0.04"))
    before = kept(database, None)
    fetch(database, 10, change(POOL_A, -10, "0.03"))
    assert set(before) <= {*kept(database, None), (NOW + timedelta(minutes=10), Decimal("0.03"))}
    assert changes_of(kept(database, None)) == changes_of(before)


def test_steps_begin_with_the_price_in_force_and_hold_every_change(database):
    fresh(database)
    fetch(
        database,
        100,
        *(change(POOL_A, m, p) for m, p in ((0, "0.01"), (30, "0.02"), (31, "0.02"), (60, "0.03"))),
    )
    window = (NOW + timedelta(minutes=40), NOW + timedelta(minutes=100))
    steps = database.read(lambda tx: prices.price_steps(tx, None, [PoolId(POOL_A), PoolId(POOL_B)], *window))
    assert steps == {POOL_A: minutes((40, "0.02"), (60, "0.03")), POOL_B: []}


def test_steps_of_a_tenant_stand_before_and_after_what_was_fetched(database):
    fresh(database)
    for minute in (0, 25, 50):
        tell(database, FIRST, NOW + timedelta(minutes=minute), {POOL_A: Decimal("0.0" + str(minute + 10))})
    fetch(database, 40, change(POOL_A, 20, "0.03"))
    steps = database.read(
        lambda tx: prices.price_steps(tx, FIRST, [PoolId(POOL_A)], NOW, NOW + timedelta(days=1))
    )
    assert steps[PoolId(POOL_A)] == minutes((0, "0.010"), (20, "0.03"), (50, "0.060"))
    until = database.read(lambda tx: prices.fetched_until(tx, [PoolId(POOL_A), PoolId(POOL_B)]))
    assert until == {POOL_A: NOW + timedelta(minutes=40)}


def test_an_old_price_is_not_a_present_one(database):
    """Told in 2021, asked five years later: unknown, until somebody tells it again; EC2's own history has no holes."""
    fresh(database)
    day = 24 * 60

    def seen(begin: int, end: int) -> list[tuple[int, Decimal | None]]:
        window = (NOW + timedelta(days=begin), NOW + timedelta(days=end))
        steps = database.read(lambda tx: prices.price_steps(tx, FIRST, [PoolId(POOL_A)], *window))
        return [((at - NOW).days, usd) for at, usd in steps[PoolId(POOL_A)]]

    tell(database, None, NOW, {POOL_A: Decimal("0.0358")})
    assert seen(1800, 1807) == []
    tell(database, FIRST, NOW + timedelta(days=1800), {POOL_A: Decimal("0.01")})
    assert seen(1799, 1807) == [(1800, Decimal("0.01")), (1801, None)]
    fetch(database, 1806 * day, change(POOL_A, 1801 * day, "0.02"), change(POOL_A, 1805 * day, "0.03"))
    assert seen(1800, 1808) == [
        (1800, Decimal("0.01")),
        (1801, Decimal("0.02")),
        (1805, Decimal("0.03")),
        (1807, None),
    ]


@SHARED
@given(st.lists(st.tuples(st.integers(0, 200), type_(["0.01", "0.02"])), min_size=1), st.integers(0, 200))
def test_steps_are_the_step_function_of_the_reports(sqlite_database, told_points, since):
    fresh(sqlite_database)
    points = sorted(minutes(*dict(told_points).items()))
    for at, price in points:
        tell(sqlite_database, FIRST, at, {POOL_A: price})
    begin, end = NOW + timedelta(minutes=since), NOW + timedelta(minutes=150)
    steps = sqlite_database.read(lambda tx: prices.price_steps(tx, FIRST, [PoolId(POOL_A)], begin, end))
    for minute in range(since, 150):
        at = NOW + timedelta(minutes=minute)
        expected = [price for when, price in points if when <= at][-1:]
        assert [price for when, price in steps[PoolId(POOL_A)] if when <= at][-1:] == expected


@pytest.mark.parametrize("kind", ["sqlite", ON_MARIADB])
def test_agents_that_report_at_once_lose_no_newest_price(kind, request, tmp_path):
    """Another process may be first: what is kept may be a row more than needed, the answers stay exact."""
    if kind == "sqlite":
        database = Database.open(f"sqlite:///{tmp_path / 'x.db'}")
        database.upgrade()
    else:
        database = request.getfixturevalue("mariadb_database")
    fresh(database)
    shares = [[(60 * second + agent, 1 + second // 7) for second in range(20)] for agent in range(3)]

    def agent(share: list[tuple[int, int]]) -> None:
        for second, price in share:
            at = NOW + timedelta(seconds=second)
            tell(database, FIRST, at, dict.fromkeys(POOLS, Decimal(price) / 100))

    with ThreadPoolExecutor(len(shares)) as agents:
        list(agents.map(agent, shares))
    said = [
        (NOW + timedelta(seconds=second), Decimal(price) / 100) for share in shares for second, price in share
    ]
    for pool in POOLS:
        assert kept(database, FIRST, pool)[-1] == max(said)
        assert set(kept(database, FIRST, pool)) <= set(said)
    if kind == "sqlite":
        database.dispose()


@pytest.mark.parametrize("late_price", ["0.01", "0.02"])
def test_a_late_report_takes_no_newer_price_away_that_came_meanwhile(mariadb_database, late_price):
    """REPEATABLE READ: the late one's transaction began before the newer price was there."""
    fresh(mariadb_database)
    for minute in (0, 1):
        tell(mariadb_database, FIRST, NOW + timedelta(minutes=minute), {POOL_A: Decimal("0.01")})
    at = NOW + timedelta(minutes=2)
    with mariadb_database.engine.begin() as slow:
        slow.execute(sa.select(t.spot_price_snapshots)).all()
        tell(mariadb_database, FIRST, NOW + timedelta(minutes=3), {POOL_A: Decimal("0.01")})
        prices.record_report(slow, at, FIRST, at, [(PoolId(POOL_A), Decimal(late_price))])
    assert kept(mariadb_database)[-1] == (NOW + timedelta(minutes=3), Decimal("0.01"))
