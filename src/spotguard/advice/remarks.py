"""What an advice does not count, and what its files cannot say: told with every advice, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from spotguard.advice.market import Kind, Market
from spotguard.advice.wish import Disks, Wish

STALE_DAYS = 7


def of(market: Market, offered_by: Market, wish: Wish, now: datetime) -> tuple[str, ...]:
    return (
        *_age(offered_by, now),
        *_kind(market),
        *_disks(wish.disks),
        *_left_out(offered_by),
        *_ALWAYS,
    )


def of_several(told: Iterable[tuple[Market, Sequence[str]]]) -> tuple[str, ...]:
    """Of several workloads, each remark once; types that are left out in one sentence for each reason."""
    several = tuple(told)
    general = [
        remark for market, remarks in several for remark in remarks if remark not in set(_left_out(market))
    ]
    older = sorted({name for market, _ in several for name in market.older})
    excluded = sorted({name for market, _ in several for name in market.excluded})
    return (*dict.fromkeys(general), *_older(older), *_excluded(excluded))


_UNCOUNTED = (
    "not counted: traffic between zones, credits of burstable types, and reserved instances or Savings Plans that "
    "you have already, of which a move to spot leaves a part unused"
)
_BOOTS = (
    "which of these types your image boots on (drivers, boot mode, disk names) is looked at when the machine is "
    "enrolled"
)
_ALWAYS = (_UNCOUNTED, _BOOTS)


def _age(market: Market, now: datetime) -> Iterator[str]:
    end = datetime.fromtimestamp(market.world.span[1], UTC)
    days = (now - end).total_seconds() / 86_400
    if days > STALE_DAYS:
        yield (
            f"the prices end {end:%Y-%m-%d}, {days:.0f} days ago: what is called present here is of that day, and what "
            "they say of today nobody knows"
        )


def _kind(market: Market) -> Iterator[str]:
    if market.kind is Kind.PRICES:
        yield (
            "files of prices say nothing about capacity: in the replay every pool is always up and nothing is "
            "interrupted; what interruptions cost is weighed beside it"
        )
    else:
        yield (
            "an availability file tells of one type in some zones and of its own time; a running instance may "
            "survive a spell in which launches fail, so that interruptions are counted too often rather than too seldom"
        )


def _disks(disks: Disks) -> Iterator[str]:
    if not disks.gib:
        yield (
            "disks and snapshots are not counted: --volume-gb, --volume-usd-per-gb-month and "
            "--snapshot-usd-per-gb-month count them"
        )
        return
    missing = [
        name
        for name, usd in (
            ("second sets of volumes (--volume-usd-per-gb-month)", disks.volume_usd_per_gib_month),
            ("snapshots (--snapshot-usd-per-gb-month)", disks.snapshot_usd_per_gib_month),
        )
        if usd is None
    ]
    if missing:
        yield f"not counted, as no rate was named: {' and '.join(missing)}"
    if len(missing) < 2:  # noqa: PLR2004 - one of both rates is there
        yield (
            f"disks: {disks.gib} GiB twice while the two instances of a move stand and beside a standby, and one "
            "snapshot of them, counted in full; the rates are those that were named"
        )


def _left_out(market: Market) -> Iterator[str]:
    yield from _older(market.older)
    yield from _excluded(market.excluded)


def _older(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"left out, as EC2 calls their generation a previous one: {', '.join(names)} (--older-generations)"


def _excluded(names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"left out, as no on-demand price of theirs is known: {', '.join(names)}"
