"""Data directories of PostgreSQL, MySQL and MariaDB: those that run, those in the usual places, those under a path.

PostgreSQL works in its data directory and keeps PG_VERSION and postmaster.pid there (PostgreSQL manual, "Database File
Layout"); mysqld and mariadbd work in theirs too, which holds ibdata1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spotguard.planning.eligibility.facts import Database

POSTGRES, MYSQL = "PostgreSQL", "MySQL/MariaDB"
DEPTH = 4  # folders below the state path in which a data directory is looked for
_ENGINE_OF = {"postgres": POSTGRES, "postmaster": POSTGRES, "mysqld": MYSQL, "mariadbd": MYSQL}
_MARK = {"PG_VERSION": POSTGRES, "ibdata1": MYSQL}
_USUAL = (
    "var/lib/postgresql/*/*",
    "var/lib/pgsql/data",
    "var/lib/pgsql/*/data",
    "var/lib/mysql",
    "var/lib/mariadb",
)


@dataclass(frozen=True)
class _Process:
    """A server process: where it works, and what it says of itself."""

    engine: str
    folder: str
    title: str


def databases(root: Path, state_path: str | None) -> tuple[Database, ...]:
    """Each data directory once, by its path within the root. `PermissionError`: only root can tell."""
    processes = list(_processes(root))
    folders = [path for pattern in _USUAL for path in root.glob(pattern)]
    if state_path is not None:
        folders += _below(root / state_path.lstrip("/"))
    held = {
        f"/{printable(str(path.relative_to(root)))}": engine
        for path in folders
        if (engine := _engine(path)) is not None
    }
    running = {process.folder: process.engine for process in processes}
    # one that runs in a container knows its folder by another name
    elsewhere = {engine for folder, engine in running.items() if _engine(_at(root, folder)) is None}
    return tuple(
        Database(
            engine,
            folder,
            runs := folder in running or engine in elsewhere or _has_pid(_at(root, folder)),
            _replicated(engine, _at(root, folder), processes) if runs else None,
        )
        for folder, engine in sorted({**running, **held}.items())
    )


def _engine(folder: Path) -> str | None:
    return next((engine for mark, engine in _MARK.items() if (folder / mark).is_file()), None)


def _within(root: Path, path: Path) -> str:
    return printable(f"/{path.relative_to(root)}")


def _at(root: Path, folder: str) -> Path:
    return root / folder.lstrip("/")


def _below(top: Path) -> Iterator[Path]:
    for folder, names, _ in os.walk(top, onerror=_require_permission):
        here = Path(folder)
        yield here
        if len(here.relative_to(top).parts) >= DEPTH or _engine(here) is not None:
            names.clear()


def _require_permission(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise error


def _has_pid(folder: Path) -> bool:
    return next(folder.glob("*.pid"), None) is not None


def _processes(root: Path) -> Iterator[_Process]:
    for process in (root / "proc").glob("[0-9]*"):
        try:
            engine = _ENGINE_OF.get(_text(process / "comm").strip())
            if engine is not None:
                folder = printable(str((process / "cwd").readlink()))
                yield _Process(engine, folder, _text(process / "cmdline").replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def printable(name: str) -> str:
    """A name from the disk may be any bytes."""
    return name.encode("utf-8", "replace").decode()


def _replicated(engine: str, folder: Path, processes: Iterable[_Process]) -> bool | None:
    """True when something shows it; a primary of MySQL shows nothing in its files."""
    if engine == POSTGRES:
        streams = any(word in process.title for process in processes for word in ("walsender", "walreceiver"))
        return streams or (folder / "standby.signal").exists()
    marks = ("grastate.dat", "master.info", "*relay-bin.index")
    return True if any(next(folder.glob(mark), None) is not None for mark in marks) else None
