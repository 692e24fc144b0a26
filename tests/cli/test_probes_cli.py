"""`spotguard probes`: what looks may cost, shown and set."""

from __future__ import annotations

import pytest

from spotguard.cli.asking import Asking
from spotguard.cli.output import Failed
from spotguard.cli.probes import asked, lines
from tests.api.world import World


@pytest.fixture
def asking() -> Asking:
    world = World()
    return Asking(world.link, world.tenant().token, lambda _seconds: None)


def test_it_says_that_they_are_off_and_sets_what_they_may_cost(asking):
    assert list(lines(asked(asking, None))) == [
        "Capacity probes are off: --usd-per-day sets what they may cost."
    ]
    told = asked(asking, "0.50")
    assert list(lines(told)) == ["Capacity probes may cost 0.500000 USD a day; today 0 USD."]
    assert asked(asking, None) == told


def test_it_tells_what_each_look_showed():
    look = {
        "createdAt": "2026-03-01T12:00:00Z",
        "poolId": "m5.large.us-east-1a",
        "usd": "0.0005",
        "because": "worth it",
    }
    shown = lines(
        {
            "usdPerDay": "1",
            "spentUsd": "0.0005",
            "items": [
                {**look, "up": True, "answer": "i-1 was launched"},
                {**look, "up": None, "answer": None},
            ],
        }
    )
    _, first, second = shown
    assert " up " in first
    assert first.endswith("i-1 was launched")
    assert " unknown " in second
    assert second.endswith("worth it")


def test_what_is_refused_is_told(asking, shell):
    with pytest.raises(Failed, match="usdPerDay"):
        asked(asking, "-1")
    for typed in ("much", "NaN", "1e999999999", "1e-999999999"):
        told = shell.fails("probes", "--usd-per-day", typed, "--token-file", "/nowhere", code=2)
        assert "is a number of USD" in told
