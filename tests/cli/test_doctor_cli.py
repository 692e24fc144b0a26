"""`spotguard doctor`, before a database of its own and the simulated EC2 on the wire."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from spotguard import __version__
from spotguard.domain.agents import Executor
from spotguard.store import accounts, demos, events, launch_orders, leases
from spotguard.store import tables as t
from tests.store import rows
from tests.wire.scene import served


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWIRE000000000000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("SPOTGUARD_PUBLIC_URL", "https://sg.example")


def now():
    return datetime.now(UTC)


@pytest.fixture
def installation(database):
    """A coordinator that lives, a client whose moves the server makes, an agent that is heard."""
    client_id = rows.with_agent(database)
    database.write(lambda tx: leases.hold(tx, now(), "host:1"))
    database.write(lambda tx: accounts.set_executor(tx, now(), client_id, Executor.SERVER))
    database.write(lambda tx: accounts.set_account(tx, now(), client_id, "us-east-1", None))
    return client_id


def serving(database, client_id, instance_id):
    heard = {"last_heartbeat_at": now(), "gate": "open", "agent_version": __version__}
    place = {"az": "us-east-1a", "instance_type": "m5.large"}
    values = rows.instance(client_id, id=instance_id, agent_id="agent-1", **heard, **place)
    rows.add(database, t.instances, **values)
    rows.add(database, t.epoch_grants, **rows.grant(instance_id=instance_id))
    image = {"id": "ami-1", "kind": "image", "size_gib": 8, "state": "done", "metered_from": now()}
    rows.add(
        database, t.storage_resources, client_id=client_id, agent_id="agent-1", created_at=now(), **image
    )
    database.write(lambda tx: tx.execute(t.agents.update().values(instance_count=1)))


def standby_has_enrolled(database, client_id):
    """A machine of ours, from the image of its agent."""
    ours = {"agent_id": "agent-1", "intention_token": "of-a-launch", "ami_id": "ami-1", "hears": True}
    rows.add(database, t.instances, **rows.instance(client_id, id=rows.NEW, is_active=False, **ours))
    database.write(lambda tx: tx.execute(t.agents.update().values(ami_id="ami-1")))


def told(result):
    findings = json.loads(result.stdout)["findings"]
    return {one["name"]: (one["grade"], one["because"]) for one in findings}


def test_an_installation_that_is_well(shell, database, installation):
    with served() as scene:
        instance_id = scene.running(TagSpecifications=[])
        scene.client.create_tags(
            Resources=[instance_id], Tags=[{"Key": "spotguard:adopted", "Value": "agent-1"}]
        )
        serving(database, installation, instance_id)
        standby_has_enrolled(database, installation)
        scene.other("iam").create_role(RoleName="AWSServiceRoleForEC2Spot", AssumeRolePolicyDocument="{}")
        result = shell.run("doctor", "--endpoint-url", scene.wire.url, "--json")
    ill = {name: what for name, what in told(result).items() if what[0] != "ok"}
    assert (result.exit_code, ill) == (0, {})
    assert json.loads(result.stdout)["counts"] == {"ok": 25}


def test_what_is_broken_is_told_with_what_to_do(shell, database, installation):
    result = shell.run("doctor", "--without-aws")
    assert result.exit_code == 1
    assert "silent: Acme/web-1 never heard" in result.stdout
    assert "to do:" in result.stdout
    assert result.stderr.strip() == "spotguard: something is broken: every-agent-is-heard"


def test_an_allowed_type_of_which_nobody_has_told_anything_is_named(shell, database):
    rows.with_agent(database)
    allowed = {"allowed_instance_types": ["t3.medium", "t3.medum"]}
    database.write(lambda tx: tx.execute(t.agents.update().values(allowed)))
    rows.pools(database, "t3.medium.us-east-1a")
    level, because = told(shell.run("doctor", "--without-aws", "--json"))["every-allowed-type-is-known"][:2]
    assert (level, because) == (
        "warning",
        "neither a price nor anything else is known of Acme/web-1: t3.medum",
    )


def test_a_demos_database_is_judged_by_its_own_time(shell, database):
    """The demo's clock is months away from this machine's, and goes at another pace."""
    client_id = rows.with_agent(database)
    heard = {"last_heartbeat_at": rows.NOW, "gate": "open", "agent_version": __version__}
    rows.add(database, t.instances, **rows.instance(client_id, agent_id="agent-1", **heard))
    rows.add(database, t.epoch_grants, **rows.grant())
    database.write(lambda tx: leases.hold(tx, rows.NOW, "coordinator-1"))
    assert told(shell.run("doctor", "--without-aws", "--json"))["every-agent-is-heard"][0] == "error"
    soon = rows.NOW + timedelta(seconds=20)
    database.write(lambda tx: events.append(tx, soon, client_id, None, demos.PLAYED, "a user moves web"))
    result = shell.run("doctor", "--without-aws", "--json")
    found = told(result)
    assert found["every-agent-is-heard"][0] == found["a-coordinator-is-alive"][0] == "ok"
    assert "a demo's database" in result.stderr
    assert "2026-11-23T10:00:20" in result.stderr


def test_an_account_that_lets_nobody_in(shell, database, installation):
    result = shell.run("doctor", "--endpoint-url", "http://127.0.0.1:1", "--json")
    found = told(result)
    assert result.exit_code == 1
    assert found["every-account-lets-us-in"][0] == "error"
    assert found["every-quota-has-room"][0] == "unknown"
    assert found["awss-clock-is-this-machines"][0] == "unknown"


def test_without_credentials_it_says_so_and_speaks_of_no_role(
    shell, database, installation, monkeypatch, tmp_path
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    result = shell.run("doctor", "--json")
    level, because = told(result)["every-account-lets-us-in"]
    assert (level, because) == ("error", "no AWS credentials were found here, nothing was asked for: Acme")
    assert "trust policy" not in result.stdout
    assert "dry run" not in told(result)["every-call-of-a-move-is-permitted"][1]


def test_an_instance_that_was_not_handed_over_is_named_with_the_line_to_type(shell, database, installation):
    with served() as scene:
        instance_id = scene.running(TagSpecifications=[])
        serving(database, installation, instance_id)
        result = shell.run("doctor", "--endpoint-url", scene.wire.url, "--json")
    level, because = told(result)["every-instance-is-handed-over"]
    assert (level, instance_id in because) == ("warning", True)
    assert "Key=spotguard:adopted,Value=agent-1" in result.stdout


def test_what_was_not_looked_at_is_unknown_and_breaks_nothing(shell, database):
    database.write(lambda tx: leases.hold(tx, now(), "host:1"))
    result = shell.run("doctor", "--without-aws", "--json")
    levels = [level for level, _ in told(result).values()]
    assert (result.exit_code, levels.count("unknown"), levels.count("error")) == (0, 6, 0)


def test_a_database_that_was_not_migrated_is_an_error_and_not_a_crash(new_shell, tmp_path):
    (tmp_path / "spotguard.db").touch()
    result = new_shell.run("doctor", "--without-aws", "--json")
    assert result.exit_code == 1
    assert told(result)["its-schema-is-the-newest"][0] == "error"


def test_a_database_that_does_not_answer_is_a_finding(new_shell):
    url = "mysql+pymysql://nobody:secret@127.0.0.1:1/none"
    result = new_shell.run("doctor", "--database-url", url, "--without-aws", "--json")
    assert result.exit_code == 1
    assert told(result)["the-database-answers"][0] == "error"
    assert "secret" not in result.output


def test_an_address_that_other_machines_do_not_have_is_an_error(shell, database, monkeypatch):
    for url, level in (("http://127.0.0.9:1", "error"), ("http://sg", "warning"), ("https://sg", "ok")):
        monkeypatch.setenv("SPOTGUARD_PUBLIC_URL", url)
        result = shell.run("doctor", "--without-aws", "--json")
        assert told(result)["agents-can-reach-this-server"][0] == level, url


def test_a_database_that_is_not_there_is_an_error_and_is_not_made(shell, tmp_path):
    missing = tmp_path / "mistyped.db"
    result = shell.run("doctor", "--without-aws", "--json", "--database-url", f"sqlite:///{missing}")
    assert result.exit_code == 1
    grade, because = told(result)["the-database-answers"]
    assert grade == "error"
    assert f"there is no database at {missing}" in because
    assert list(tmp_path.glob("mistyped*")) == []


def test_the_address_that_the_server_gave_itself_counts_where_this_shell_knows_none(
    shell, database, installation, monkeypatch
):
    monkeypatch.delenv("SPOTGUARD_PUBLIC_URL")

    def of_address():
        return told(shell.run("doctor", "--without-aws", "--json"))["agents-can-reach-this-server"]

    grade, because = of_address()
    assert (grade, "no server has named its own" in because) == ("warning", True)
    itself = launch_orders.Installation(public_url="https://spotguard.example")
    database.write(lambda tx: launch_orders.introduce(tx, now(), itself))
    assert of_address() == ("ok", "launched instances are told https://spotguard.example")
