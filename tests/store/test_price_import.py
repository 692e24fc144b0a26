"""Import: runs are compressed, known rows left alone, broken lines reported, whatever the order of the files."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from pathlib import Path

import pytest
import sqlalchemy as sa

from spotguard.domain.ids import PoolId
from spotguard.market.price_files import read_price_history
from spotguard.store import ondemand, prices
from spotguard.store import tables as t
from spotguard.store.price_import import Imported, import_history, import_ondemand
from tests.store import rows
from tests.store.rows import NOW
from tests.support.databases import empty

HEAD = "Timestamp,InstanceType,AvailabilityZone,ProductDescription,SpotPrice\n"
BEGIN = datetime(2021, 3, 2, tzinfo=UTC)
REAL = Path("../shared/data/prices")


def line(day: int, az: str, price: str) -> str:
    return f"{BEGIN + timedelta(days=day):%Y-%m-%dT%H:%M:%SZ},m5.large,us-east-1{az},Linux/UNIX,{price}\n"


def written(path: Path, *lines: str) -> Path:
    path.write_bytes(gzip.compress((HEAD + "".join(lines)).encode()))
    return path


def imported(database, path: Path) -> Imported:
    return import_history(database, NOW, read_price_history(path))


def table(database) -> list[tuple[str, int, Decimal]]:
    s = t.spot_price_snapshots.c
    found = sa.select(s.pool_id, s.captured_at, s.price, s.client_id).order_by(s.pool_id, s.captured_at)
    read = database.read(lambda tx: tx.execute(found).all())
    assert all(row.client_id is None for row in read)
    return [(row.pool_id[-1], (row.captured_at - BEGIN).days, row.price) for row in read]


LINES = [line(day, "a", "0.10" if day < 6 else "0.20") for day in range(9)] + [line(4, "b", "0.3")]
KEPT = [
    ("a", 0, Decimal("0.10")),
    ("a", 5, Decimal("0.10")),
    ("a", 6, Decimal("0.20")),
    ("a", 8, Decimal("0.20")),
    ("b", 4, Decimal("0.3")),
]


def test_of_each_run_first_and_newest_are_stored_and_again_nothing(database, tmp_path):
    path = written(tmp_path / "x.csv.gz", *LINES)
    first = imported(database, path)
    assert (first.rows, first.stored, first.unchanged, first.broken) == (10, 5, 5, [])
    assert table(database) == KEPT
    again = imported(database, path)
    assert (again.rows, again.stored, again.unchanged) == (10, 0, 10)
    assert table(database) == KEPT


def test_files_that_overlap_end_the_same_in_any_order(database, tmp_path):
    parts = [LINES[0:5], LINES[3:8], LINES[6:10]]
    paths = [written(tmp_path / f"{number}.csv.gz", *part) for number, part in enumerate(parts)]
    for order in permutations(paths):
        empty(database)
        for path in order:
            imported(database, path)
        assert table(database) == KEPT


def test_a_broken_line_is_reported_with_its_number_and_the_rest_is_kept(database, tmp_path):
    path = written(
        tmp_path / "x.csv.gz", *LINES[:3], "2021-03-05,m5.large,us-east-1a,Linux/UNIX,NaN\n", *LINES[3:]
    )
    found = imported(database, path)
    assert [broken.line_number for broken in found.broken] == [5]
    assert table(database) == KEPT


def test_imported_prices_are_history_for_every_tenant(database, tmp_path):
    imported(database, written(tmp_path / "x.csv.gz", *LINES))
    client_id = rows.client(database)
    pool = PoolId("m5.large.us-east-1a")
    window = (BEGIN + timedelta(days=2), BEGIN + timedelta(days=30))
    steps = database.read(lambda tx: prices.price_steps(tx, client_id, [pool], *window))
    assert steps[pool] == [
        (window[0], Decimal("0.10")),
        (BEGIN + timedelta(days=6), Decimal("0.20")),
        (BEGIN + timedelta(days=9), None),
    ], "a day after the last line nothing is known"


def test_a_history_of_changes_holds_between_them_but_not_across_a_hole(database, tmp_path):
    days = [(0, "0.10"), (4, "0.20"), (200, "0.30")]
    told = imported(database, written(tmp_path / "x.csv.gz", *(line(day, "a", usd) for day, usd in days)))
    assert (told.rows, told.stored) == (3, 3)
    pool = PoolId("m5.large.us-east-1a")
    window = (BEGIN, BEGIN + timedelta(days=300))
    steps = database.read(lambda tx: prices.price_steps(tx, None, [pool], *window))
    assert [((at - BEGIN).days, usd) for at, usd in steps[pool]] == [
        (0, Decimal("0.10")),
        (4, Decimal("0.20")),
        (5, None),
        (200, Decimal("0.30")),
        (201, None),
    ]


def test_on_demand_prices_are_for_every_tenant_and_stand_before_a_report(database):
    client_id = rows.client(database)
    asked = (client_id, "us-east-1", "m5.large")
    assert database.read(lambda tx: ondemand.price_of(tx, *asked)) is None
    database.write(lambda tx: ondemand.record(tx, NOW, client_id, "us-east-1", {"m5.large": Decimal("0.2")}))
    assert database.read(lambda tx: ondemand.price_of(tx, *asked)) == Decimal("0.2")
    assert import_ondemand(database, NOW, {("us-east-1", "m5.large"): Decimal("0.096")}) == 1
    assert database.read(lambda tx: ondemand.price_of(tx, *asked)) == Decimal("0.096")
    assert database.read(lambda tx: ondemand.prices_of(tx, client_id, "us-east-1")) == {
        "m5.large": Decimal("0.096")
    }


def test_one_tenant_s_on_demand_price_is_not_another_s(database):
    client_id, other = rows.client(database), rows.client(database, "Other")
    told = {"m5.large": Decimal("0.2"), "m5.xlarge": Decimal("0.4")}
    for later in range(2):
        database.write(
            lambda tx, n=later: ondemand.record(tx, NOW + timedelta(n), client_id, "us-east-1", told)
        )
    assert database.read(lambda tx: ondemand.prices_of(tx, client_id, "us-east-1")) == told
    assert database.read(lambda tx: ondemand.prices_of(tx, other, "us-east-1")) == {}
    assert database.read(lambda tx: ondemand.prices_of(tx, client_id, "eu-west-1")) == {}


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real prices at {REAL}")
def test_a_real_file_imports_and_imports_again(sqlite_database):
    path = REAL / "gpu_9regions_2019-12_2020-03.csv.gz"
    first = imported(sqlite_database, path)
    assert first.rows > 10_000
    assert first.broken == []
    assert imported(sqlite_database, path).stored == 0
