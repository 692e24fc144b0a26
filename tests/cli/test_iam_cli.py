"""`spotguard iam`: policies and trust as JSON on stdout, reasons on request, one clear line for what cannot be."""

import json

import pytest
from typer.testing import CliRunner

from spotguard.cli.main import app

WHERE = ["--region", "ap-south-1", "--account", "111122223333", "--installation", "acme"]
QUARANTINE = ["--quarantine-group", "sg-0123456789abcdef0"]
PRINCIPAL = "arn:aws:iam::111122223333:role/spotguard"


def run(*arguments, expect=0):
    answer = CliRunner().invoke(app, ["iam", *arguments])
    assert answer.exit_code == expect, answer.output
    return answer


@pytest.mark.parametrize("role", ["read", "operate", "agent", "drill"])
def test_a_policy_is_json_and_nothing_else(role):
    more = QUARANTINE if role == "drill" else []
    told = json.loads(run("policy", role, *WHERE, *more).stdout)
    assert told["Version"] == "2012-10-17"
    assert "ap-south-1" in json.dumps(told)


def test_options_reach_the_policy():
    told = run(
        "policy",
        "operate",
        *WHERE,
        *("--instance-profile-role", "arn:aws:iam::111122223333:role/web"),
        *("--subnet", "subnet-0123456789", "--type", "m5.*", "--require-imdsv2", "--client", "c-1"),
        *("--traffic", "dns", "--hosted-zone", "Z012345", "--record", "a.example.com"),
    ).stdout
    for part in (
        "role/web",
        "subnet/subnet-0123456789",
        "m5.*",
        "required",
        "c-1",
        "Z012345",
        "a.example.com",
    ):
        assert part in told


def test_it_says_what_a_policy_leaves_open():
    warned = run("policy", "operate").stderr
    assert "every region" in warned
    assert "--instance-profile-role" in warned
    assert run("policy", "read", *WHERE).stderr == ""


def test_the_reasons_are_told_on_request():
    told = run("policy", "operate", *WHERE, "--explain").stdout
    assert "NoRetagging" in told
    assert "pricing:GetProducts" in told


def test_the_installation_is_the_setting_unless_it_is_told(monkeypatch):
    monkeypatch.setenv("SPOTGUARD_INSTALLATION", "from-the-setting")
    assert "from-the-setting" in run("policy", "operate", "--region", "ap-south-1").stdout


def test_trust():
    told = json.loads(run("trust", "--principal", PRINCIPAL, "--external-id", "x-1").stdout)
    (statement,) = told["Statement"]
    assert statement["Principal"] == {"AWS": PRINCIPAL}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "x-1"}}
    (statement,) = json.loads(run("trust", "--instances").stdout)["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["policy", "operate", "--region", "everywhere"], "region: 'everywhere'"),
        (["policy", "drill", *WHERE], "security group"),
        (["policy", "read", "--traffic", "elastic-ip"], "moves no traffic"),
        (["policy", "operate", "--traffic", "dns"], "dns needs a hosted zone"),
        (["policy", "read", *WHERE, "--image", "ami-01234567"], "images: the role read"),
        (["policy", "operate", *WHERE, "--quarantine-group", "sg-01234567"], "quarantine group: the role"),
        (
            ["policy", "operate", *WHERE, "--traffic", "target-group", "--hosted-zone", "Z1"],
            "hosted zones: they belong to --traffic dns",
        ),
        (["trust"], "--principal and --external-id"),
        (["trust", "--principal", PRINCIPAL], "--principal and --external-id"),
        (["trust", "--principal", "*", "--external-id", "x-1"], "is not the ARN"),
        (["trust", "--principal", PRINCIPAL, "--external-id", "x"], "an external id has"),
        (["trust", "--instances", "--external-id", "x-1"], "neither"),
    ],
    ids=str,
)
def test_what_cannot_be_is_one_clear_line(arguments, line):
    answer = run(*arguments, expect=2)
    assert line in answer.stderr
    assert answer.stderr.strip().count("\n") == 0
    assert answer.stdout == ""


def test_an_unknown_role_is_a_usage_error():
    run("policy", "everything", expect=2)
