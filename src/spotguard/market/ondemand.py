"""On-demand prices from a CSV file with the columns region, instance_type and ondemand_usd_h; others are ignored."""

from __future__ import annotations

import re
from decimal import Decimal
from operator import itemgetter
from pathlib import Path

from spotguard.domain.errors import InvalidInput
from spotguard.domain.money import parse_price
from spotguard.market.files import CutOff, small_pieces
from spotguard.market.instance_types import is_instance_type
from spotguard.market.price_csv import columns_of, reason_of, split
from spotguard.market.rows import BrokenLine

OndemandPrices = dict[tuple[str, str], Decimal]  # (region, instance type) -> USD per hour

_COLUMNS = ("region", "instance_type", "ondemand_usd_h")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")


def read_ondemand_prices(path: Path) -> tuple[OndemandPrices, list[BrokenLine]]:
    """Prices by region and type; a type named twice with different prices keeps the first and reports the second."""
    prices: OndemandPrices = {}
    broken: list[BrokenLine] = []
    lines = _lines(path, broken)
    if not lines:
        raise InvalidInput(f"{path}: the file is empty")
    try:
        pick = itemgetter(*columns_of(split(lines[0]), _COLUMNS))
    except InvalidInput as error:
        raise InvalidInput(f"{path}: {error}") from error
    for line_number, line in enumerate(lines[1:], 2):
        try:
            _add(prices, *pick(split(line)))
        except (InvalidInput, IndexError) as error:
            if line.strip() and line != lines[0]:
                broken.append(BrokenLine(line_number, reason_of(error, line)))
    return prices, broken


def of_region(prices: OndemandPrices, region: str) -> dict[str, Decimal]:
    """USD per hour by instance type, of one region."""
    return {instance_type: usd for (where, instance_type), usd in prices.items() if where == region}


def _lines(path: Path, broken: list[BrokenLine]) -> list[str]:
    lines: list[str] = []
    try:
        for piece in small_pieces(path):
            lines += piece.rstrip("\n").split("\n")
    except CutOff as error:
        broken.append(BrokenLine(max(1, len(lines)), str(error), cut_off=True))
    return lines


def _add(prices: OndemandPrices, region: str, instance_type: str, text: str) -> None:
    if _REGION.fullmatch(region) is None:
        raise InvalidInput(f"not a region: {region[:40]!r}")
    if not is_instance_type(instance_type):
        raise InvalidInput(f"not an instance type: {instance_type[:40]!r}")
    usd = parse_price(text)
    if prices.setdefault((region, instance_type), usd) != usd:
        raise InvalidInput(f"{instance_type} in {region} has two prices")
