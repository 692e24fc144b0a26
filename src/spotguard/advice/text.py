"""An advice as a short text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from spotguard.advice import words
from spotguard.advice.advise import Advice
from spotguard.advice.market import Kind

WIDTH = 110
_INDENT = 11


def lines(advice: Advice) -> Iterator[str]:
    yield (
        f"{advice.instance_type} in {advice.region}: {words.usd(advice.ondemand_usd)} USD on demand in 30 days "
        f"({advice.ondemand_usd_per_hour:.4f} an hour)"
    )
    yield from said("replayed", words.replayed(advice))
    yield from said("counted", words.minute(advice.wish, advice.minute_usd))
    yield ""
    yield from said(
        "ADVICE", f"{words.PLAN[advice.plan]}. {words.sentence(advice.because)}.{words.begin(advice)}"
    )
    yield from said("saving", words.saving(advice))
    yield from said("", words.against_plan(advice))
    yield from said("downtime", words.interruptions(advice.interruptions))
    if advice.most_interruptions is not None:
        yield from said("", f"spot pays below {advice.most_interruptions:.1f} interruptions in 30 days")
    yield from said("standby", f"{words.standby(advice)}; {words.break_even(advice)}")
    yield ""
    yield from _pools(advice)
    yield ""
    yield from _policies(advice)
    yield ""
    for remark in advice.remarks:
        yield from said("note", remark)


def said(head: str, sentence: str) -> Iterator[str]:
    """A head and its sentence, wrapped beside it."""
    first, *more = wrap(sentence, WIDTH - _INDENT, break_on_hyphens=False) or [""]
    yield f"{head:<{_INDENT}}{first}".rstrip()
    yield from (" " * _INDENT + line for line in more)


def columns(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> Iterator[str]:
    """A table; the first `left` columns are words, the others figures."""
    widths = [max(len(row[n]) for row in [heads, *rows]) for n in range(len(heads))]
    for row in [heads, *rows]:
        cells = [
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _pools(advice: Advice) -> Iterator[str]:
    if not advice.recommended:
        yield "no pool is recommended"
        return
    rows = [
        (
            offer.pool.id,
            "unknown" if offer.usd_per_hour is None else f"{offer.usd_per_hour:.4f}",
            "unknown" if offer.ondemand_share is None else words.percent(offer.ondemand_share),
            words.span(offer.held_seconds),
            words.steadiness(offer),
            words.bucket(offer),
        )
        for offer in advice.recommended
    ]
    heads = ("best pools", "USD/h", "of on demand", "held for", "last 30 days, USD/h", "interrupted")
    yield from columns(heads, rows)
    others = len(advice.offers) - len(rows)
    if others:
        yield f"{others} more pools are known (--json, --html)"


def _policies(advice: Advice) -> Iterator[str]:
    rows = [
        (
            figures.name,
            words.usd(figures.cost_usd.value),
            words.usd(figures.saving_usd.value),
            words.between(figures.saving_usd),
            words.moves(figures),
            words.count(figures.interruptions),
            f"{figures.minutes_down.value:.1f}",
        )
        for figures in advice.policies
    ]
    plan = words.usd(advice.savings_plan_usd)
    saved = words.usd(advice.ondemand_usd - advice.savings_plan_usd)
    rows.insert(1, ("savings-plan", plan, saved, "-", "0.00", "0.00", "0.0"))
    yield from columns(
        ("in 30 days", "USD", "saved", "95 %", "moves", "interrupted", "min down"),
        rows,
    )
    alone = (
        "" if advice.market.kind is Kind.AVAILABILITY else "; minutes down are those of planned moves alone"
    )
    yield f"engine: SpotGuard{alone}"
