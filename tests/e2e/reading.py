"""What a page shows, cell by cell, and how a figure of the API has to look there; apart from the page's own code."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Locator, Page

from tests.e2e.scene import PATIENCE_MS

ZONE = ZoneInfo("Asia/Kolkata")  # of `scene.viewer`
_CELL = """
(cell) => ({
  text: cell.innerText.replace(/\\s+/g, ' ').trim(),
  money: [...cell.querySelectorAll('[data-exact]')].map((one) => [one.dataset.exact, one.innerText]),
  times: [...cell.querySelectorAll('time')].map((one) => [one.dateTime, one.innerText]),
})
"""
_TABLE = f"""
(label) => {{
  const read = {_CELL};
  const table = document.querySelector(`section[aria-label="${{label}}"] table`);
  if (table === null) return [];
  return [...table.querySelectorAll('tbody tr')].map((row) =>
    Object.fromEntries([...row.querySelectorAll('td')].map((cell) => [cell.dataset.head, read(cell)])));
}}
"""
_FACTS = f"""
(part) => {{
  const read = {_CELL};
  return Object.fromEntries([...part.querySelectorAll('dl.facts > div')].map(
    (one) => [one.querySelector('dt').innerText, read(one.querySelector('dd'))]));
}}
"""


@dataclass(frozen=True)
class Cell:
    """`money`: (exact, as shown) of figures; `times`: (exact, as shown)."""

    text: str
    money: tuple[tuple[str, str], ...]
    times: tuple[tuple[str, str], ...]


Row = Mapping[str, Cell]


def table(page: Page, label: str, count: int) -> list[Row]:
    """Its rows, once there are as many as there have to be."""
    end = time.monotonic() + PATIENCE_MS / 1000
    found = page.evaluate(_TABLE, label)
    while len(found) != count and time.monotonic() < end:
        page.wait_for_timeout(50)
        found = page.evaluate(_TABLE, label)
    assert len(found) == count, (label, len(found), count)
    return [_row(row) for row in found]


def facts(part: Locator) -> Row:
    return _row(part.evaluate(_FACTS))


def _row(cells: Mapping[str, Any]) -> Row:
    return {name: Cell(c["text"], _pairs(c["money"]), _pairs(c["times"])) for name, c in cells.items()}


def _pairs(found: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((exact, shown) for exact, shown in found)


def require_usd(cell: Cell, exact: str | None, places: int = 4) -> None:
    """The figure itself, and its rounding; what is unknown says so."""
    if exact is None:
        assert cell.text == "unknown", cell
        return
    assert cell.money[0] == (exact, usd_text(exact, places)), (cell, exact)


def usd_text(exact: str, places: int) -> str:
    rounded = Decimal(exact).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return f"{'−' if rounded < 0 else ''}${abs(rounded)}"


def require_percent(cell: Cell, exact: float | None, at: int = 0) -> None:
    if exact is None:
        assert cell.text == "unknown", cell
        return
    told, shown = cell.money[at]
    assert float(told) == float(exact), (cell, exact)
    assert abs(float(shown.removesuffix(" %").replace("−", "-")) - float(exact)) <= 0.05 + 1e-9, (cell, exact)


def require_time(cell: Cell, exact: str | None, never: str = "unknown") -> None:
    """In the viewer's zone."""
    if exact is None:
        assert cell.text == never, cell
        return
    here = datetime.fromisoformat(exact).astimezone(ZONE)
    assert cell.times[0] == (exact, f"{here.day} {here:%b %Y, %H:%M:%S}"), (cell, exact)


def require_text(cell: Cell, told: object) -> None:
    assert cell.text == str(told), (cell, told)
