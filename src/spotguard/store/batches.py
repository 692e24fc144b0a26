"""`IN` lists of one length: a statement whose list grows and shrinks is written and prepared anew at every call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

SIZE = 20


def batch_of(column: sa.ColumnElement[Any]) -> list[sa.BindParameter[Any]]:
    """What `column.in_()` takes in a statement that is executed with each of `batched(values)`."""
    return [sa.bindparam(f"in_{place}", type_=column.type) for place in range(SIZE)]


def batched(values: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """The values as bound parameters, `SIZE` at a time; the last batch is filled up with its last value."""
    for start in range(0, len(values), SIZE):
        some = values[start : start + SIZE]
        yield {f"in_{place}": some[min(place, len(some) - 1)] for place in range(SIZE)}
