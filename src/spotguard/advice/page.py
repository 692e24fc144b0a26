"""The frame of an HTML report: one file that asks for nothing from anywhere, and its tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib import resources

from spotguard import __version__
from spotguard.advice.markup import Html, element, joined, void
from spotguard.domain.clock import rfc3339

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@cache
def _style() -> Html:
    text = resources.files("spotguard.advice").joinpath("page.css").read_text(encoding="utf-8")
    return Html(f"<style>{text}</style>")


def page(title: str, now: datetime, *parts: str) -> str:
    head = element(
        "head",
        void("meta", charset="utf-8"),
        void("meta", name="viewport", content="width=device-width, initial-scale=1"),
        void("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        void("meta", name="referrer", content="no-referrer"),
        element("title", title),
        _style(),
    )
    made = (
        f"Made by spotguard {__version__} at {rfc3339(now)}. Nothing in this file is fetched from anywhere."
    )
    body = element("body", element("main", *parts, element("footer", element("p", made))))
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def section(title: str, *parts: str) -> Html:
    return element("section", element("h2", title), *parts)


def card(name: str, value: str, small: str = "") -> Html:
    """One figure of a `dl`."""
    parts = [value, element("small", small)] if small else [value]
    return element("div", element("dt", name), element("dd", *parts))


def table(
    caption: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    chosen: Sequence[bool] = (),
    words: frozenset[int] = frozenset(),
) -> Html:
    """The first cell of a row is its heading. Roles are said again, as narrow screens show rows as blocks.

    `chosen`: rows that are set off; `words`: columns of sentences.
    """
    head = element(
        "tr", *(element("th", name, scope="col", role="columnheader") for name in heads), role="row"
    )
    marks = chosen or [False] * len(rows)
    body = [_row(heads, row, words, marked=marked) for row, marked in zip(rows, marks, strict=True)]
    return element(
        "table",
        element("caption", caption),
        element("thead", head, role="rowgroup"),
        element("tbody", *body, role="rowgroup"),
        role="table",
    )


def _row(heads: Sequence[str], row: Sequence[str], words: frozenset[int], *, marked: bool) -> Html:
    cells = [
        element("th", cell, scope="row", role="rowheader")
        if n == 0
        else element("td", cell, role="cell", data_label=heads[n], class_="words" if n in words else None)
        for n, cell in enumerate(row)
    ]
    return element("tr", *cells, role="row", class_="chosen" if marked else None)


def notes(sentences: Sequence[str]) -> Html:
    return element("ul", *(element("li", one) for one in sentences), class_="notes")


def named(name: str, what: str) -> Html:
    """A heading with a line of explanation."""
    return joined(name, element("small", what))
