# ruff: noqa: INP001 -- a script, not a package
"""Writes the first migration anew from store/tables*.py: `python scripts/freeze_initial_schema.py`.

Only until the first release. After it a change of the tables is a new revision beside the first.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.operations.ops import CreateIndexOp, CreateTableOp, MigrateOperation, ModifyTableOps, UpgradeOps
from alembic.runtime.migration import MigrationContext

from spotguard.store import (
    tables_drills,
    tables_fleet,
    tables_market,
    tables_models,
    tables_probes,
    tables_record,
    tables_tenants,
    tables_work,
)
from spotguard.store.tables import metadata

ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "src/spotguard/store/migrations/initial"
ROOMS = {
    "tenants": tables_tenants,
    "market": tables_market,
    "fleet": tables_fleet,
    "work": tables_work,
    "record": tables_record,
    "drills": tables_drills,
    "probes": tables_probes,
    "models": tables_models,
}
HEAD = '''"""Tables of the first revision, frozen: {room}. Written by scripts/freeze_initial_schema.py."""
# ruff: noqa: E501 -- frozen SQL is not folded

from __future__ import annotations

import sqlalchemy as sa

from spotguard.store.migrations.initial.schema import MYSQL, frozen
from spotguard.store.types import Money, UtcTime

'''


def main() -> None:
    found = {name: tuple(parts) for name, parts in definitions()}
    room_of = {
        table.name: room
        for room, module in ROOMS.items()
        for table in vars(module).values()
        if isinstance(table, sa.Table)
    }
    FROZEN.mkdir(exist_ok=True)
    for room in ROOMS:
        texts = [
            f"{name} = sa.Table('{name}', frozen, {', '.join(parts)}, **MYSQL)\n"
            for name, parts in found.items()
            if room_of[name] == room
        ]
        (FROZEN / f"{room}.py").write_text(HEAD.format(room=room) + "\n".join(texts), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    for step in (["format"], ["check", "--fix-only"], ["format"]):  # what was not needed leaves a blank line
        subprocess.run([*ruff, *step, "--quiet", str(FROZEN)], check=True)


def definitions() -> Iterator[tuple[str, list[str]]]:
    """Every table with its columns, constraints and indexes as Python, parents before children."""
    with sa.create_engine("sqlite://").connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
        operations = produce_migrations(context, metadata).upgrade_ops
        if operations is None:
            raise SystemExit("Alembic found nothing to do")
        tables: dict[str, list[str]] = {}
        for operation in flat(operations):
            rendered = render_python_code(UpgradeOps([operation]), migration_context=context)
            call: Any = ast.parse(dedented(rendered)).body[0]
            if isinstance(operation, CreateTableOp):
                parts = [short(part) for part in call.value.args[1:]]
                columns = [part for part in parts if part.startswith("sa.Column(")]
                # constraints come in the order of a set: the same tables shall give the same file
                tables[operation.table_name] = columns + sorted(set(parts) - set(columns))
            elif isinstance(operation, CreateIndexOp):
                name, table, indexed = call.value.args
                of = ", ".join(ast.unparse(column) for column in indexed.elts)
                unique = ", unique=True" if operation.unique else ""
                tables[ast.literal_eval(table)].append(f"sa.Index({ast.unparse(name)}, {of}{unique})")
    return iter(tables.items())


def flat(operations: UpgradeOps) -> Iterator[MigrateOperation]:
    for operation in operations.ops:
        yield from operation.ops if isinstance(operation, ModifyTableOps) else [operation]


def dedented(rendered: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in rendered.splitlines())


def short(part: ast.expr) -> str:
    """One element as it stands in a table, without Alembic's `op.f` (the naming convention is applied already)."""
    text = ast.unparse(part).replace("spotguard.store.types.", "")
    return text.replace("op.f(", "sa.schema.conv(")


if __name__ == "__main__":
    main()
