"""Tables as CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from spotguard.domain.clock import rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # OWASP: CSV injection


def cell(value: Any) -> str:
    """Empty for unknown; a text that a spreadsheet would take for a formula is quoted with an apostrophe."""
    match value:
        case None:
            return ""
        case datetime():
            return rfc3339(value)
        case Decimal():
            return f"{value:f}"
        case str() if value.startswith(_FORMULA):
            return "'" + value
        case _:
            return str(value)


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(text.getvalue(), headers=headers, media_type="text/csv; charset=utf-8")
