"""`spotguard prices`: brings price history and on-demand prices into the database."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from spotguard.cli.databases import DatabaseUrl, opened
from spotguard.cli.output import Failed, Json, print_json, say, stderr, warn
from spotguard.cli.price_fetch import fetch
from spotguard.domain.errors import BadSetting

if TYPE_CHECKING:
    from spotguard.market.rows import BrokenLine
    from spotguard.store.database import Database

app = typer.Typer(no_args_is_help=True, help="Import or fetch prices.")

_SHOWN = 20  # broken lines told one by one to people
_IN_JSON = 1000  # and to scripts


@app.callback()
def _group() -> None:
    """Import or fetch prices."""


app.command()(fetch)


@app.command("import")
def import_files(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE…", exists=True, dir_okay=False, help="AWS's JSON or CSV, also gzip."),
    ] = None,
    *,
    ondemand: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="CSV: region, instance_type, ondemand_usd_h."),
    ] = None,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Import spot price history and on-demand prices; what is known already is left alone."""
    if not files and ondemand is None:
        raise BadSetting("name a FILE of price history, or one with --ondemand")
    begun = time.perf_counter()
    with opened(database_url) as database:
        summary, broken = _import_history(database, files or [])
        if ondemand is not None:
            summary["ondemand_prices"], lines = _import_ondemand(database, ondemand)
            broken += [(ondemand, line) for line in lines]
    seconds = time.perf_counter() - begun
    summary |= {"seconds": round(seconds, 3), "rows_per_second": round(summary["rows"] / seconds)}
    if json:
        told = [{"file": str(path), "line": line.line_number, "reason": line.reason} for path, line in broken]
        print_json(summary | {"broken": told[:_IN_JSON], "broken_count": len(broken)})
    else:
        _tell(summary, broken)
    _fail_if_little_came(summary, broken)


def _import_history(
    database: Database, files: list[Path]
) -> tuple[dict[str, Any], list[tuple[Path, BrokenLine]]]:
    from spotguard.market.price_files import CLOCKS_APART, read_price_history
    from spotguard.store.price_import import import_history

    now = datetime.now(UTC)
    summary: dict[str, Any] = {"files": len(files), "rows": 0, "stored": 0, "unchanged": 0}
    broken: list[tuple[Path, BrokenLine]] = []
    with _progress(files) as advance, _no_garbage_collection():
        for path in files:
            batches = read_price_history(path, advance(path), not_after=now + CLOCKS_APART)
            imported = import_history(database, now, batches)
            summary["rows"] += imported.rows
            summary["stored"] += imported.stored
            summary["unchanged"] += imported.unchanged
            broken += [(path, line) for line in imported.broken]
    return summary, broken


def _import_ondemand(database: Database, path: Path) -> tuple[int, list[BrokenLine]]:
    from spotguard.market.ondemand import read_ondemand_prices
    from spotguard.store.price_import import import_ondemand

    prices, broken = read_ondemand_prices(path)
    return import_ondemand(database, datetime.now(UTC), prices), broken


@contextmanager
def _progress(files: list[Path]) -> Iterator[Callable[[Path], Callable[[int, int], None]]]:
    """A bar over the bytes of all files, on stderr, where a person looks."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as progress:
        task = progress.add_task("prices", total=sum(path.stat().st_size for path in files))
        done = 0

        def advance(path: Path) -> Callable[[int, int], None]:
            nonlocal done
            before = done
            done += path.stat().st_size
            return lambda read, _total: progress.update(task, completed=before + read, description=path.name)

        yield advance


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Millions of rows and not one cycle among them: collecting costs a fifth of the import and frees nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fail_if_little_came(summary: dict[str, Any], broken: list[tuple[Path, BrokenLine]]) -> None:
    """A broken line among good ones is no failure; half a file, or one without a single good line, is."""
    for path, line in broken:
        if line.cut_off:
            raise Failed(f"{path} breaks off after line {line.line_number}: what came before it is imported")
    if summary["files"] and not summary["rows"]:
        raise Failed("no line of price history could be used")
    if summary.get("ondemand_prices") == 0:
        raise Failed("no line of on-demand prices could be used")


def _tell(summary: dict[str, Any], broken: list[tuple[Path, BrokenLine]]) -> None:
    for path, line in broken[:_SHOWN]:
        warn(f"{path}, line {line.line_number}: {line.reason}")
    if len(broken) > _SHOWN:
        warn(f"… and {len(broken) - _SHOWN} more broken lines")
    if summary["files"]:
        say(
            f"{_many(summary['rows'], 'row')} of {_many(summary['files'], 'file')} in {summary['seconds']:.1f} s "
            f"({summary['rows_per_second']} rows/s): {summary['stored']} stored; {summary['unchanged']} repeat "
            f"a price that is known or a run of the same price; {_many(len(broken), 'broken line')} left out."
        )
    if "ondemand_prices" in summary:
        say(f"{_many(summary['ondemand_prices'], 'on-demand price')}.")


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
