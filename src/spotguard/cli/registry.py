"""The registry of learned models: `spotguard model register`, `list`, `shadow`, `activate`, `retire`.

Whoever may open the database is the operator: tenants see whose risks decide, and turn nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spotguard.cli.databases import DatabaseUrl, opened
from spotguard.cli.extras import require_extra
from spotguard.cli.operators import user
from spotguard.cli.output import Failed, Json, options_mended, print_json, say, say_table, warn
from spotguard.config import load_settings
from spotguard.domain.clock import rfc3339
from spotguard.domain.errors import BadSetting, Refused, SpotGuardError
from spotguard.domain.models import ModelName, ModelState, checked_name, label, parse_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from spotguard.planning.trials import Judgement
    from spotguard.store.database import Database
    from spotguard.store.judges import Judge
    from spotguard.store.trials import Choices


def _labels(incomplete: str) -> list[str]:
    """For the shell's completion; where no database can be read there is nothing to offer."""
    from sqlalchemy.exc import SQLAlchemyError

    from spotguard.store import models

    try:
        with opened(None) as database:
            rows = database.read(models.every)
    except (SpotGuardError, SQLAlchemyError, OSError):
        return []
    return [told for row in rows if (told := models.label_of(row)).startswith(incomplete)]


Named = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        autocompletion=_labels,
        help="NAME, its newest version that may do this, or NAME@VERSION.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Reason = Annotated[str | None, typer.Option(help="Why: it is what the next person reads.")]


def register(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="what spotguard train wrote")],
    *,
    name: Annotated[
        str | None, typer.Option(help="What people call it; without it: the file's name.")
    ] = None,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Copy a model file into the model folder and make it known, as the next version of its name. It decides nothing.

    The file is opened first: one that is corrupt, holds a strange type, or was made for another release is refused.
    """
    require_extra("training", "skops")
    from spotguard.models.shelf import Shelf, offered
    from spotguard.store import models

    with options_mended():
        called = checked_name(file.name.partition(".")[0].lower() if name is None else name)
    found = offered(file)
    with opened(database_url) as database:
        if dry_run:
            row = _undone(database, lambda tx: _registered(tx, called, found.sha256, found.card))
        else:
            # the file first: a row without its file would be a model that nobody can ask
            Shelf(load_settings().model_folder).put(found)
            row = database.write(lambda tx: _registered(tx, called, found.sha256, found.card))
    told = {
        "model": models.label_of(row),
        "state": row.state,
        "file_sha256": found.sha256,
        "dry_run": dry_run,
    }
    if json:
        print_json(told)
        return
    say(f"{told['model']} {'would be' if dry_run else 'is'} registered; sha256 {found.sha256}")


def list_all(*, database_url: DatabaseUrl = None, json: Json = False) -> None:
    """Every model that was ever registered, and how the one in shadow does on live outcomes."""
    from spotguard.store import models, trials

    def read(tx: Connection) -> tuple[list[dict[str, Any]], tuple[Judgement, Choices] | None]:
        moves = models.newest_moves(tx)
        told = [_told(row, moves[row.id]) for row in models.every(tx)]
        shadow = models.on_duty(tx).get(ModelState.SHADOW)
        if shadow is None:
            return told, None
        return told, (_judged(tx, shadow), trials.choices(tx, shadow.id))

    with opened(database_url) as database:
        rows, trial = database.read(read)
    if json:
        print_json({"models": rows, "trial": None if trial is None else vars(trial[0]) | vars(trial[1])})
        return
    heads = ("MODEL", "STATE", "SINCE", "BY", "SHA256", "BECAUSE")
    say_table(
        heads,
        [
            (
                one["model"],
                one["state"],
                rfc3339(one["since"]),
                one["by"],
                one["file_sha256"][:12],
                one["because"],
            )
            for one in rows
        ],
    )
    if trial is not None:
        _say_trial(*trial)


def shadow(
    name: Named,
    *,
    reason: Reason = None,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Put a model on trial: it decides beside the present one, is compared with what happens, and does nothing."""

    def work(tx: Connection) -> Any:
        from spotguard.store import models

        row = models.named(tx, _parsed(name), ModelState.SHADOW)
        there = models.on_duty(tx).get(ModelState.SHADOW)
        if there is not None:
            raise Refused(f"{models.label_of(there)} is in shadow: retire it first")
        found = _opened(row)
        if found.for_good:
            return models.move(tx, _now(), row, ModelState.REJECTED, by=user(), because=str(found.flaw))
        _require_sound(found)
        because = reason or "put on trial"
        return models.move(tx, _now(), row, ModelState.SHADOW, by=user(), because=because)

    _move(work, dry_run=dry_run, database_url=database_url, json=json)


def activate(
    name: Named,
    *,
    force: Annotated[
        str | None,
        typer.Option(
            metavar="REASON", help="Although its live outcomes do not speak for it; recorded as such."
        ),
    ] = None,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Let the model in shadow judge risks from now on; the present one is retired.

    Refused unless it has beaten the present one on live outcomes: enough of them, and clearly.
    """

    def work(tx: Connection) -> Any:
        from spotguard.store import models

        row = models.named(tx, _parsed(name), ModelState.ACTIVE)
        judged = _judged(tx, row)
        if not judged.beats and force is None:
            raise Refused(
                f"{models.label_of(row)} has not beaten the present one: {judged.because} (--force REASON)"
            )
        _require_sound(_opened(row))
        because = judged.because if force is None else f"forced: {force}; {judged.because}"
        present = models.on_duty(tx).get(ModelState.ACTIVE)
        if present is not None:
            why = f"{models.label_of(row)} takes its place"
            models.move(tx, _now(), present, ModelState.RETIRED, by=user(), because=why)
        forced = not judged.beats
        return models.move(tx, _now(), row, ModelState.ACTIVE, by=user(), because=because, forced=forced)

    if force is not None and not force.strip():
        raise BadSetting("--force needs a reason: it is what the next person reads")
    _move(work, dry_run=dry_run, database_url=database_url, json=json)


def retire(
    name: Named,
    *,
    reason: Reason = None,
    dry_run: DryRun = False,
    database_url: DatabaseUrl = None,
    json: Json = False,
) -> None:
    """Take a model off duty. Without an active model the built-in rule judges risks, as ever."""

    def work(tx: Connection) -> Any:
        from spotguard.store import models

        row = _on_duty_first(tx, _parsed(name))
        return models.move(tx, _now(), row, ModelState.RETIRED, by=user(), because=reason or "retired")

    _move(work, dry_run=dry_run, database_url=database_url, json=json)


def _on_duty_first(tx: Connection, asked: ModelName) -> Any:
    """Of several versions the one on duty: it is what people mean."""
    from spotguard.store import models

    duty = [row for row in models.on_duty(tx).values() if row.name == asked.name]
    if asked.version is None and len(duty) == 1:
        return duty[0]
    if asked.version is None and duty:
        both = " and ".join(models.label_of(row) for row in duty)
        raise Refused(f"{both} are on duty: say which")
    return models.named(tx, asked, ModelState.RETIRED)


def _move(work: Callable[[Connection], Any], *, dry_run: bool, database_url: str | None, json: bool) -> None:
    with opened(database_url) as database:
        row = _undone(database, work) if dry_run else database.write(work)
    told = {"model": label(row.name, row.version), "state": row.state, "dry_run": dry_run}
    if row.state == ModelState.REJECTED.value:
        raise Failed(
            f"{told['model']} {'would be' if dry_run else 'is'} rejected: its file or its age rules it out"
        )
    if json:
        print_json(told)
        return
    if row.state == ModelState.ACTIVE.value:
        warn(
            "Guard-rails, autonomy and the kill switch dispose as before; running coordinators notice within minutes."
        )
    say(f"{told['model']} {'would be' if dry_run else 'is'} {row.state}")


def _undone(database: Database, work: Callable[[Connection], Any]) -> Any:
    """What the work comes to, in a transaction that is rolled back."""

    def tried(tx: Connection) -> Any:
        trial = tx.begin_nested()
        try:
            return work(tx)
        finally:
            trial.rollback()

    return database.write(tried)


def _registered(tx: Connection, name: str, sha256: str, card: dict[str, Any]) -> Any:
    from spotguard.store import models

    return models.register(tx, _now(), name=name, sha256=sha256, card=card, by=user())


def _opened(row: Any) -> Judge:
    """Before it goes on duty: the coordinators would find the same."""
    require_extra("training", "skops")
    from spotguard.models.shelf import Shelf
    from spotguard.store import judges

    told = load_settings()
    return judges.judge(row, _now(), Shelf(told.model_folder, timedelta(days=told.model_stale_days)))


def _require_sound(judge: Judge) -> None:
    if judge.flaw is not None:
        raise Refused(judge.flaw)


def _judged(tx: Connection, row: Any) -> Judgement:
    """Beside whose risks decide now, by the outcomes of all tenants."""
    from spotguard.store import forecasts, models, trials

    active = models.on_duty(tx).get(ModelState.ACTIVE)
    present = forecasts.rule().name if active is None else models.label_of(active)
    return trials.judged(tx, row.id, present)


def _told(row: Any, move: Any) -> dict[str, Any]:
    return {
        "model": label(row.name, row.version),
        "state": row.state,
        "since": row.state_at,
        "by": row.state_by,
        "because": move.because,
        "forced": move.forced,
        "registered_at": row.registered_at,
        "file_sha256": row.file_sha256,
        "card": row.card,
    }


def _say_trial(judged: Judgement, chosen: Choices) -> None:
    say(
        f"in shadow: {judged.outcomes} outcomes ({judged.falls} falls) on {judged.days} days; {judged.because}"
    )
    if judged.present_brier is not None and judged.shadow_brier is not None:
        say(f"Brier score {judged.shadow_brier:.5f}, the present one's {judged.present_brier:.5f}")
    say(f"{chosen.stored} of its choices are stored, {chosen.differing} differ from the present one's")


def _parsed(name: str) -> ModelName:
    with options_mended():
        return parse_name(name)


def _now() -> datetime:
    return datetime.now(UTC)
