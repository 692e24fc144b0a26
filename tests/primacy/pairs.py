"""Pairs of events, two seconds apart: `python -m tests.primacy.pairs` walks them all, and fails if one is wrong."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator

import structlog

from spotguard.cli.progress import progress_bar
from spotguard.planning.emergency import RECENT_PASS_SECONDS
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
    if seen.lost > most_lost(first, second):
        found.append(f"{where}: {seen.lost} records lost")
    if seen.at_end is None and not seen.asked:
        found.append(f"{where}: nobody serves at the end, and nobody was asked")
    return found


def most_lost(first: Strike, second: Strike) -> float:
    """A standby that was itself disturbed is promoted with a pass as old as the rule for a syncing one allows."""
    if Event.DEATH not in (first.event, second.event):
        return 0
    disturbed = first.side is Side.NEW or second.side is Side.NEW
    return RECENT_PASS_SECONDS if disturbed else MOST_LOST


def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(MUTE))
    walked, wrong = 0, []
    pairs = list(everyone())
    with progress_bar() as bar:
        task = bar.add_task("pairs", total=len(PLACES) * len(pairs))
        for place in PLACES:
            walk = Walk(place)
            for pair in pairs:
                walked += 1
                wrong += judge_pair(walk, pair)
                bar.advance(task)
            walk.close()
    sys.stdout.write(json.dumps({"pairs": walked, "wrong": wrong}, indent=1) + "\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
