"""A short sample of the demo; the whole of it is `spotguard demo --headless`."""

import gzip
import io
import json
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from rich.console import Console
from typer.testing import CliRunner

from spotguard.cli.main import app
from spotguard.compose import bound
from spotguard.domain.errors import InvalidInput
from spotguard.simulation.demo import Demo, DemoOptions
from spotguard.simulation.live import hold_leases, play, run_holding
from spotguard.simulation.market import replayed
from spotguard.simulation.script import Act, Script, cut, mend
from spotguard.store import events, launch_orders, leases
from spotguard.store.database import Database
from spotguard.store.demos import PLAYED, demo_time

CONTRACT = {
    "prices_source",
    "agents",
    "simulated_hours",
    "wall_seconds",
    "heartbeats",
    "price_rows",
    "decisions",
    "switches",
    "interruptions",
    "failovers",
    "failover_seconds",
    "downtime_seconds",
    "cost_usd",
    "ondemand_cost_usd",
    "savings_percent",
    "replicas_created",
    "manual_replicas_completed",
    "emergency_replicas",
    "ledger_usd",
    "meter_usd",
    "invariants_checked",
    "invariants_broken",
    "orphans",
}


def run(agents=3, days=0.15, seed=1):
    demo = Demo(DemoOptions((), None, agents, days, seed, "sqlite://"))
    try:
        return demo.run(on_progress=lambda _seconds: None)
    finally:
        demo.close()


def test_a_few_hours_break_no_promise_and_the_ledger_equals_the_meter():
    summary = run()
    assert set(summary) >= CONTRACT
    assert summary["broken"] == []
    assert summary["orphaned"] == []
    assert summary["ledger_usd"] == summary["meter_usd"]
    assert summary["records"]["lost_planned"] == summary["records"]["overlaps"] == 0
    assert summary["switches"]["manual"] >= 2
    assert summary["manual_replicas_completed"] >= 1
    assert summary["heartbeats"] >= 3 * 60 * 3.5
    assert "synthetic" in summary["prices_source"]


def test_what_the_script_does_to_the_fleet_stands_on_the_page_before_what_comes_of_it():
    """A cut of the network by the script makes everybody silent: whoever sees the alarm sees that it was played."""
    demo = Demo(DemoOptions((), None, 5, 0.1, 1, "sqlite://"))
    world = demo.world
    assert world.db.read(demo_time) == world.started_at, "its database is a demo's from the beginning"
    Script(
        world, [Act(0.5, "network: the server is out of reach", cut), Act(0.7, "network: it is back", mend)]
    )
    world.run_until(demo.ends_at)
    rows = world.db.read(lambda tx: events.after(tx, world.client_id, 0, 1000))
    demo.close()
    told = [(row.kind, row.message) for row in rows if row.kind in (PLAYED, "correlated_silence")]
    cut_off = (PLAYED, "played by the demo's script: network: the server is out of reach")
    alarm = next(number for number, (kind, _) in enumerate(told) if kind == "correlated_silence")
    assert told.index(cut_off) < alarm


@pytest.mark.long
def test_the_same_seed_gives_the_same_run():
    first, second = run(agents=1, days=0.05), run(agents=1, days=0.05)
    for summary in (first, second):
        summary.pop("wall_seconds")
    assert first == second


def test_the_command_prints_one_json_object():
    outcome = CliRunner().invoke(app, ["demo", "--headless", "--json", "--days", "0.02", "--agents", "1"])
    assert outcome.exit_code == 0, outcome.output
    assert json.loads(outcome.stdout)["invariants_broken"] == 0


@pytest.fixture
def price_file(tmp_path):
    """Three zones of one type for three days, as `describe-spot-price-history` gives them."""
    rows = ["Timestamp,InstanceType,AvailabilityZone,ProductDescription,SpotPrice"]
    for zone, price in (("a", "0.0350"), ("b", "0.0330"), ("c", "0.0410")):
        rows += [f"2021-03-0{day}T00:00:00Z,c5.large,eu-west-1{zone},Linux/UNIX,{price}" for day in (1, 4)]
    path = tmp_path / "prices.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    return path


@pytest.fixture
def ondemand_file(tmp_path):
    path = tmp_path / "ondemand.csv"
    path.write_text("region,instance_type,ondemand_usd_h\neu-west-1,c5.large,0.096\n")
    return path


def test_a_price_file_is_replayed(price_file, ondemand_file):
    market = replayed([price_file], ondemand_file, days=1)
    assert (market.source, market.region, market.types) == ("prices.csv.gz", "eu-west-1", ("c5.large",))


def test_more_days_than_the_file_holds_are_refused_with_the_reason(price_file, ondemand_file):
    with pytest.raises(InvalidInput, match=r"holds 2\.0 days after its first"):
        replayed([price_file], ondemand_file, days=3)


def test_a_type_without_an_ondemand_price_is_never_guessed(price_file, tmp_path):
    empty = tmp_path / "ondemand.csv"
    empty.write_text("region,instance_type,ondemand_usd_h\neu-west-1,m5.large,0.1\n")
    with pytest.raises(InvalidInput, match=r"--ondemand has no price of this region .*c5\.large"):
        replayed([price_file], empty, days=1)


def test_rows_in_force_before_the_start_do_not_make_the_demo_begin_weeks_early(tmp_path, ondemand_file):
    """AWS gives for each pool the price in force before the time asked for, however old."""
    rows = ["Timestamp,InstanceType,AvailabilityZone,ProductDescription,SpotPrice"]
    for kind, firsts in (
        ("c5.large", ("2021-02-01", "2021-03-01", "2021-03-01")),
        ("m5.large", ("2021-03-01", "2021-03-01", "2021-03-01")),
        ("r5.large", ("2021-01-05", "2021-01-06", "2021-01-07")),
    ):
        for zone, first in zip("abc", firsts, strict=True):
            rows += [
                f"{day}T00:00:00Z,{kind},eu-west-1{zone},Linux/UNIX,0.03" for day in (first, "2021-03-04")
            ]
    rows.append("2020-12-01T00:00:00Z,c5.large,us-east-1a,Linux/UNIX,0.03")
    prices = tmp_path / "prices.csv"
    prices.write_text("\n".join(rows))
    ondemand_file.write_text(
        "region,instance_type,ondemand_usd_h\n"
        + "".join(f"eu-west-1,{kind}.large,0.1\n" for kind in ("c5", "m5", "r5"))
    )
    market = replayed([prices], ondemand_file, days=1)
    assert market.start.isoformat() == "2021-03-02T00:00:00+00:00"
    assert market.types == ("c5.large", "m5.large", "r5.large")


def test_too_few_zones_are_told_as_what_they_are(price_file, ondemand_file, tmp_path):
    two = tmp_path / "two.csv"
    lines = gzip.decompress(price_file.read_bytes()).decode().splitlines()
    two.write_text("\n".join(line for line in lines if "eu-west-1c" not in line))
    with pytest.raises(InvalidInput, match=r"eu-west-1 in two.csv: no type .* in 3 zones, at most in 2"):
        replayed([two], ondemand_file, days=1)


def test_prices_without_ondemand_is_one_clear_line(price_file):
    outcome = CliRunner().invoke(app, ["demo", "--headless", "--prices", str(price_file)])
    assert outcome.exit_code in (1, 2)
    assert "--ondemand" in outcome.output
    assert "Traceback" not in outcome.output


def test_a_file_that_breaks_off_is_played_with_a_word(price_file, ondemand_file):
    assert replayed([price_file], ondemand_file, days=1).complaints == ()
    price_file.write_bytes(price_file.read_bytes() + gzip.compress(b"and more")[:12])
    (complaint,) = replayed([price_file], ondemand_file, days=1).complaints
    assert complaint.startswith("prices.csv.gz breaks off after line ")


def test_a_file_that_is_not_there_is_what_is_complained_about(ondemand_file):
    outcome = CliRunner().invoke(app, ["demo", "--prices", "nosuch", "--headless"])
    assert (outcome.exit_code, "nosuch" in outcome.output) == (2, True)


def test_the_coordinators_of_a_played_demo_hold_leases_as_those_of_production_do(tmp_path):
    demo = Demo(DemoOptions((), None, 1, 0.01, 1, f"sqlite:///{tmp_path}/demo.db"))
    try:
        with bound("127.0.0.1", 0) as listener:
            play(demo, Console(file=io.StringIO()), speed=3000, listener=listener)
        held = demo.world.db.read(leases.of_coordinators)
        names = {seat.coordinator.ctx.settings.name for seat in demo.world.seats}
        assert {row.holder for row in held if row.until > demo.world.clock.now()} == names
    finally:
        demo.close()


def test_whoever_looks_at_a_fast_demo_at_any_moment_sees_its_coordinators_alive():
    demo = Demo(DemoOptions((), None, 1, 0.01, 1, "sqlite://"))
    world, seen = demo.world, []

    def look():
        now = world.clock.now()
        seen.extend(row.until > now for row in world.db.read(leases.of_coordinators))

    hold_leases(world)
    for second in range(5, 300, 5):
        world.schedule.plan(("look", second), world.clock.now() + timedelta(seconds=second), look)
    run_holding(world, world.clock.now() + timedelta(minutes=5), demo.stopping)
    demo.close()
    assert seen == [True] * 59


def test_a_fast_demo_ends_amid_the_time_that_it_catches_up_with():
    demo = Demo(DemoOptions((), None, 1, 1, 1, "sqlite://"))
    world = demo.world
    world.schedule.plan("Ctrl-C", world.started_at + timedelta(minutes=5), demo.stopping.set)
    with bound("127.0.0.1", 0) as listener:
        summary = play(demo, Console(file=io.StringIO()), speed=100_000, listener=listener)
    simulated = world.clock.now() - world.started_at
    demo.close()
    assert summary["interrupted"]
    assert simulated < timedelta(minutes=6)


def test_the_address_that_a_played_demo_has_given_itself_is_the_one_that_it_prints(tmp_path):
    """By it `spotguard doctor` says where agents find the server."""
    url = f"sqlite:///{tmp_path}/demo.db"
    words = ["--port", "0", "--agents", "1", "--days", "0.01", "--speed", "3000", "--database-url", url]
    outcome = CliRunner().invoke(app, ["demo", *words])
    database = Database.open(url)
    told = database.read(launch_orders.public_url_of)
    database.dispose()
    assert f"open {told}/ with this token" in outcome.stderr, outcome.output


def test_interrupted_at_any_moment_it_ends_by_the_custom_of_the_signal(tmp_path):
    """As a process, since signals are a process's own."""
    file = tmp_path / "demo.db"
    words = ["demo", "--headless", "--json", "--agents", "1", "--database-url", f"sqlite:///{file}"]
    command = [sys.executable, "-c", "from spotguard.cli.entry import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        while not file.exists() and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=120)
    assert running.returncode == 128 + signal.SIGINT
    assert "Traceback" not in said
