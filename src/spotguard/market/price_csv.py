"""Spot price history as CSV: the columns of `aws ec2 describe-spot-price-history`, in any order, others ignored."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from operator import itemgetter

from spotguard.domain.clock import LATEST
from spotguard.domain.errors import InvalidInput
from spotguard.market.cells import Cells
from spotguard.market.files import LONGEST_LINE
from spotguard.market.rows import Batch, BrokenLine, PriceRow

COLUMNS = ("Timestamp", "InstanceType", "AvailabilityZone", "ProductDescription", "SpotPrice")

_Pick = Callable[[list[str]], Sequence[str]]


def csv_batches(pieces: Iterator[str], not_after: datetime = LATEST) -> Iterator[Batch]:
    """One batch a piece. `InvalidInput` when the first line does not name the columns."""
    cells, line_number, overlong = Cells(not_after), 1, False
    header, pick = "", itemgetter(*range(len(COLUMNS)))
    for piece in pieces:
        lines = piece.replace("\r\n", "\n").split("\n")
        if overlong:
            del lines[0]  # the rest of a line that was reported already
        overlong = not piece.endswith("\n")
        if lines and not lines[-1]:
            del lines[-1]
        if not header and lines:
            header = lines.pop(0)
            pick, line_number = itemgetter(*columns_of(split(header), COLUMNS)), 2
        yield _batch(lines, line_number, header, pick, cells)
        line_number += len(lines)
    if not header:
        raise InvalidInput("the file is empty")


def _batch(lines: list[str], first_number: int, header: str, pick: _Pick, cells: Cells) -> Batch:
    # The one hot loop of the importer: a row that looks like the ones before costs four look-ups and one time.
    batch = Batch()
    keep, pools, prices, moment = batch.rows.append, cells.pools, cells.prices, cells.moment
    for line_number, line in enumerate(lines, first_number):
        try:
            at, instance_type, az, product, price = pick(line.split(",") if '"' not in line else split(line))
            keep(
                PriceRow(
                    pools.get((instance_type, az, product)) or cells.pool(instance_type, az, product),
                    moment(at),
                    prices.get(price) or cells.price(price),
                )
            )
        except (InvalidInput, IndexError) as error:
            if line.strip() and line != header:  # `cat a.csv b.csv` repeats the header
                batch.broken.append(BrokenLine(line_number, reason_of(error, line)))
    return batch


def split(line: str) -> list[str]:
    """The cells of one line; a quote that is never closed spoils this line only."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        seen, _, _hint = str(error).partition(" - ")  # a hint is for who writes Python
        raise InvalidInput(f"not a CSV line: {seen}") from error


def reason_of(error: Exception, line: str) -> str:
    if len(line) > LONGEST_LINE:
        return "the line is too long"
    return "too few columns" if isinstance(error, IndexError) else str(error)


def columns_of(header: list[str], wanted: tuple[str, ...]) -> list[int]:
    """Where the wanted columns stand; `InvalidInput` names those that are missing or doubled."""
    names = [name.strip() for name in header]
    odd = [name for name in wanted if names.count(name) != 1]
    if odd:
        if len(odd) == len(wanted):
            raise InvalidInput(f"the first line is no header with the columns {', '.join(wanted)}")
        raise InvalidInput(f"the header names {', '.join(odd)} not at all, or twice")
    return [names.index(name) for name in wanted]
