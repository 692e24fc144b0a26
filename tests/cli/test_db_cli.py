"""`spotguard db`, and how every command fails: one clear line, exit code 1, or 2 where the settings are wrong."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest
import sqlalchemy as sa

from spotguard import __version__
from spotguard.store import tables as t
from tests.store import rows


def test_upgrade_makes_the_schema_and_again_nothing(new_shell):
    assert new_shell.json("db", "upgrade") == {"before": None, "after": "0001"}
    assert new_shell.json("db", "upgrade") == {"before": "0001", "after": "0001"}
    assert "already" in new_shell.run("db", "upgrade").stdout


def test_check_is_content_with_a_migrated_database(shell):
    assert shell.json("db", "check") == {"ok": True, "schema": [], "counters": []}
    assert "counters equal rows" in shell.run("db", "check").stdout


def test_check_tells_a_counter_that_lies(shell, database):
    client_id = rows.client(database)
    rows.add(database, t.agents, **rows.agent(client_id, replica_count=2))
    result = shell.run("db", "check", "--json")
    assert result.exit_code == 1
    assert "counts 2 replicas, there are 0" in result.stdout
    assert "counts 2 replicas" in shell.run("db", "check").stdout


def test_check_tells_a_schema_that_differs(shell, database):
    database.write(lambda tx: tx.execute(sa.text("DROP INDEX idx_captured")))
    assert "1 difference" in shell.fails("db", "check", "--json")


NEED_THE_SCHEMA = [
    ["client", "list"],
    ["client", "create", "Acme"],
    ["prices", "import", __file__],
    ["kill-switch", "none", "--reason", "x"],
]


@pytest.mark.parametrize("words", [*NEED_THE_SCHEMA, ["db", "check"]])
def test_a_mistyped_file_is_not_made(new_shell, tmp_path, words):
    told = new_shell.fails(*words)
    assert f"there is no database at {tmp_path / 'spotguard.db'}: name your server's own with" in told
    assert "--database-url or SPOTGUARD_DATABASE_URL, or make one with spotguard db upgrade" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [*NEED_THE_SCHEMA, ["db", "upgrade"], ["db", "check"], ["doctor"]])
def test_a_file_that_is_no_database_is_named_and_left_as_it_is(new_shell, tmp_path, words):
    other = tmp_path / "spotguard.db"
    other.write_text("# Notes of mine\n")
    assert f"{other} is not a database of SQLite" in new_shell.fails(*words)
    assert other.read_text() == "# Notes of mine\n"


def test_another_programs_database_is_left_as_it_is(new_shell, tmp_path):
    with closing(sqlite3.connect(tmp_path / "spotguard.db")) as other:
        other.execute("CREATE TABLE people (name TEXT)")
    assert "another program's: it has the table people" in new_shell.fails("db", "upgrade")
    with closing(sqlite3.connect(tmp_path / "spotguard.db")) as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("people",)]


def test_a_demo_looks_at_its_database_before_it_begins(new_shell, tmp_path):
    there = f"sqlite:///{tmp_path}/nowhere/demo.db"
    told = new_shell.fails("demo", "--headless", "--database-url", there, code=2)
    assert f"{tmp_path}/nowhere, which is not there" in told


@pytest.mark.parametrize("words", NEED_THE_SCHEMA)
def test_a_command_that_needs_the_schema_says_what_to_do(new_shell, tmp_path, words):
    (tmp_path / "spotguard.db").touch()
    assert "run spotguard db upgrade" in new_shell.fails(*words)


@pytest.mark.parametrize("words", [["client", "list"], ["db", "upgrade"]])
def test_a_database_of_a_newer_version_is_one_clear_line(shell, database, words):
    database.write(lambda tx: tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    assert "newer version of SpotGuard" in shell.fails(*words)


@pytest.mark.parametrize(
    "words", [["server", "--port", "0"], ["coordinator"], ["db", "upgrade"], ["client", "list"], ["cleanup"]]
)
def test_a_database_of_an_unreleased_version_is_one_clear_line(shell, database, words):
    database.write(lambda tx: tx.execute(sa.text("ALTER TABLE instances DROP COLUMN deaf_since")))
    told = shell.fails(*words)
    assert told.startswith("spotguard: this database lacks instances.deaf_since, and no upgrade adds that")
    assert shell.run("db", "check").exit_code == 1


def test_check_of_an_empty_database_says_what_to_do(new_shell, tmp_path):
    (tmp_path / "spotguard.db").touch()
    result = new_shell.run("db", "check")
    assert result.exit_code == 1
    assert "run spotguard db upgrade" in result.stdout


def test_a_backup_is_whole_while_servers_write(shell, database, tmp_path):
    """What was committed a moment ago lies in the write-ahead log: a copy of the file would not have it."""
    client_id = rows.client(database)
    copy = tmp_path / "copy.db"
    told = shell.json("db", "backup", str(copy))
    assert told == {"file": str(copy), "bytes": copy.stat().st_size}
    assert copy.stat().st_mode & 0o077 == 0
    assert {path.name for path in tmp_path.glob("copy*")} == {"copy.db"}
    listed = shell.json("client", "list", "--database-url", f"sqlite:///{copy}")["clients"]
    assert [row["id"] for row in listed] == [client_id]
    assert "overwrites nothing" in shell.fails("db", "backup", str(copy))
    assert shell.json("db", "check", "--database-url", f"sqlite:///{copy}")["ok"]


def test_a_backup_for_which_there_is_no_room_is_one_clear_line_and_leaves_nothing(shell, tmp_path):
    target = tmp_path / "copy.db"
    with files_of_at_most(100_000):
        told = shell.fails("db", "backup", str(target))
    assert told.startswith(f"spotguard: no backup was made at {target}: ")
    assert list(tmp_path.glob("copy*")) == []


@contextmanager
def files_of_at_most(size: int):
    """To SQLite a disk on which nothing more can be written."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


def test_a_served_database_is_backed_up_by_its_own_tools(shell, tmp_path):
    away = "mysql+pymysql://root@127.0.0.1:1/x"
    told = shell.fails("db", "backup", str(tmp_path / "x"), "--database-url", away)
    assert "mariadb-dump" in told


MISUSED = [
    "nonsense",
    "postgresql://localhost/x",
    "sqlite:////proc/no/x.db",
    "sqlite://",
    "sqlite:///:memory:",
    "mysql://u:p@host",
    "mysql+pymysql://u:p@host:3306",
    "mysql+mysqldb://u:p@host/name",
    "mysql+pymysql://u:p@ss@host/name",
    "mysql+pymysql://u:p:w@host/name",
    "mysql+pymysql://u:p/w@host/name",
]


@pytest.mark.parametrize("url", MISUSED)
def test_a_database_url_that_cannot_be_meant_is_a_usage_error(new_shell, url):
    assert new_shell.fails("db", "upgrade", "--database-url", url, code=2).startswith("spotguard: ")


def test_a_file_that_cannot_be_opened_is_named(shell, tmp_path):
    log = tmp_path / "spotguard.db-wal"
    log.unlink(missing_ok=True)
    log.mkdir()
    assert (
        shell.fails("client", "list") == f"spotguard: {tmp_path}/spotguard.db: unable to open database file"
    )


@pytest.mark.parametrize(
    "away", ["mysql+pymysql://root@127.0.0.1:1/x", "mysql://root@127.0.0.1:1/x", "mariadb://u:p%40@[::1]:1/x"]
)
def test_a_database_that_cannot_be_reached_is_one_line(new_shell, away):
    told = new_shell.fails("db", "upgrade", "--database-url", away)
    assert told.startswith("spotguard: database: Can't connect to MySQL server")
    assert told.endswith("(2003)")


def test_a_settings_file_that_is_named_has_to_be_there(new_shell, monkeypatch, tmp_path):
    monkeypatch.setenv("SPOTGUARD_CONFIG", str(tmp_path / "absent.toml"))
    assert "absent.toml, which is not there" in new_shell.fails("db", "upgrade", code=2)


@pytest.mark.parametrize(
    "words", [["server", "--port", "99999999"], ["demo", "--prices", "x.csv", "--headless"]]
)
def test_options_that_cannot_be_meant_are_usage_errors(new_shell, words):
    assert new_shell.run(*words).exit_code == 2


def test_a_password_in_the_url_is_never_shown(new_shell):
    told = new_shell.fails("client", "list", "--database-url", "mysql+pymysql://root:s3cret@127.0.0.1:1/x")
    assert "s3cret" not in told


def test_debug_shows_the_traceback(new_shell):
    result = new_shell.run("--debug", "client", "list")
    assert result.exit_code == 1
    assert result.exception is not None
    assert not isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    "words", [["nonsense"], ["db", "nonsense"], ["client", "create"], ["kill-switch", "some"]]
)
def test_a_usage_error_is_exit_code_2(new_shell, words):
    assert new_shell.run(*words).exit_code == 2


def test_help_and_version_need_no_database(new_shell):
    assert new_shell.run("--version").stdout.strip() == __version__
    for words in ([], ["db"], ["client"], ["prices"], ["kill-switch"]):
        assert new_shell.run(*words, "--help").exit_code == 0
        assert new_shell.run(*words, "-h").exit_code == 0


def test_help_does_not_load_what_it_does_not_need():
    heavy = ("numpy", "sqlalchemy", "alembic", "fastapi")
    program = f"import sys, spotguard.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_backup_that_cannot_be_written_names_the_file_that_was_asked_for(shell, tmp_path):
    told = shell.fails("db", "backup", str(tmp_path / "absent" / "b.db"))
    assert "b.db: No such file or directory" in told
