"""Pairs of events, two seconds apart: `python -m tests.primacy.pairs` walks them all, and fails if one is wrong."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator

import structlog

from tests.primacy.table import PLACES, Event, Side
from tests.primacy.walk import MOST_LOST, Strike, Walk

MUTE = 50  # the levels of logging: critical

Pair = tuple[Strike, Strike, bool]  # and whether the server is up


def everyone() -> Iterator[Pair]:
    """Every ordered pair of strikes, with the server up and down."""
    strikes = [Strike(event, side) for side in Side for event in Event]
    for first, second in itertools.product(strikes, repeat=2):
        yield first, second, True
        yield first, second, False


def judge_pair(walk: Walk, pair: Pair) -> list[str]:
    """What is wrong: two that served, a record lost without an unheard death, nobody at the end and nobody asked."""
    first, second, server_up = pair
    seen = walk.strike([first, second], server_up=server_up)
    where = (
        f"{walk.place.name}: {first.event} of {first.side}, {second.event} of {second.side}, up={server_up}"
    )
    found = [f"{where}: {wrong}" for wrong in seen.wrong]
    most = MOST_LOST if Event.DEATH in (first.event, second.event) else 0
    if seen.lost > most:
        found.append(f"{where}: {seen.lost} records lost")
    if seen.at_end is None and not seen.asked:
        found.append(f"{where}: nobody serves at the end, and nobody was asked")
    return found


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(MUTE))
    walked, wrong = 0, []
    for place in PLACES:
        walk = Walk(place)
        for pair in everyone():
            walked += 1
            wrong += judge_pair(walk, pair)
        walk.close()
    sys.stdout.write(json.dumps({"pairs": walked, "wrong": wrong}, indent=1) + "\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
