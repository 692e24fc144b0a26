"""`spotguard prices import`: files in, a summary out, broken lines by their number."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from spotguard.store import ondemand
from spotguard.store import tables as t

HEAD = "Timestamp,InstanceType,AvailabilityZone,ProductDescription,SpotPrice"
ROWS = (
    "2021-03-02T01:00:00Z,m5.large,us-east-1a,Linux/UNIX,0.030000",
    "2021-03-03T01:00:00Z,m5.large,us-east-1a,Linux/UNIX,0.030000",
    "2021-03-04T01:00:00Z,m5.large,us-east-1a,Linux/UNIX,0.030000",
)


def written(path: Path, *lines: str) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def stored(database) -> int:
    return database.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(t.spot_price_snapshots)))


def test_the_summary_for_scripts(shell, database, tmp_path):
    one = written(tmp_path / "one.csv", HEAD, *ROWS)
    two = written(tmp_path / "two.csv", HEAD, ROWS[0].replace("us-east-1a", "us-east-1b"))
    told = shell.json("prices", "import", one, two)
    assert told.pop("seconds") > 0
    assert told.pop("rows_per_second") > 0
    assert told == {"files": 2, "rows": 4, "stored": 3, "unchanged": 1, "broken": [], "broken_count": 0}
    assert stored(database) == 3


def test_importing_again_changes_nothing(shell, database, tmp_path):
    path = written(tmp_path / "one.csv", HEAD, *ROWS)
    shell.json("prices", "import", path)
    told = shell.json("prices", "import", path)
    assert (told["rows"], told["stored"], told["unchanged"]) == (3, 0, 3)
    assert stored(database) == 2


def test_a_broken_line_is_told_with_its_number_and_the_rest_is_kept(shell, database, tmp_path):
    path = written(tmp_path / "one.csv", HEAD, ROWS[0], "2021-03-03,?", *ROWS[1:])
    told = shell.json("prices", "import", path)
    assert [(broken["file"], broken["line"]) for broken in told["broken"]] == [(path, 3)]
    result = shell.run("prices", "import", path)
    assert result.exit_code == 0
    assert "line 3: " in result.stderr
    assert "1 broken line left out" in result.stdout
    assert stored(database) == 2


def test_a_price_of_a_time_to_come_is_left_out_or_it_would_be_the_newest_for_ever(shell, database, tmp_path):
    ahead = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
    late = ROWS[2].replace("2021-03-04T01:00:00Z", ahead).replace("0.030000", "0.001000")
    told = shell.json("prices", "import", written(tmp_path / "one.csv", HEAD, ROWS[0], late, ROWS[1]))
    assert [(b["line"], b["reason"]) for b in told["broken"]] == [(3, f"a time to come: {ahead}")]
    prices = database.read(lambda tx: tx.scalars(sa.select(t.spot_price_snapshots.c.price)).all())
    assert {str(price) for price in prices} == {"0.030000"}


def test_on_demand_prices_alone_or_beside(shell, database, tmp_path):
    path = written(
        tmp_path / "od.csv",
        "region,instance_type,ondemand_usd_h",
        "us-east-1,m5.large,0.096",
        "us-east-1,?,1",
    )
    told = shell.json("prices", "import", "--ondemand", path)
    assert (told["ondemand_prices"], told["broken_count"]) == (1, 1)
    assert shell.run("prices", "import", "--ondemand", path).stdout == "1 on-demand price.\n"
    assert str(database.read(lambda tx: ondemand.price_of(tx, None, "us-east-1", "m5.large"))) == "0.096000"


def test_a_file_that_is_no_price_history_is_one_line(shell, tmp_path):
    path = written(tmp_path / "x.csv", "hello")
    assert path in shell.fails("prices", "import", path)
    (tmp_path / "x.gz").write_bytes(bytes(100))
    assert f"{tmp_path / 'x.gz'}: neither text" in shell.fails("prices", "import", str(tmp_path / "x.gz"))


def test_a_file_that_breaks_off_fails_and_what_came_before_is_kept(shell, database, tmp_path):
    price = [f"0.{n * 7919 % 999_983:06}" for n in range(1, 50_000)]
    lines = [f"{ROWS[0].rpartition(',')[0]},{usd}" for usd in price]
    whole = gzip.compress("\n".join([HEAD, *lines]).encode())
    path = tmp_path / "half.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    result = shell.run("prices", "import", str(path))
    assert result.exit_code == 1
    assert "breaks off after line" in result.stderr
    assert stored(database) > 0


def test_on_demand_prices_without_one_good_line_fail(shell, tmp_path):
    path = written(tmp_path / "od.csv", "region,instance_type,ondemand_usd_h", "us-east-1,?,1")
    assert "no line of on-demand prices" in shell.run("prices", "import", "--ondemand", path).stderr
    assert shell.run("prices", "import", "--ondemand", path).exit_code == 1


def test_no_file_is_a_usage_error(shell, tmp_path):
    assert shell.run("prices", "import").exit_code == 2
    assert shell.run("prices", "import", str(tmp_path / "absent.csv")).exit_code == 2
