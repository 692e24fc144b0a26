"""`spotguard model register`, `list`, `shadow`, `activate`, `retire`: one step at a time, and who made it."""

import sqlalchemy as sa
from typer.testing import CliRunner

from spotguard.cli.main import app
from spotguard.store import models, trials
from spotguard.store import tables as t
from tests.registry import made
from tests.store import rows


def on_duty(database):
    return {state.value: models.label_of(row) for state, row in database.read(models.on_duty).items()}


def in_shadow(shell, tmp_path, says=0.02):
    path = made.file(tmp_path, says=says)
    shell.json("model", "register", str(path))
    return shell.json("model", "shadow", "storms")


def test_a_file_becomes_the_next_version_of_its_name(shell, tmp_path, model_folder, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    first = shell.json("model", "register", str(made.file(tmp_path)))
    assert (first["model"], first["state"]) == ("storms@1", "registered")
    assert [path.name for path in model_folder.iterdir()] == [f"{first['file_sha256']}.model"]
    second = shell.json("model", "register", str(made.file(tmp_path, says=0.1)), "--name", "storms")
    assert second["model"] == "storms@2"
    told = shell.json("model", "list")
    assert [(one["model"], one["state"], one["by"]) for one in told["models"]] == [
        ("storms@1", "registered", "ada"),
        ("storms@2", "registered", "ada"),
    ]
    assert told["models"][0]["card"]["about"] == "a model of a story"
    assert told["trial"] is None


def test_the_same_file_twice_is_refused_and_says_as_what_it_is_known(shell, tmp_path):
    path = made.file(tmp_path)
    shell.json("model", "register", str(path))
    assert "storms@1 already (registered)" in shell.fails("model", "register", str(path), "--name", "again")


def test_a_dry_run_changes_nothing(shell, database, tmp_path, model_folder):
    path = made.file(tmp_path)
    told = shell.json("model", "register", str(path), "--dry-run")
    assert (told["model"], told["dry_run"]) == ("storms@1", True)
    assert shell.json("model", "list")["models"] == []
    assert not model_folder.exists()
    shell.json("model", "register", str(path))
    assert shell.json("model", "shadow", "storms", "--dry-run")["state"] == "shadow"
    assert on_duty(database) == {}


def test_a_name_that_no_model_has_is_told(shell):
    assert "there is no model storms" in shell.fails("model", "shadow", "storms")
    assert "not a model" in shell.fails("model", "shadow", "storms@x", code=2)
    assert "not a name" in shell.fails("model", "shadow", "../../etc", code=2)


def test_only_one_is_in_shadow_at_a_time(shell, database, tmp_path):
    in_shadow(shell, tmp_path)
    shell.json("model", "register", str(made.file(tmp_path, "other.model", says=0.3)))
    assert "storms@1 is in shadow: retire it first" in shell.fails("model", "shadow", "other")
    shell.json("model", "retire", "storms")
    shell.json("model", "shadow", "other")
    assert on_duty(database) == {"shadow": "other@1"}


def test_the_schema_itself_keeps_it_to_one(database, shell, tmp_path):
    in_shadow(shell, tmp_path)
    shell.json("model", "register", str(made.file(tmp_path, "other.model", says=0.3)))
    second = sa.update(t.models).where(t.models.c.name == "other").values(state="shadow", duty="shadow")
    lying = sa.update(t.models).where(t.models.c.name == "other").values(state="active")
    for statement in (second, lying):
        try:
            database.write(lambda tx, statement=statement: tx.execute(statement))
        except sa.exc.IntegrityError:
            continue
        raise AssertionError("the schema let it pass")


def test_nobody_is_activated_without_live_outcomes_but_by_force_with_a_reason(shell, database, tmp_path):
    client_id = rows.client(database)
    in_shadow(shell, tmp_path)
    assert "no live outcome is known yet" in shell.fails("model", "activate", "storms")
    assert "needs a reason" in shell.fails("model", "activate", "storms", "--force", " ", code=2)
    told = shell.json("model", "activate", "storms", "--force", "the storm of Tuesday")
    assert told["state"] == "active"
    assert on_duty(database) == {"active": "storms@1"}
    newest = database.read(models.newest_moves)
    (step,) = newest.values()
    assert (step.from_state, step.to_state, step.forced) == ("shadow", "active", True)
    assert "the storm of Tuesday" in step.because
    event = database.read(lambda tx: tx.execute(sa.select(t.agent_events)).one())
    assert (event.client_id, event.kind) == (client_id, "model_active")
    assert "the storm of Tuesday" in event.message


def test_a_registered_one_is_not_activated_past_its_trial(shell, tmp_path):
    shell.json("model", "register", str(made.file(tmp_path)))
    line = shell.fails("model", "activate", "storms", "--force", "hurry")
    assert "storms@1 is registered: it has to be shadow to become active" in line


def outcomes(database, client_id, model_id, present="age-hazard-v1", *, days=20, shadow=0.1):
    """A pool that falls within one hour in ten; the present one says 0.5 to all, the shadow `shadow`."""
    rows.pools(database)
    begin = rows.NOW.replace(hour=0)
    told = [
        {
            "model_id": model_id,
            "client_id": client_id,
            "pool_id": rows.POOL_A,
            "hour": begin + number * trials.HORIZON,
            "at": begin + number * trials.HORIZON,
            "present": present,
            "present_risk": 0.5,
            "shadow_risk": shadow,
            "settled_at": rows.NOW,
            "fell": number % 10 == 0,
        }
        for number in range(days * 24)
    ]
    database.write(lambda tx: tx.execute(sa.insert(t.predictions), told))


def test_one_that_has_beaten_the_present_one_takes_its_place_and_the_present_one_retires(
    shell, database, tmp_path
):
    client_id = rows.client(database)
    in_shadow(shell, tmp_path)
    shell.json("model", "activate", "storms", "--force", "the first one")
    shell.json("model", "register", str(made.file(tmp_path, says=0.1)), "--name", "storms")
    shell.json("model", "shadow", "storms")
    second = database.read(models.on_duty)["shadow"]
    outcomes(database, client_id, second.id, "age-hazard-v1")  # of another time: beside the built-in rule
    assert "no live outcome" in shell.fails("model", "activate", "storms")
    database.write(lambda tx: tx.execute(sa.update(t.predictions).values(present="storms@1")))
    listed = shell.json("model", "list")["trial"]
    assert (listed["outcomes"], listed["days"], listed["beats"]) == (480, 20, True)
    assert listed["shadow_brier"] < listed["present_brier"] == 0.25
    assert "clear of zero" in shell.run("model", "list").stdout
    shell.json("model", "activate", "storms")
    assert on_duty(database) == {"active": "storms@2"}
    states = {one["model"]: (one["state"], one["forced"]) for one in shell.json("model", "list")["models"]}
    assert states == {"storms@1": ("retired", False), "storms@2": ("active", False)}


def test_one_that_is_worse_is_refused_with_its_figures(shell, database, tmp_path):
    client_id = rows.client(database)
    in_shadow(shell, tmp_path)
    outcomes(database, client_id, database.read(models.on_duty)["shadow"].id, shadow=0.9)
    line = shell.fails("model", "activate", "storms")
    assert "better by -0." in line
    assert "not clear of zero" in line


def test_of_two_versions_on_duty_the_one_to_retire_has_to_be_named(shell, database, tmp_path):
    in_shadow(shell, tmp_path)
    shell.json("model", "activate", "storms", "--force", "x")
    shell.json("model", "register", str(made.file(tmp_path, says=0.1)), "--name", "storms")
    shell.json("model", "shadow", "storms")
    assert "say which" in shell.fails("model", "retire", "storms")
    shell.json("model", "retire", "storms@1", "--reason", "it slept")
    assert on_duty(database) == {"shadow": "storms@2"}


def test_a_retired_one_comes_back_by_way_of_the_shadow(shell, database, tmp_path):
    in_shadow(shell, tmp_path)
    shell.json("model", "retire", "storms")
    shell.json("model", "shadow", "storms")
    assert on_duty(database) == {"shadow": "storms@1"}


def test_a_file_that_is_not_the_registered_one_is_rejected_when_its_trial_begins(
    shell, database, tmp_path, model_folder
):
    shell.json("model", "register", str(made.file(tmp_path)))
    (file,) = model_folder.iterdir()
    file.write_bytes(made.body(says=0.3))
    assert "rejected" in shell.fails("model", "shadow", "storms")
    (one,) = shell.json("model", "list")["models"]
    assert one["state"] == "rejected"
    assert "its hash is another" in one["because"]


def test_a_missing_file_is_told_and_decides_nothing(shell, tmp_path, model_folder):
    shell.json("model", "register", str(made.file(tmp_path)))
    (file,) = model_folder.iterdir()
    file.unlink()
    assert "not in the model folder" in shell.fails("model", "shadow", "storms")
    assert shell.json("model", "list")["models"][0]["state"] == "registered"


def test_the_shell_completes_names_and_offers_nothing_where_there_is_no_database(
    shell, new_shell, tmp_path, monkeypatch
):
    shell.json("model", "register", str(made.file(tmp_path)))
    asked = {
        "_SPOTGUARD_COMPLETE": "complete_bash",
        "COMP_WORDS": "spotguard model shadow st",
        "COMP_CWORD": "3",
    }
    told = CliRunner().invoke(app, [], prog_name="spotguard", env=asked)
    assert told.stdout.split() == ["storms@1"]
    monkeypatch.setenv("SPOTGUARD_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    told = CliRunner().invoke(app, [], prog_name="spotguard", env=asked)
    assert told.stdout.split() == []
