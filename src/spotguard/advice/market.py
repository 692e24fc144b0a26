"""The market of one workload, out of the files: the world that is replayed, and where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from spotguard.backtest.physics import HOUR
from spotguard.backtest.world import World
from spotguard.backtest.worlds import price_market, price_world, storm_worlds
from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import LINUX
from spotguard.market.advisor import Snapshot
from spotguard.market.availability import Availability
from spotguard.market.history import PriceHistory
from spotguard.market.instance_types import is_burstable
from spotguard.market.ondemand import OndemandPrices
from spotguard.market.type_facts import Facts, equivalents, is_older

_NAMED = 12  # of what a file has, in an error


class Kind(StrEnum):
    """What the files tell: prices alone, or when launches succeeded too."""

    PRICES = "prices"
    AVAILABILITY = "availability"


@dataclass(frozen=True)
class Market:
    """`source`: names of the files. `excluded`: equivalent types left out, since they have no on-demand price; `older`:
    those left out, since they are of older generations.
    """

    kind: Kind
    source: str
    world: World
    excluded: tuple[str, ...] = ()
    older: tuple[str, ...] = ()

    @property
    def days(self) -> float:
        return (self.world.span[1] - self.world.span[0]) / 86_400


class NoOndemandPrice(InvalidInput):
    """Nothing can be saved that nobody knows: what on-demand costs."""

    def __init__(self, instance_type: str, region: str) -> None:
        super().__init__(
            f"no on-demand price of {instance_type} in {region} is known: name a CSV with the columns region, "
            f"instance_type, ondemand_usd_h by --ondemand, or fetch it: spotguard prices fetch --region {region}"
        )


class NotInTheFile(InvalidInput):
    """A region or a type that the files do not have; the message names what they have."""


def of_prices(
    history: PriceHistory,
    ondemand: OndemandPrices,
    region: str,
    own_type: str,
    facts: Facts | None,
    advisor: Sequence[Snapshot] = (),
    *,
    older: bool = False,
) -> Market:
    """`facts` None: the zones of its own type alone; else of its equivalents too, but for burstable ones of a type that
    is not (sustained load would be throttled there) and, unless `older`, for those of older generations.
    """
    linux = [pool for pool in history.pools() if pool.product == LINUX]
    _require("region", region, {pool.region for pool in linux}, history.source)
    types = {pool.instance_type for pool in linux if pool.region == region}
    _require("type", own_type, types, f"{history.source}, {region}")
    if (region, own_type) not in ondemand:
        raise NoOndemandPrice(own_type, region)
    fit = None if facts is None else alike(facts, own_type)
    serving = [own_type] if fit is None else equivalents(fit, own_type, types)
    left_out = [name for name in serving if fit is not None and not older and is_older(fit, name, own_type)]
    wanted = [name for name in serving if name not in left_out]
    found = price_market(history.of_region(region).of_types(wanted), ondemand)
    world = price_world(found, region, own_type, fit, advisor)
    _require_time(world, history.source)
    return Market(Kind.PRICES, history.source, world, found.excluded, tuple(left_out))


def alike(facts: Facts, own_type: str) -> Facts:
    """Without the burstable types, unless it is one itself."""
    if is_burstable(own_type):
        return facts
    return {name: told for name, told in facts.items() if not is_burstable(name)}


def of_availability(
    found: Availability, ondemand: OndemandPrices, region: str, own_type: str, source: str
) -> Market:
    """The zones of its own type: the file says nothing of others."""
    _require("region", region, {pool.region for pool in found.looks}, source)
    types = {pool.instance_type for pool in found.looks if pool.region == region}
    _require("type", own_type, types, f"{source}, {region}")
    looks = {p: told for p, told in found.looks.items() if (p.region, p.instance_type) == (region, own_type)}
    if not any(look.ondemand_usd is not None for told in looks.values() for look in told) and (
        (region, own_type) not in ondemand
    ):
        raise NoOndemandPrice(own_type, region)
    if not any(look.spot_usd is not None for told in looks.values() for look in told):
        raise InvalidInput(f"{source}: no SpotPrice of {own_type} in {region}: what spot costs is not told")
    (world,), _ = storm_worlds(Availability(looks), ondemand)
    _require_time(world, source)
    return Market(Kind.AVAILABILITY, source, world)


def _require_time(world: World, source: str) -> None:
    if world.span[1] - world.span[0] < HOUR:
        raise InvalidInput(f"{source}: it tells of less than an hour of {world.home.instance_type}")


def _require(what: str, wanted: str, known: Iterable[str], source: str) -> None:
    names = sorted(known)
    if wanted in names:
        return
    family = [name for name in names if name.partition(".")[0] == wanted.partition(".")[0]]
    near = family or sorted(get_close_matches(wanted[:40], names, n=_NAMED)) or names
    more = f" and {len(near) - _NAMED} more" if len(near) > _NAMED else ""
    told = f"{', '.join(near[:_NAMED])}{more}" if near else "none of Linux"
    has = f"near it: {told}, of {len(names)}" if len(near) < len(names) else f"it has {told}"
    raise NotInTheFile(f"{source}: no {what} {wanted[:40]!r}; {has}")
