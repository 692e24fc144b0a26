"""Which market the demo plays: real price files, or a labelled synthetic one; which types and hours of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from spotguard.domain.clock import utc
from spotguard.domain.errors import InvalidInput
from spotguard.domain.ids import PoolId
from spotguard.domain.pools import LINUX
from spotguard.market.history import PriceHistory, load_price_history
from spotguard.market.ondemand import of_region, read_ondemand_prices
from spotguard.market.rows import BrokenLine, Progress
from spotguard.market.synthetic import synthetic_market

FEWEST_ZONES = 3  # below that there is nothing to choose from
MOST_TYPES = 12  # agents stay with their type: more would only be carried along
LOOK_BACK = timedelta(days=1)  # prices are known for a while before the demo begins
SYNTHETIC_START = datetime.fromisoformat("2026-01-05T00:00:00+00:00")
PREFERRED_FAMILIES = (
    "c5",
    "m5",
    "r5",
    "t3",
)  # what single servers mostly run on; others when these are absent
PREFERRED_SIZES = ("large", "xlarge", "2xlarge")


@dataclass(frozen=True)
class DemoMarket:
    """One region's prices and the types that the demo's agents run on, in the order in which they are taken."""

    source: str
    region: str
    history: PriceHistory
    ondemand: dict[str, Decimal]
    types: tuple[str, ...]
    start: datetime
    stormy: frozenset[PoolId] | None  # None: the files hold no interruptions, they are drawn
    complaints: tuple[str, ...] = ()  # what the files lack, for whoever gave them


def synthetic(seed: int, days: float) -> DemoMarket:
    made = synthetic_market(seed, SYNTHETIC_START, days + 1)
    region = made.history.pools()[0].region
    ondemand = of_region(made.ondemand, region)
    return DemoMarket(
        source=made.history.source,
        region=region,
        history=made.history,
        ondemand=ondemand,
        types=tuple(ondemand),
        start=SYNTHETIC_START,
        stormy=made.stormy,
    )


def replayed(
    files: Sequence[Path], ondemand_file: Path | None, days: float, on_progress: Progress | None = None
) -> DemoMarket:
    """Replays the region with the most pools. `InvalidInput` says what a file lacks."""
    if ondemand_file is None:
        raise InvalidInput("--prices needs --ondemand: spot price history does not tell on-demand prices")
    history, broken = load_price_history(files, on_progress)
    regions = Counter(pool.region for pool in history.pools() if pool.product == LINUX)
    if not regions or history.span is None:
        raise InvalidInput(f"{history.source}: no Linux/UNIX prices")
    region = regions.most_common(1)[0][0]
    prices, _ = read_ondemand_prices(ondemand_file)
    ondemand = of_region(prices, region)
    known = _playable(_known_since(history.of_region(region)), ondemand, f"{region} in {history.source}")
    complete = _median(known.values())
    start = utc(complete + LOOK_BACK).replace(minute=0, second=0, microsecond=0)
    if start + timedelta(days=days) > history.span[1]:
        held = (history.span[1] - start).total_seconds() / 86_400
        raise InvalidInput(
            f"{history.source} holds {max(held, 0):.1f} days after its first (from {complete:%Y-%m-%d %H:%M} UTC, when "
            f"most prices are known); --days asks for {days:g}"
        )
    types = tuple(sorted((kind for kind, since in known.items() if since <= start), key=_usual))[:MOST_TYPES]
    return DemoMarket(
        source=history.source,
        region=region,
        history=history.of_region(region).of_types(types),
        ondemand={kind: ondemand[kind] for kind in types},
        types=types,
        start=start,
        stormy=None,
        complaints=_complaints(history.source, broken),
    )


def _complaints(source: str, broken: Sequence[BrokenLine]) -> tuple[str, ...]:
    cut = [f"{source} breaks off after line {line.line_number}" for line in broken if line.cut_off]
    odd = len(broken) - len(cut)
    return (*cut, *([f"{source}: {odd} broken line{'s' if odd > 1 else ''} left out"] if odd else []))


def _known_since(history: PriceHistory) -> dict[str, list[datetime]]:
    """By type: since when the price of each zone is known, the earliest first."""
    zones: defaultdict[str, list[datetime]] = defaultdict(list)
    for pool in history.pools():
        if pool.product == LINUX:
            zones[pool.instance_type].append(datetime.fromtimestamp(history.changes_of(pool)[0][0], UTC))
    return {kind: sorted(moments) for kind, moments in zones.items()}


def _playable(known: dict[str, list[datetime]], ondemand: Container[str], where: str) -> dict[str, datetime]:
    """Types with enough priced zones and a known on-demand price: since when they have that many."""
    wide = {kind: zones[FEWEST_ZONES - 1] for kind, zones in known.items() if len(zones) >= FEWEST_ZONES}
    if not wide:
        most = max(len(zones) for zones in known.values())
        raise InvalidInput(
            f"{where}: no type has Linux/UNIX prices in {FEWEST_ZONES} zones, at most in {most}; give files of more"
        )
    priced = {kind: since for kind, since in wide.items() if kind in ondemand}
    if not priced:
        some = ", ".join(sorted(wide, key=_usual)[:3])
        raise InvalidInput(
            f"{where}: --ondemand has no price of this region for any type with {FEWEST_ZONES} zones ({some} …)"
        )
    return priced


def _median(moments: Iterable[datetime]) -> datetime:
    """AWS gives each pool's price in force before the time asked for: a few such rows are weeks older than the rest."""
    ordered = sorted(moments)
    return ordered[len(ordered) // 2]


def _usual(instance_type: str) -> tuple[bool, int, int, str]:
    family, _, size = instance_type.partition(".")
    size_rank = PREFERRED_SIZES.index(size) if size in PREFERRED_SIZES else len(PREFERRED_SIZES)
    family_rank = (
        PREFERRED_FAMILIES.index(family) if family in PREFERRED_FAMILIES else len(PREFERRED_FAMILIES)
    )
    is_unusual = size_rank == len(PREFERRED_SIZES) or family_rank == len(PREFERRED_FAMILIES)
    return is_unusual, size_rank, family_rank, instance_type
