"""Spot price history as JSON: the answer of `aws ec2 describe-spot-price-history` (one page or many), a bare list,
or a row a line.

Rows are flat objects, so they are found by their braces while the text streams by; nothing nested is ever parsed,
hence neither depth nor size of a hostile file matters. After a broken row reading goes on at the next brace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from spotguard.domain.clock import LATEST
from spotguard.domain.errors import InvalidInput
from spotguard.market.cells import Cells
from spotguard.market.files import LONGEST_LINE
from spotguard.market.price_csv import COLUMNS
from spotguard.market.rows import Batch, BrokenLine, PriceRow

_ROW = re.compile(r"\{[^{}\[\]]*\}")
_BETWEEN_ROWS = re.compile(
    r'(?:[\s,\[\]{}]|"SpotPriceHistory"\s*:|"NextToken"\s*:\s*(?:"[^"]*"|null)|"ResponseMetadata"\s*:)*'
)
_ANY_MARK = re.compile(r'"SpotPrice(?:History)?"')


def json_batches(pieces: Iterator[str], not_after: datetime = LATEST) -> Iterator[Batch]:
    """One batch a piece. `InvalidInput` when the beginning shows no price history."""
    cells, line_number, rest, known = Cells(not_after), 1, "", False
    for piece in pieces:
        text = rest + piece
        if not known and _ANY_MARK.search(text) is None:
            raise InvalidInput('neither "SpotPriceHistory" nor rows with "SpotPrice" at the beginning')
        known = True
        batch, taken = _batch(text, line_number, cells)
        line_number += text.count("\n", 0, taken)
        rest = text[taken:]
        yield batch
    if rest.strip():
        yield Batch(broken=[*_odd(rest, line_number, "the file is cut off")])


def _batch(text: str, line_number: int, cells: Cells) -> tuple[Batch, int]:
    """The complete rows, and how much of the text they took; the rest waits for the next piece."""
    batch, taken = Batch(), 0
    for found in _ROW.finditer(text):
        batch.broken.extend(_odd(text[taken : found.start()], line_number, "not a row"))
        line_number += text.count("\n", taken, found.start())
        try:
            batch.rows.append(_row(found[0], cells))
        except InvalidInput as error:
            batch.broken.append(BrokenLine(line_number, str(error)))
        line_number += text.count("\n", found.start(), found.end())
        taken = found.end()
    if len(text) - taken > LONGEST_LINE:
        batch.broken.extend(_odd(text[taken:], line_number, "not a row"))
        taken = len(text)
    return batch, taken


def _row(text: str, cells: Cells) -> PriceRow:
    try:
        row = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"not JSON: {str(error)[:80]}") from error
    at, instance_type, az, product, price = [_cell(row, column) for column in COLUMNS]
    return PriceRow(
        cells.pools.get((instance_type, az, product)) or cells.pool(instance_type, az, product),
        cells.moment(at),
        cells.prices.get(price) or cells.price(price),
    )


def _cell(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if isinstance(value, str):
        return value
    if column == "SpotPrice" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput(f"{column} is missing" if value is None else f"{column} is not a text")


def _odd(between: str, line_number: int, reason: str) -> Iterator[BrokenLine]:
    rest = between[_match_end(between) :]
    if rest.strip():
        where = line_number + between.count("\n", 0, len(between) - len(rest))
        yield BrokenLine(where, f"{reason}: {rest.strip()[:40]!r}")


def _match_end(between: str) -> int:
    found = _BETWEEN_ROWS.match(between)
    return found.end() if found is not None else 0
