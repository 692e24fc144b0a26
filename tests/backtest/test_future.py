"""No leak: whatever the future holds, what was decided before is the same; each policy that there is."""

from dataclasses import replace

import numpy as np
import pytest

from spotguard.backtest.physics import Physics
from spotguard.backtest.registry import UNPROBED, policies
from spotguard.backtest.simulator import run
from tests.backtest.little import A2, DAY, HOUR, T0, A, B, life, world

HOURS = 72
TURN = 36.0  # hours: what comes after is shuffled
NAMES = sorted([*policies((), 0.5), UNPROBED])


class Heard:
    """Asks another policy and writes down when it was asked and what it said."""

    def __init__(self, policy):
        self.policy, self.said = policy, []
        self.sees_states = policy.sees_states

    def decide(self, view):
        wanted = self.policy.decide(view)
        self.said.append((view.now, wanted))
        return wanted

    def fall_back(self, view):
        ladder = list(self.policy.fall_back(view))
        self.said.append((view.now, ladder))
        return ladder


def market(dice):
    prices = dice.choice([0.2, 0.25, 0.3, 0.5, 0.85, 0.95], size=(HOURS, 3))
    spells = [np.sort(dice.uniform(0, HOURS, 6)).reshape(3, 2).tolist() for _ in range(3)]
    return world([A, B, A2], prices, [life(*map(tuple, pair)) for pair in spells], ticks=range(HOURS))


def shuffled_after(there, hour, dice):
    """The same until then; after it prices, states, interruptions and snapshots are other ones."""
    turn = T0 + hour * HOUR
    later = there.ticks > turn
    usd = there.usd.copy()
    usd[later] = dice.permuted(usd[later], axis=None)
    lives = [life_after(one, turn, dice) for one in there.lives]
    return replace(there, usd=usd, lives=tuple(lives))


def life_after(one, turn, dice):
    kept = one.flips[one.flips <= turn]
    new = np.sort(turn + 600 + dice.uniform(0, 30 * HOUR, 8 + len(kept) % 2))
    flips = np.concatenate([kept, new])
    return replace(one, flips=flips, strikes=flips[0 if one.up_first else 1 :: 2])


def what_was_said(there, name, until):
    heard = Heard(policies((name,), 0.5)[name]())
    run(there, heard, Physics(), T0, T0 + HOURS * HOUR, minute_usd=10 / 60)
    return [said for said in heard.said if said[0] < until]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_shuffled_future_changes_no_decision(name, seed):
    dice = np.random.default_rng(seed)
    there = market(dice)
    other = shuffled_after(there, TURN, dice)
    before = T0 + TURN * HOUR - Physics().notice  # a notice is a word about the next two minutes
    said = what_was_said(there, name, before)
    assert said
    assert said == what_was_said(other, name, before)


def test_the_shuffle_does_change_the_future():
    dice = np.random.default_rng(1)
    there = market(dice)
    assert what_was_said(there, "reactive", T0 + HOURS * HOUR) != what_was_said(
        shuffled_after(there, TURN, dice), "reactive", T0 + HOURS * HOUR
    )


def test_nobody_is_told_a_later_price():
    asked = []

    class Curious:
        sees_states = False

        def decide(self, view):
            asked.append(view)
            return policies(["on-demand"], 0.5)["on-demand"]().decide(view)

    run(market(np.random.default_rng(3)), Curious(), Physics(), T0, T0 + DAY, minute_usd=1.0)
    with pytest.raises(ValueError, match="future"):
        asked[0].prices_before(-1.0)
    assert asked[0].usd.base is None, "a row of its own: nothing of later rows hangs on it"
