"""Pages of lists: newest first by time and id, with an opaque cursor that is checked."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from spotguard.domain.clock import parse_time, rfc3339
from spotguard.domain.errors import InvalidInput

HIGHEST_LIMIT = 500
_LONGEST_CURSOR = 400
_CURSOR: msgspec.json.Decoder[list[str]] = msgspec.json.Decoder(list[str])


@dataclass(frozen=True)
class Page:
    """Rows, and where the next page begins (None: there is none)."""

    rows: list[Any]
    next_cursor: str | None


@dataclass(frozen=True)
class Asked:
    """How much of a list is wanted, from where."""

    limit: int = 100
    cursor: str | None = None


def encode_cursor(*parts: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(cursor: str, parts: int) -> list[str]:
    """`InvalidInput` for anything that we did not give out."""
    wrong = InvalidInput("this cursor is not one that the server gave: begin again without it")
    if len(cursor) > _LONGEST_CURSOR or not cursor.isascii():
        raise wrong
    try:
        decoded = _CURSOR.decode(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise wrong from error
    if len(decoded) != parts:
        raise wrong
    return decoded


def newest_first(
    tx: Connection,
    query: sa.Select[Any],
    at: sa.ColumnElement[datetime],
    row_id: sa.ColumnElement[str],
    asked: Asked,
) -> Page:
    """A page ordered by time then id, both falling. The rows carry them under the columns' names."""
    if asked.cursor is not None:
        last_at_text, last_id = decode_cursor(asked.cursor, 2)
        last_at = parse_time(last_at_text)
        query = query.where(sa.or_(at < last_at, sa.and_(at == last_at, row_id < last_id)))
    rows = list(tx.execute(query.order_by(at.desc(), row_id.desc()).limit(asked.limit + 1)))
    return _cut(rows, asked.limit, lambda row: (rfc3339(_of(row, at)), _of(row, row_id)))


def by_id(
    tx: Connection, query: sa.Select[Any], row_id: sa.ColumnElement[Any], asked: Asked, *, falling: bool
) -> Page:
    """A page ordered by one unique column, a number falling or a text rising."""
    if asked.cursor is not None:
        (last,) = decode_cursor(asked.cursor, 1)
        query = query.where(row_id < _number(last)) if falling else query.where(row_id > last)
    order = row_id.desc() if falling else row_id.asc()
    rows = list(tx.execute(query.order_by(order).limit(asked.limit + 1)))
    return _cut(rows, asked.limit, lambda row: (str(_of(row, row_id)),))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004 -- fits a BIGINT
        raise InvalidInput("this cursor is not one that the server gave: begin again without it")
    return int(text)


def _of(row: Any, column: sa.ColumnElement[Any]) -> Any:
    return getattr(row, str(getattr(column, "name", None) or column.key))


def _cut(rows: list[Any], limit: int, key: Any) -> Page:
    if len(rows) <= limit:
        return Page(rows, None)
    kept = rows[:limit]
    return Page(kept, encode_cursor(*key(kept[-1])))
