"""Two pictures as SVG: price paths with where the workload served, and what each policy cost, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

from spotguard.advice.advise import Advice
from spotguard.advice.figures import Estimate
from spotguard.advice.markup import Html, element, joined
from spotguard.advice.paths import Path, Picture

WIDE, NARROW = 720.0, 328.0
COLOURS = 8  # classes c0 … c7 of page.css, each with its own dashes
_HEIGHT = 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 8.0, 10.0, 26.0
_ROW = 46.0
_BAR = 14.0
_LABEL_PX = 64.0  # of a date, with room beside it


@dataclass(frozen=True)
class _Frame:
    """From moments and prices to pixels."""

    start: float
    end: float
    top_usd: float
    width: float

    def x(self, at: float) -> float:
        share = (min(max(at, self.start), self.end) - self.start) / max(1.0, self.end - self.start)
        return _LEFT + share * (self.width - _LEFT - _RIGHT)

    def y(self, usd: float) -> float:
        return _HEIGHT - _BOTTOM - usd / self.top_usd * (_HEIGHT - _TOP - _BOTTOM)


def price_chart(picture: Picture, width: float) -> Html:
    """Steps of each pool; the wide pale line is where it served. Dashed: on demand."""
    prices = [usd for _, path in picture.paths for _, usd in path if usd is not None]
    frame = _Frame(picture.start, picture.end, 1.08 * max([picture.ondemand_usd, *prices]), width)
    level = frame.y(picture.ondemand_usd)
    return _picture(
        width,
        _HEIGHT,
        f"Price paths of {len(picture.paths)} pools; the wide pale line is where policy {picture.policy} served.",
        *_usd_axis(frame),
        *_date_axis(frame),
        *(_line("serving", frame, one.path, one.until) for one in picture.serving),
        element("line", class_="ondemand", x1=_LEFT, x2=width - _RIGHT, y1=level, y2=level),
        *(
            _line(f"path c{number % COLOURS}", frame, path, picture.end)
            for number, (_, path) in enumerate(picture.paths)
        ),
    )


def _line(name: str, frame: _Frame, path: Path, until: float) -> Html:
    """A step function up to `until`; unknown prices leave a gap."""
    told: list[str] = []
    for number, (at, usd) in enumerate(path):
        if usd is None:
            continue
        ends = path[number + 1][0] if number + 1 < len(path) else until
        joins = told and path[number - 1][1] is not None
        told.append(f"{'V' if joins else f'M{frame.x(at):.1f} '}{frame.y(usd):.1f}H{frame.x(ends):.1f}")
    return element("path", class_=name, d="".join(told)) if told else Html("")


def _usd_axis(frame: _Frame) -> Iterator[Html]:
    step = _round_step(frame.top_usd / 4)
    for number in range(int(frame.top_usd / step) + 1):
        usd = number * step
        level = frame.y(usd)
        yield element("line", class_="grid", x1=_LEFT, x2=frame.width - _RIGHT, y1=level, y2=level)
        yield element("text", f"{usd:.10g}", class_="tick", x=_LEFT - 6, y=level + 4, text_anchor="end")


def _date_axis(frame: _Frame) -> Iterator[Html]:
    most = max(2, int((frame.width - _LEFT - _RIGHT) // _LABEL_PX))
    days = max(1, ceil((frame.end - frame.start) / 86_400 / most))
    first = (frame.start // 86_400 + 1) * 86_400
    at = first
    while at < frame.end:
        x = frame.x(at)
        if _LEFT + 16 <= x <= frame.width - _RIGHT - 16:
            name = f"{datetime.fromtimestamp(at, UTC):%d %b}"
            yield element("text", name, class_="tick", x=x, y=_HEIGHT - 8, text_anchor="middle")
        yield element("line", class_="grid", x1=x, x2=x, y1=_HEIGHT - _BOTTOM, y2=_HEIGHT - _BOTTOM + 4)
        at += days * 86_400


def _round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, at least so much."""
    power = 10.0 ** int(f"{least:e}".partition("e")[2])
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)


@dataclass(frozen=True)
class _Bar:
    name: str
    usd: Estimate


def cost_chart(advice: Advice, width: float) -> Html:
    """A bar for each policy, its 95 % interval, and what on-demand costs as a dashed line."""
    bars = list(_bars(advice))
    most = max(value for bar in bars for value in (bar.usd.value, bar.usd.high or 0.0))
    height = _ROW * len(bars) + 8

    def x(usd: float) -> float:
        return 2 + usd / most * (width - 6)

    level = x(advice.ondemand_usd)
    return _picture(
        width,
        height,
        f"Cost in 30 days of {len(bars)} policies; the same figures are in the table below.",
        element("line", class_="ondemand", x1=level, x2=level, y1=0.0, y2=height),
        *(part for number, bar in enumerate(bars) for part in _bar(bar, x, 4 + number * _ROW)),
    )


def _bars(advice: Advice) -> Iterator[_Bar]:
    for figures in advice.policies:
        yield _Bar(figures.name, figures.cost_usd)
        if figures.name == "on-demand":
            yield _Bar("savings-plan", Estimate(advice.savings_plan_usd, None, None))


def _bar(bar: _Bar, x: Callable[[float], float], top: float) -> Iterator[Html]:
    kind = "engine" if bar.name == "engine" else "bound" if bar.name == "clairvoyant" else "rule"
    yield element("text", f"{bar.name}: {bar.usd.value:,.2f} USD", x=2, y=top + 12)
    yield element(
        "rect", class_=f"bar {kind}", x=2, y=top + 18, width=max(1.0, x(bar.usd.value) - 2), height=_BAR
    )
    if bar.usd.low is not None and bar.usd.high is not None:
        middle = top + 18 + _BAR / 2
        low, high = x(bar.usd.low), x(bar.usd.high)
        ends = f"M{low:.1f} {middle - 6:.1f}V{middle + 6:.1f}M{high:.1f} {middle - 6:.1f}V{middle + 6:.1f}"
        yield element("path", class_="whisker", d=f"{ends}M{low:.1f} {middle:.1f}H{high:.1f}")


def _picture(width: float, height: float, label: str, *parts: str) -> Html:
    return element(
        "svg",
        element("title", label),
        *parts,
        class_="wide" if width == WIDE else "narrow",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        role="img",
        aria_label=label,
        preserveAspectRatio="xMidYMid meet",
    )


def both_widths(draw: Callable[[float], Html]) -> Html:
    """One for screens with room and one for telephones: text in a picture that is scaled down cannot be read."""
    return joined(draw(WIDE), draw(NARROW))


def legend(names: Sequence[str]) -> Html:
    """What each line of `price_chart` is."""
    return element(
        "ul",
        *(
            element("li", _swatch(f"path c{number % COLOURS}"), f" {name}")
            for number, name in enumerate(names)
        ),
        element("li", _swatch("serving"), " where it served"),
        element("li", _swatch("ondemand"), " on demand"),
        class_="legend",
    )


def _swatch(name: str) -> Html:
    line = element("line", class_=name, x1=0.0, x2=28.0, y1=6.0, y2=6.0)
    return element("svg", line, viewBox="0 0 28 12", width=28.0, height=12.0, aria_hidden="true")
