"""The table of docs/primacy.md, walked: each cell starts from its place, strikes, and must come to what it says."""

from pathlib import Path
from random import Random

import pytest

from tests.primacy.pairs import everyone, judge_pair
from tests.primacy.table import DOWN, OUTCOMES, PLACES, UP, Event, Place, Side, cells, markdown
from tests.primacy.walk import MOST_LOST, Strike, Walk

DOCUMENT = Path(__file__).parents[2] / "docs" / "primacy.md"
SAMPLED_PAIRS = 3  # of each place; all of them: make primacy-pairs


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.step))
def test_every_cell_comes_to_what_the_table_says(place: Place):
    walk = Walk(place)
    told = []
    for cell in cells(place):
        seen = walk.strike([Strike(cell.event, cell.side)], server_up=cell.server_up)
        outcome = cell.outcome
        most = MOST_LOST if outcome.may_lose else 0
        as_told = (seen.meanwhile, seen.at_end) == (outcome.meanwhile, outcome.at_end) and seen.lost <= most
        if seen.wrong or not as_told:
            told.append((cell.event.value, cell.side.value, cell.server_up, outcome.name, seen))
    walk.close()
    assert told == []


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES, ids=lambda place: str(place.step))
def test_a_sample_of_pairs_keeps_every_promise(place: Place):
    walk = Walk(place)
    dice = Random(f"pairs of {place.step}")
    told = [
        complaint
        for pair in dice.sample(list(everyone()), SAMPLED_PAIRS)
        for complaint in judge_pair(walk, pair)
    ]
    walk.close()
    assert told == []


def test_the_table_is_whole():
    wanted = {(place, side) for place in PLACES for side in Side}
    assert set(UP) == set(DOWN) == wanted
    assert all(len(row) == len(Event) for row in (*UP.values(), *DOWN.values()))
    used = {outcome.name for row in (*UP.values(), *DOWN.values()) for outcome in row}
    assert used == {outcome.name for outcome in OUTCOMES}


def test_the_document_shows_the_same_table():
    assert markdown() in DOCUMENT.read_text()
