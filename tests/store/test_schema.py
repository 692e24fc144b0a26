"""What the migrations make is what the tables say: column by column, and in the very DDL."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import sqlalchemy as sa

from spotguard.domain.errors import Refused
from spotguard.store import schema
from spotguard.store import tables as t
from spotguard.store.database import Database
from spotguard.store.migrations import newest_revision, revision_of
from spotguard.store.migrations.initial.schema import frozen
from tests.store.rows import NOW
from tests.support.databases import ON_MARIADB
from tests.support.mariadb import create_database


def sqlite_ddl(database: Database) -> dict[str, list[str]]:
    found = sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'")
    return {name: clauses(sql) for name, sql in database.read(lambda tx: tx.execute(found).all())}


def mariadb_ddl(database: Database) -> dict[str, list[str]]:
    def work(tx: sa.Connection) -> dict[str, list[str]]:
        names = [name for name in sa.inspect(tx).get_table_names() if name != "alembic_version"]
        return {name: clauses(tx.execute(sa.text(f"SHOW CREATE TABLE {name}")).one()[1]) for name in names}

    return database.read(work)


def clauses(ddl: str) -> list[str]:
    """Constraints and keys stand in any order, and a counter may have counted: they mean the same."""
    plain = re.sub(r" AUTO_INCREMENT=\d+", "", re.sub(r"[ \t]+", " ", ddl))
    return sorted(line.strip().rstrip(",") for line in plain.splitlines())


def test_migrated_and_declared_schema_are_the_same_ddl_on_sqlite(sqlite_database):
    declared = Database.open("sqlite://")
    declared.write(t.metadata.create_all)
    assert sqlite_ddl(sqlite_database) == sqlite_ddl(declared)
    declared.dispose()


def test_migrated_and_declared_schema_are_the_same_ddl_on_mariadb(mariadb_database, mariadb_server):
    declared = Database.open(create_database(mariadb_server, "declared"))
    declared.write(t.metadata.create_all)
    assert mariadb_ddl(mariadb_database) == mariadb_ddl(declared)
    declared.dispose()


def test_a_migrated_database_has_no_differences(database):
    assert database.read(schema.differences) == []


def test_the_first_revision_has_every_table_that_was_specified():
    specified = {
        "clients",
        "agents",
        "instances",
        "replica_instances",
        "spot_pools",
        "spot_price_snapshots",
        "switches",
        "spot_interruption_events",
        "commands",
        "ondemand_prices",
        "decisions",
        "ledger_entries",
        "agent_tokens",
        "leases",
    }
    assert specified <= set(frozen.tables)


BREACHES = {
    "a column is missing": ("ALTER TABLE leases DROP COLUMN until", "until"),
    "an index is missing": ("DROP INDEX idx_captured ON spot_price_snapshots", "idx_captured"),
    "a table is missing": ("DROP TABLE leases", "leases"),
    "a check is missing": ("ALTER TABLE agents DROP CONSTRAINT ck_counts_agents", "ck_counts_agents"),
    "a unique key is missing": ("DROP INDEX uq_clients_api_token ON clients", "api_token"),
    "a table is strange": ("CREATE TABLE extra (id INTEGER PRIMARY KEY)", "extra"),
    "a column is too short": ("ALTER TABLE clients MODIFY name VARCHAR(20) NOT NULL", "name"),
    "a column may be NULL": ("ALTER TABLE clients MODIFY name VARCHAR(255) NULL", "name"),
}
ON_SQLITE = ("a column is missing", "an index is missing", "a table is missing", "a table is strange")


@pytest.mark.long
@pytest.mark.parametrize("breach", BREACHES)
def test_a_difference_is_told_on_mariadb(mariadb_server, breach):
    statement, named = BREACHES[breach]
    database = Database.open(create_database(mariadb_server, "breached"))
    database.upgrade()
    database.write(lambda tx: tx.execute(sa.text(statement)))
    found = database.read(schema.differences)
    database.dispose()
    assert found, breach
    assert named in " ".join(found)


@pytest.mark.parametrize("breach", ON_SQLITE)
def test_a_difference_is_told_on_sqlite(sqlite_database, breach):
    statement, named = BREACHES[breach]
    sqlite_database.write(lambda tx: tx.execute(sa.text(statement.partition(" ON ")[0])))
    assert named in " ".join(sqlite_database.read(schema.differences))


def test_a_database_without_schema_is_told_what_to_do():
    database = Database.open("sqlite://")
    assert database.read(schema.differences) == ["the database has no schema: run spotguard db upgrade"]
    database.dispose()


def test_upgrading_again_changes_nothing(database):
    database.write(lambda tx: tx.execute(sa.insert(t.spot_pools), POOL))
    database.upgrade()
    assert database.read(revision_of) == newest_revision()
    assert database.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(t.spot_pools))) == 1


def test_an_upgrade_that_was_cut_off_on_mariadb_is_begun_anew(mariadb_server):
    database = Database.open(create_database(mariadb_server, "cut_off"))
    some = frozen.sorted_tables[: len(frozen.sorted_tables) // 2]
    database.write(lambda tx: frozen.create_all(tx, tables=some))
    database.upgrade()
    assert database.read(schema.differences) == []
    database.dispose()


@pytest.fixture(params=["sqlite", ON_MARIADB])
def own_database(request):
    """Migrated, and nobody else's: what is done to its revision spoils no other test."""
    url = "sqlite://"
    if request.param == "mariadb":
        url = create_database(request.getfixturevalue("mariadb_server"), "own")
    database = Database.open(url)
    database.upgrade()
    yield database
    database.dispose()


def test_tables_with_rows_and_no_revision_are_left_as_they_are(own_database):
    own_database.write(lambda tx: tx.execute(sa.insert(t.spot_pools), POOL))
    own_database.write(lambda tx: tx.execute(sa.text("DELETE FROM alembic_version")))
    with pytest.raises(Refused, match="rows in spot_pools"):
        own_database.upgrade()
    assert own_database.read(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(t.spot_pools))) == 1


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(own_database):
    own_database.write(lambda tx: tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(Refused, match="newer version"):
        own_database.upgrade()
    assert own_database.read(revision_of) == "9999"


def test_a_database_of_an_unreleased_version_is_refused_and_left_as_it_is(own_database):
    """The revision is the newest, and yet nothing has added what it gained since."""
    for column in ("epoch_grants.served_since", "epoch_grants.served_heard_at", "instances.deaf_since"):
        table, _, name = column.partition(".")
        change(own_database, f"ALTER TABLE {table} DROP COLUMN {name}")
    change(own_database, "DROP TABLE leases")
    with pytest.raises(Refused) as refused:
        own_database.upgrade()
    assert "lacks" in str(refused.value)
    assert " and 1 more, and no upgrade adds that" in str(refused.value)
    assert len(own_database.read(schema.differences)) == 4


@pytest.mark.parametrize("missing", ["a column is missing", "a table is missing"])
def test_the_missing_part_is_named(own_database, missing):
    statement, named = BREACHES[missing]
    change(own_database, statement)
    with pytest.raises(Refused, match=f"lacks (the table )?[a-z.]*{named}"):
        own_database.upgrade()


def test_what_stops_no_statement_is_not_refused(own_database):
    for harmless in (
        "CREATE TABLE extra (id INTEGER PRIMARY KEY)",
        "ALTER TABLE clients ADD COLUMN extra INTEGER",
        "CREATE INDEX idx_extra ON clients (name)",
    ):
        change(own_database, harmless)
    own_database.upgrade()
    assert own_database.read(schema.differences)


def change(database, statement):
    database.write(lambda tx: tx.execute(sa.text(statement)))


def test_processes_that_start_at_once_upgrade_one_after_the_other(tmp_path):
    url = f"sqlite:///{tmp_path / 'fresh.db'}"
    program = f"from spotguard.store.database import Database; Database.open({url!r}).upgrade()"
    started = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(3)]
    assert [process.wait(60) for process in started] == [0, 0, 0]


POOL = {
    "id": "t3.medium.ap-south-1a",
    "instance_type": "t3.medium",
    "region": "ap-south-1",
    "az": "ap-south-1a",
    "product": "Linux/UNIX",
    "created_at": NOW,
    "updated_at": NOW,
}
