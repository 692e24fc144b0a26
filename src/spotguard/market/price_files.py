"""Reads spot price history from a file: CSV or JSON, plain or gzip, told apart by their first bytes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

from spotguard.domain.clock import LATEST
from spotguard.domain.errors import InvalidInput
from spotguard.market.files import CutOff, text_pieces
from spotguard.market.price_csv import csv_batches
from spotguard.market.price_json import json_batches
from spotguard.market.rows import Batch, BrokenLine, Progress

CLOCKS_APART = timedelta(hours=1)  # of whoever wrote a file and of whoever reads it, at the most


def read_price_history(
    path: Path, on_progress: Progress | None = None, *, not_after: datetime = LATEST
) -> Iterator[Batch]:
    """Rows and broken lines, batch by batch, in the order of the file.

    A broken line is reported and the rest is kept; so is everything before the place where a gzip file breaks off.
    `InvalidInput` when the file as a whole is not a price history. `on_progress(done, total)` counts bytes on disk.
    A row later than `not_after` is a broken line: whoever takes its price for the newest never sees a true one again.
    """
    pieces = text_pieces(path, on_progress)
    lines = 1
    cut: list[CutOff] = []
    try:
        first = next(pieces, "")
    except CutOff as error:
        raise InvalidInput(f"{path}: {error}") from error
    read = json_batches if first.lstrip().startswith(("{", "[")) else csv_batches

    def counted() -> Iterator[str]:
        nonlocal lines
        try:
            for piece in chain([first], pieces):
                lines += piece.count("\n")
                yield piece
        except CutOff as error:
            cut.append(error)

    try:
        yield from read(counted(), not_after)
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    if cut:
        yield Batch(broken=[BrokenLine(lines, str(cut[0]), cut_off=True)])
