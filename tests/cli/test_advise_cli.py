"""`spotguard advise` on little files, on fetched prices, and on an account behind the simulated EC2."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spotguard.cli.main import app
from spotguard.planning.permissions.roles import Role, statements
from spotguard.planning.permissions.scope import Scope
from spotguard.planning.permissions.statements import actions_of
from tests.market.files import HEADER, written
from tests.wire.scene import REGION, served

DOCUMENT = Path(__file__).parents[2] / "docs" / "advise.md"
T0 = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=60)
WHERE = ("--region", REGION)


def at(days):
    return f"{T0 + timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"


def price_lines(days=30):
    return [
        f"{at(day)},{kind},{REGION}{zone},Linux/UNIX,{0.03 + 0.001 * (day % 3):.3f}"
        for day in range(days + 1)
        for kind in ("m5.large", "m5a.large", "c5.large", "m4.large")
        for zone in "ab"
    ]


@pytest.fixture
def files(tmp_path):
    ondemand = [f"{REGION},m5.large,0.096", f"{REGION},m5a.large,0.086", f"{REGION},m4.large,0.2"]
    looks = [
        f"{at(hour / 24)},{REGION}{zone},m5.large,{int((hour + ord(zone)) % 50 > 2)},0.04,0.096"
        for hour in range(24 * 16)
        for zone in "ab"
    ]
    advisor = [f"{T0:%Y-%m-%d},{REGION},Linux,m5.large,0", f"{T0:%Y-%m-%d},{REGION},Linux,m5a.large,1"]

    def csv(name, head, lines):
        return str(written(tmp_path, "\n".join([head, *lines]) + "\n", name))

    return {
        "--prices": csv("prices.csv", HEADER, price_lines()),
        "--ondemand": csv("od.csv", "region,instance_type,ondemand_usd_h", ondemand),
        "--availability": csv(
            "up.csv", "Timestamp,AvailabilityZone,InstanceType,Available,SpotPrice,OnDemandPrice", looks
        ),
        "--advisor": csv("adv.csv", "snapshot_date,region,os,instance_type,interruption_bucket", advisor),
    }


def named(files, *names):
    return [word for name in names for word in (name, files[name])]


PRICES = ("--prices", "--ondemand")
WORKLOAD = ("advise", "--instance-type", "m5.large", *WHERE)


class TestAWorkload:
    def test_the_json_has_the_documented_keys_and_no_other(self, new_shell, files):
        told = new_shell.json(*WORKLOAD, *named(files, *PRICES, "--advisor"))
        documented = set(re.findall(r"^\| `([a-z0-9_]+)`", DOCUMENT.read_text(), re.MULTILINE))
        parts = [told, told["replayed"], told["interruptions"], told["standby"], *told["pools"]]
        parts += told["policies"].values()
        known = {key for part in parts for key in part} | ACCOUNT_KEYS
        assert known == documented

    def test_money_is_decimal_text_and_shares_are_numbers(self, new_shell, files):
        told = new_shell.json(*WORKLOAD, *named(files, *PRICES))
        engine = told["policies"]["engine"]
        assert re.fullmatch(r"\d+\.\d\d", engine["cost_usd_per_30d"])
        assert isinstance(engine["saving_share"], float)
        assert told["plan"] == "spot-automatic"
        assert told["ondemand_usd_per_hour"] == "0.096000"
        assert told["interruptions"] | {"because": ""} == {
            "basis": "unknown",
            "because": "",
            "per_30d_low": None,
            "per_30d_high": None,
            "minutes_down_per_30d_low": None,
            "minutes_down_per_30d_high": None,
        }

    def test_the_text_names_the_plan_and_the_report_is_written(self, new_shell, files, tmp_path):
        report = tmp_path / "report.html"
        result = new_shell.run(*WORKLOAD, *named(files, *PRICES), "--html", str(report))
        assert result.exit_code == 0, result.output
        assert "ADVICE     spot, with automatic emergencies" in result.stdout
        assert report.read_text().startswith("<!doctype html>")
        assert result.stderr == ""

    def test_availability_alone_is_enough_and_is_measured(self, new_shell, files):
        told = new_shell.json(*WORKLOAD, *named(files, "--availability"))
        assert told["replayed"]["kind"] == told["interruptions"]["basis"].replace("measured", "availability")
        assert told["interruptions"]["per_30d_low"] is not None
        assert {pool["up_share"] is not None for pool in told["pools"]} == {True}

    def test_with_both_the_pools_are_those_of_the_prices(self, new_shell, files):
        told = new_shell.json(*WORKLOAD, *named(files, *PRICES, "--availability"))
        assert told["replayed"]["kind"] == "availability"
        assert {pool["instance_type"] for pool in told["pools"]} == {"m5.large", "m5a.large"}

    def test_zones_of_its_own_type_alone(self, new_shell, files):
        told = new_shell.json(*WORKLOAD, *named(files, *PRICES), "--pools", "AZ")
        assert {pool["instance_type"] for pool in told["pools"]} == {"m5.large"}

    def test_an_older_generation_is_offered_where_it_is_asked_for(self, new_shell, files):
        offered = {}
        for words in ((), ("--older-generations",)):
            told = new_shell.json(*WORKLOAD, *named(files, *PRICES), *words)
            offered[words] = {pool["instance_type"] for pool in told["pools"]}
        assert offered == {
            (): {"m5.large", "m5a.large"},
            ("--older-generations",): {"m5.large", "m5a.large", "m4.large"},
        }

    def test_what_was_fetched_is_read_where_no_file_is_named(self, shell, files):
        imported = shell.run("prices", "import", files["--prices"], "--ondemand", files["--ondemand"])
        assert imported.exit_code == 0, imported.output
        stored, read = shell.json(*WORKLOAD), shell.json(*WORKLOAD, *named(files, *PRICES))
        assert stored["replayed"]["source"] == f"the database's prices of {REGION}"
        for told in (stored, read):
            del told["advised_at"], told["replayed"]["source"]
        assert stored == read

    @pytest.mark.parametrize(
        ("words", "code", "line"),
        [
            (
                ("--instance-type", "c5.large", *WHERE),
                2,
                "no on-demand price of c5.large in us-east-1 is known",
            ),
            (
                ("--instance-type", "x9.large", *WHERE),
                2,
                "no type 'x9.large'; it has c5.large, m4.large, m5.large, m5a.large",
            ),
            (
                ("--instance-type", "m5.large", "--region", "eu-west-9"),
                2,
                "no region 'eu-west-9'; it has us-east-1",
            ),
            (("--instance-type", "m5.large"), 2, "name one --instance-type and one --region"),
            ((*WORKLOAD[1:], "--minute-value-usd", "much"), 2, "--minute-value-usd"),
            ((*WORKLOAD[1:], "--savings-plan", "28"), 2, "as 0.28"),
            ((*WORKLOAD[1:], "--account"), 2, "leave --instance-type out"),
        ],
    )
    def test_what_is_wrong_is_one_line(self, new_shell, files, words, code, line):
        assert line in new_shell.fails("advise", *words, *named(files, *PRICES), code=code)

    @pytest.mark.parametrize("option", ["--prices", "--ondemand", "--availability", "--advisor"])
    def test_a_broken_file_is_named_with_its_line(self, new_shell, files, option):
        path = Path(files[option])
        path.write_text(path.read_text() + "2026-01-01T00:00:00Z,§,§,§,§,§\n")
        line = len(path.read_text().splitlines())
        told = new_shell.fails(*WORKLOAD, *named(files, *{*PRICES, option}))
        assert f"{path.name}, line {line}: " in told

    def test_prices_of_a_time_to_come_are_no_history(self, new_shell, files):
        path = Path(files["--prices"])
        ahead = f"{datetime.now(UTC) + timedelta(days=9000):%Y-%m-%dT%H:%M:%SZ}"
        path.write_text(path.read_text() + f"{ahead},m5.large,{REGION}a,Linux/UNIX,0.02\n")
        told = new_shell.fails(*WORKLOAD, *named(files, *PRICES))
        assert f"prices.csv, line 250: a time to come: {ahead}" in told

    def test_without_prices_it_says_where_they_come_from(self, new_shell, shell):
        assert "spotguard prices fetch --region us-east-1" in shell.fails(*WORKLOAD, code=2)

    def test_without_a_database_too(self, new_shell):
        assert "name price history by --prices" in new_shell.fails(*WORKLOAD, code=2)

    def test_a_letter_that_steers_a_terminal_is_not_printed(self, new_shell, files, tmp_path):
        odd = tmp_path / "a\x1b[31mb.csv"
        odd.write_text(Path(files["--prices"]).read_text())
        result = new_shell.run(*WORKLOAD, "--prices", str(odd), *named(files, "--ondemand"))
        assert result.exit_code == 0
        assert "\x1b" not in result.stdout

    def test_types_and_profiles_are_completed(self, monkeypatch):
        words = "spotguard advise --instance-type m5d.8"
        monkeypatch.setenv("_SPOTGUARD_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", "3")
        result = CliRunner().invoke(app, [], prog_name="spotguard")
        assert result.stdout.split() == ["m5d.8xlarge"]


ACCOUNT_KEYS = {
    "regions",
    "instances",
    "ranked",
    "skipped",
    "not_looked_at",
    "workloads",
    "instance_id",
    "name",
    "workload",
}


class TestAnAccount:
    @pytest.fixture(autouse=True)
    def _credentials(self, monkeypatch):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWIRE000000000000")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")

    def told(self, shell, files, scene, *more):
        words = (
            "advise",
            "--account",
            *named(files, *PRICES),
            "--endpoint-url",
            scene.wire.url,
            *more,
            "--json",
        )
        result = shell.run(*words)
        return result, json.loads(result.stdout) if result.stdout else None

    def test_its_running_instances_are_ranked_and_the_rest_is_skipped(self, new_shell, files):
        named_web = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "web"}]}]
        of_a_cluster = [{"ResourceType": "instance", "Tags": [{"Key": "eks:cluster-name", "Value": "prod"}]}]
        with served() as scene:
            web = scene.running(spot=False, TagSpecifications=named_web)
            spot = scene.running(TagSpecifications=[])
            node = scene.running(spot=False, TagSpecifications=of_a_cluster)
            ended = scene.running(spot=False, TagSpecifications=[])
            scene.client.terminate_instances(InstanceIds=[ended])
            result, told = self.told(new_shell, files, scene)
        assert result.exit_code == 0, result.output
        (first,) = told["ranked"]
        assert (first["instance_id"], first["name"], first["plan"]) == (web, "web", "spot-automatic")
        because = {one["instance_id"]: one["because"] for one in told["skipped"]}
        assert because.keys() == {spot, node}
        assert because[spot] == "it runs on spot already"
        assert "an EKS cluster (prod)" in because[node]
        assert set(told) - {"advised_at", "expected_saving_usd_per_30d"} | set(first) > ACCOUNT_KEYS - {
            "because"
        }

    def test_the_policy_read_is_enough_and_nothing_is_changed(self, new_shell, files, monkeypatch):
        with served() as scene:
            scene.running(spot=False, TagSpecifications=[])
            iam = scene.other("iam")
            iam.create_user(UserName="adviser")
            allowed = sorted(actions_of(statements(Role.READ, Scope(installation="demo"))))
            document = {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": allowed, "Resource": "*"}],
            }
            iam.put_user_policy(UserName="adviser", PolicyName="p", PolicyDocument=json.dumps(document))
            key = iam.create_access_key(UserName="adviser")["AccessKey"]
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            with scene.wire.iam_enforced():
                result, told = self.told(new_shell, files, scene)
        assert result.exit_code == 0, result.output
        assert len(told["ranked"]) == 1

    def test_an_account_that_lets_nobody_in_is_a_failure_with_its_reason(self, new_shell, files):
        words = ("advise", "--account", *named(files, *PRICES), "--endpoint-url", "http://127.0.0.1:1")
        result = new_shell.run(*words)
        assert result.exit_code == 1
        assert result.stderr.startswith("spotguard: us-east-1 could not be looked at: ")
        assert result.stdout == ""

    def test_without_credentials_it_says_so_and_no_sum_of_nought(self, new_shell, files, monkeypatch):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
        result = new_shell.run("advise", "--account", *named(files, *PRICES))
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("spotguard: no AWS credentials were found: ")
        assert result.stderr.count("\n") == 1

    def test_its_report_is_written(self, new_shell, files, tmp_path):
        report = tmp_path / "account.html"
        with served() as scene:
            instance_id = scene.running(spot=False, TagSpecifications=[])
            result, _ = self.told(new_shell, files, scene, "--html", str(report))
        assert result.exit_code == 0, result.output
        assert instance_id in report.read_text()
