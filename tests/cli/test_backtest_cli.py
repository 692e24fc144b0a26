"""`spotguard backtest`, `bench backtest` on little files: the JSON of the contract, and a line for what is broken."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from spotguard.cli.main import app
from tests.market.files import HEADER, written

T0 = datetime(2023, 1, 2, tzinfo=UTC)
POLICY_KEYS = {
    "cost_ratio",
    "availability",
    "j10",
    "regret",
    "moves_per_30d",
    "interruptions_per_30d",
    "standby_share",
    "j10_interval",
}


def at(hours):
    return f"{T0 + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


@pytest.fixture
def files(tmp_path):
    prices = [
        f"{at(12 * n)},{kind},ap-south-1{zone},Linux/UNIX,{0.03 + 0.002 * ((n + len(kind) + ord(zone)) % 3):.3f}"
        for n in range(20)
        for kind in ("m5.large", "r5.large", "f1.2xlarge")
        for zone in "ab"
    ]
    ondemand = ["ap-south-1,m5.large,0.101", "ap-south-1,r5.large,0.13"]
    looks = [
        f"{at(n)},ap-south-1{zone},m5.large,{int((n + 5 * ord(zone)) % 13 > 3)},0.04,0.101"
        for n in range(24 * 8)
        for zone in "ab"
    ]
    return {
        "--prices": written(tmp_path, "\n".join([HEADER, *prices]) + "\n", "prices.csv"),
        "--ondemand": written(
            tmp_path, "\n".join(["region,instance_type,ondemand_usd_h", *ondemand]) + "\n", "od.csv"
        ),
        "--availability": written(
            tmp_path,
            "\n".join(["Timestamp,AvailabilityZone,InstanceType,Available,SpotPrice,OnDemandPrice", *looks])
            + "\n",
            "up.csv",
        ),
    }


def told(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def some(files, *names):
    return [word for name in names for word in (name, files[name])]


@pytest.mark.parametrize(
    ("track", "names", "more"),
    [
        ("P", ("--prices", "--ondemand"), ("--starts", 2)),
        ("A", ("--availability",), ("--starts", 1, "--days", "1", "--part", "0:0.25")),
        ("C", ("--prices", "--ondemand", "--availability"), ("--seeds", 2, "--days", "5")),
    ],
)
def test_the_json_is_that_of_the_contract(files, track, names, more):
    found = told("backtest", "--track", track, *some(files, *names), *more, "--json")
    assert found["track"] == track
    assert {"engine", "clairvoyant", "on-demand", "spothedge"} <= set(found["policies"])
    assert all(set(figures) >= POLICY_KEYS for figures in found["policies"].values())
    assert found["policies"]["clairvoyant"]["regret"] == 0
    assert found["policies"]["on-demand"]["j10"] == pytest.approx(1.0)
    if track != "A":
        assert found["excluded"] == ["f1.2xlarge"]


def test_track_c_says_what_stands_in_for_files_that_were_not_named(files):
    few = ("--seeds", 1, "--days", "5", "--policies", "on-demand", "--json")
    bare = told("backtest", "--track", "C", *some(files, "--prices", "--ondemand"), *few)
    assert bare["buckets_from"].startswith("dice")
    assert bare["spells_from"].startswith("shipped deciles")
    named = told("backtest", "--track", "C", *some(files, "--prices", "--ondemand", "--availability"), *few)
    assert named["spells_from"] == [files["--availability"].name]


@pytest.mark.long
def test_several_processes_tell_the_same(files):
    arguments = (
        "backtest",
        "--track",
        "A",
        *some(files, "--availability"),
        "--starts",
        1,
        "--policies",
        "reactive",
    )
    assert told(*arguments, "--json") == told(*arguments, "--workers", 2, "--json")


def test_named_policies_alone_are_run(files):
    found = told(
        "backtest",
        "--track",
        "P",
        *some(files, "--prices", "--ondemand"),
        "--policies",
        "cheaper-5",
        "--json",
    )
    assert set(found["policies"]) == {"cheaper-5", "clairvoyant"}


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (("--track", "P", "--policies", "luck"), 2, "no policy is called 'luck'"),
        (("--track", "A"), 2, "name its file with --availability"),
        (("--track", "P", "--days", "x"), 2, "--days"),
        (("--track", "A", "--part", "1:0"), 2, "--part"),
    ],
)
def test_a_wrong_option_is_one_line(files, arguments, code, line):
    given = some(files, "--prices", "--ondemand")
    result = CliRunner().invoke(app, ["backtest", *map(str, given), *arguments])
    assert result.exit_code == code
    assert line in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_a_broken_price_file_is_told_with_its_line(files, tmp_path):
    broken = written(tmp_path, f"{HEADER}\n{at(0)},m5.large,ap-south-1a,Linux/UNIX,cheap\n", "broken.csv")
    result = CliRunner().invoke(
        app, ["backtest", "--track", "P", "--prices", str(broken), "--ondemand", str(files["--ondemand"])]
    )
    assert result.exit_code == 1
    assert "broken.csv, line 2" in result.output


def test_the_bench_tells_seconds_and_rows(files):
    found = told(
        "bench", "backtest", *some(files, "--prices", "--ondemand"), "--policies", "cheaper-5", "--json"
    )
    assert {"pools", "days", "seconds_per_policy", "rows_per_second", "plain_python_rows_per_second"} <= set(
        found
    )
    assert found["pools"] == 4
