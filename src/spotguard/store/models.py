"""The registry of learned models: a step of a life is one conditional update, written down with who made it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from spotguard.domain.errors import IllegalMove, NotFound, Refused
from spotguard.domain.ids import ClientId
from spotguard.domain.models import MODEL_LIFE, ON_DUTY, ModelName, ModelState, checked_name, label
from spotguard.store import events
from spotguard.store.secrets import new_id
from spotguard.store.tables import clients, model_moves, models

Row = sa.Row[Any]
NEWEST_MOVE = sa.select(sa.func.max(model_moves.c.id)).scalar_subquery()
"""NULL: no model was ever registered. It grows with every step of any model's life."""

_WITHOUT_CARD = [column for column in models.c if column is not models.c.card]


def register(
    tx: sa.Connection, now: datetime, *, name: str, sha256: str, card: dict[str, Any], by: str
) -> Row:
    """The next version of this name. `Refused`: this very file is registered already."""
    checked_name(name)
    same = tx.execute(
        sa.select(models.c.name, models.c.version, models.c.state).where(
            models.c.file_sha256 == sha256, models.c.state != ModelState.REJECTED.value
        )
    ).first()
    if same is not None:
        raise Refused(f"this file is registered as {label(same.name, same.version)} already ({same.state})")
    version = (tx.scalar(sa.select(sa.func.max(models.c.version)).where(models.c.name == name)) or 0) + 1
    model_id = new_id()
    row = {
        "id": model_id,
        "name": name,
        "version": version,
        "file_sha256": sha256,
        "card": card,
        "state": ModelState.REGISTERED.value,
        "registered_at": now,
        "state_at": now,
        "state_by": by,
    }
    tx.execute(sa.insert(models), row)
    _write_move(tx, now, model_id, None, ModelState.REGISTERED, by, "registered", forced=False)
    return get(tx, model_id)


def move(
    tx: sa.Connection,
    now: datetime,
    row: Row,
    wanted: ModelState,
    *,
    by: str,
    because: str,
    forced: bool = False,
) -> Row:
    """One step from what was seen. `IllegalMove`: there is no such step, or somebody else was first."""
    seen = ModelState(row.state)
    MODEL_LIFE.require(seen, wanted)
    changed = tx.execute(
        sa.update(models)
        .where(models.c.id == row.id, models.c.state == seen.value)
        .values(
            state=wanted.value,
            duty=wanted.value if wanted in ON_DUTY else None,
            state_at=now,
            state_by=by,
        )
    )
    if changed.rowcount != 1:
        raise IllegalMove(f"{label_of(row)} is not {seen} any more: somebody else was first")
    _write_move(tx, now, row.id, seen, wanted, by, because, forced=forced)
    if ModelState.ACTIVE in (seen, wanted):
        _tell_everybody(tx, now, row, wanted, because)
    return get(tx, row.id)


def named(tx: sa.Connection, asked: ModelName, wanted: ModelState) -> Row:
    """The newest of that name that may become `wanted`; the one version, if it was named."""
    found = tx.execute(
        sa.select(*_WITHOUT_CARD).where(models.c.name == asked.name).order_by(models.c.version.desc())
    ).all()
    rows = [row for row in found if asked.version in (None, row.version)]
    if not rows:
        raise NotFound(f"there is no model {asked.name}: spotguard model list shows them")
    fit = [row for row in rows if MODEL_LIFE.may(ModelState(row.state), wanted)]
    if not fit:
        states = ", ".join(f"{label_of(row)} is {row.state}" for row in rows[:3])
        before = " or ".join(MODEL_LIFE.origins(wanted))
        raise Refused(f"{states}: it has to be {before} to become {wanted}")
    return fit[0]


def on_duty(tx: sa.Connection) -> dict[ModelState, Row]:
    """The active one and the one in shadow, where there are."""
    rows = tx.execute(sa.select(*_WITHOUT_CARD).where(models.c.duty.is_not(None))).all()
    return {ModelState(row.state): row for row in rows}


def every(tx: sa.Connection) -> Sequence[Row]:
    """All that was ever registered, cards included, newest last."""
    return tx.execute(
        sa.select(models).order_by(models.c.registered_at, models.c.name, models.c.version)
    ).all()


def newest_moves(tx: sa.Connection) -> dict[str, Row]:
    """By model: how it came to its state."""
    newest = sa.select(sa.func.max(model_moves.c.id)).group_by(model_moves.c.model_id)
    rows = tx.execute(sa.select(model_moves).where(model_moves.c.id.in_(newest))).all()
    return {row.model_id: row for row in rows}


def get(tx: sa.Connection, model_id: str) -> Row:
    return tx.execute(sa.select(models).where(models.c.id == model_id)).one()


def label_of(row: Row) -> str:
    return label(row.name, row.version)


def _write_move(
    tx: sa.Connection,
    now: datetime,
    model_id: str,
    seen: ModelState | None,
    wanted: ModelState,
    by: str,
    because: str,
    *,
    forced: bool,
) -> None:
    row = {
        "model_id": model_id,
        "at": now,
        "moved_by": by,
        "from_state": None if seen is None else seen.value,
        "to_state": wanted.value,
        "because": because,
        "forced": forced,
    }
    tx.execute(sa.insert(model_moves), row)


def _tell_everybody(tx: sa.Connection, now: datetime, row: Row, wanted: ModelState, because: str) -> None:
    """Whose risks decide is every tenant's matter; who turned it is not."""
    is_on = wanted is ModelState.ACTIVE
    message = f"{label_of(row)} {'judges risks from now on' if is_on else 'judges risks no more'}: {because}"
    detail = {"model": label_of(row), "state": wanted.value}
    for client_id in tx.scalars(sa.select(clients.c.id)).all():
        events.append(tx, now, ClientId(client_id), None, f"model_{wanted.value}", message, detail)
