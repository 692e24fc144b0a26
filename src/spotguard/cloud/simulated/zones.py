"""Availability zone ids: the same for everybody, while an account's letters are shuffled (E32)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random

from spotguard.domain.errors import InvalidInput
from spotguard.domain.pools import region_of

_DIRECTIONS = {
    "northeast": "ne", "northwest": "nw", "southeast": "se", "southwest": "sw",
    "north": "n", "south": "s", "east": "e", "west": "w", "central": "c",
}  # fmt: skip


def shuffled_letters(zones: Iterable[str], dice: Random) -> str:
    """This account's order of its zones: the letter at place 0 is zone 1."""
    letters = sorted({az[-1] for az in zones})
    return "".join(dice.sample(letters, len(letters)))


def az_id(az: str, zone_letters: str) -> str:
    """`use1-az4` for us-east-1a, as AWS abbreviates its regions."""
    region = region_of(az)
    found = re.fullmatch(r"([a-z]{2})-((?:[a-z]+-)*)([a-z]+)-(\d)", region)
    letter = az[len(region) :]
    if found is None or letter not in zone_letters or found[3] not in _DIRECTIONS:
        raise InvalidInput(f"no zone id for {az!r}")
    middle = "".join(part[0] for part in found[2].split("-") if part)  # us-gov-west-1: usgw1
    return f"{found[1]}{middle}{_DIRECTIONS[found[3]]}{found[4]}-az{zone_letters.index(letter) + 1}"
