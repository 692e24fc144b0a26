"""What `advise` reads: files, and where none are named the database's own prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from spotguard.cli.databases import opened
from spotguard.domain.errors import BadSetting, InvalidInput, Refused

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spotguard.market.advisor import Snapshot
    from spotguard.market.availability import Availability
    from spotguard.market.history import PriceHistory
    from spotguard.market.ondemand import OndemandPrices
    from spotguard.market.rows import BrokenLine
    from spotguard.market.type_facts import Facts


@dataclass(frozen=True)
class Files:
    """As they were named. `equivalents` False: its own type alone; `older`: those of older generations too."""

    prices: tuple[Path, ...] = ()
    ondemand: Path | None = None
    availability: tuple[Path, ...] = ()
    advisor: Path | None = None
    types: Path | None = None
    equivalents: bool = True
    older: bool = False
    database_url: str | None = None


@dataclass(frozen=True)
class Sources:
    """What was in them. `history` None: prices were neither named nor asked for."""

    history: PriceHistory | None
    availability: Availability | None
    availability_source: str
    ondemand: OndemandPrices
    advisor: Sequence[Snapshot]
    facts: Facts | None
    older: bool = False


def read(files: Files, regions: Sequence[str], now: datetime) -> Sources:
    """`InvalidInput` with the place of the first thing that cannot be read."""
    from spotguard.market.advisor import read_advisor
    from spotguard.market.availability import read_availability

    history = _history(files, regions, now)
    told = regions or sorted({pool.region for pool in (history.pools() if history else ())})
    return Sources(
        history=history,
        availability=read_availability(files.availability) if files.availability else None,
        availability_source=_names(files.availability),
        ondemand=_ondemand(files, told),
        advisor=[] if files.advisor is None else read_advisor(files.advisor),
        facts=_facts(files) if files.equivalents else None,
        older=files.older,
    )


def _history(files: Files, regions: Sequence[str], now: datetime) -> PriceHistory | None:
    from spotguard.market.history import load_price_history
    from spotguard.market.price_files import CLOCKS_APART

    if files.prices:
        history, broken = load_price_history(files.prices, not_after=now + CLOCKS_APART)
        _require_whole(_names(files.prices), broken)
        if not history.pools():
            raise InvalidInput(f"{_names(files.prices)}: no price is in it")
        return history
    return None if files.availability else _fetched(files, regions, now)


def _fetched(files: Files, regions: Sequence[str], now: datetime) -> PriceHistory:
    from spotguard.store.price_history import fetched_history

    if len(regions) != 1:
        raise BadSetting("without --prices the database's are taken, of one --region")
    try:
        with opened(files.database_url) as database:
            history = database.read(lambda tx: fetched_history(tx, now, regions[0]))
    except Refused as error:
        raise BadSetting(f"name price history by --prices, or fetch it first ({error})") from error
    if not history.pools():
        raise BadSetting(
            f"the database has no prices of {regions[0]}: spotguard prices fetch --region {regions[0]} fetches them, "
            "--prices names a file"
        )
    return history


def _ondemand(files: Files, regions: Sequence[str]) -> OndemandPrices:
    from spotguard.market.ondemand import read_ondemand_prices

    if files.ondemand is not None:
        prices, broken = read_ondemand_prices(files.ondemand)
        _require_whole(files.ondemand.name, broken)
        return prices
    try:
        return _known_ondemand(files, regions)
    except Refused:  # no database here: whoever needs a price says that none is known
        return {}


def _known_ondemand(files: Files, regions: Sequence[str]) -> OndemandPrices:
    from spotguard.store import ondemand

    def known(tx: Connection) -> OndemandPrices:
        return {
            (region, name): usd
            for region in regions
            for name, usd in ondemand.prices_of(tx, None, region).items()
        }

    with opened(files.database_url) as database:
        return database.read(known)


def _facts(files: Files) -> Facts:
    from spotguard.market.type_facts import read_type_facts, shipped

    return shipped() if files.types is None else read_type_facts(files.types)


def _require_whole(name: str, broken: Sequence[BrokenLine]) -> None:
    if broken:
        raise InvalidInput(f"{name}, line {broken[0].line_number}: {broken[0].reason}")


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)
