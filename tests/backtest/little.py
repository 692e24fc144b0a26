"""Small worlds whose numbers can be worked by hand: 1 USD on demand, pools a and b in two zones, a2 beside a."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from spotguard.backtest.physics import Physics
from spotguard.backtest.policy import ONDEMAND, Intention, View, Wake
from spotguard.backtest.simulator import run
from spotguard.backtest.world import Life, World
from spotguard.domain.pools import Pool

A = Pool("m5.large", "eu-west-1a")
B = Pool("m5.large", "eu-west-1b")
A2 = Pool("m5a.large", "eu-west-1a")
HOUR = 3600.0
DAY = 24 * HOUR
T0 = 19_000 * DAY


def life(*downs, strikes=(), signals=()):
    """Down in each (from, to), hours; what runs there is interrupted when it goes down, and at the `strikes`."""
    flips = [T0 + hour * HOUR for spell in downs for hour in spell]
    struck = sorted([*flips[::2], *(T0 + hour * HOUR for hour in strikes)])
    return Life(flips=np.array(flips), strikes=np.array(struck), signals=T0 + np.array(signals) * HOUR)


def world(pools=(A, B, A2), prices=None, lives=None, ondemand=1.0, ticks=(0.0,)):
    """`prices`: rows by tick, default 0.4, 0.5, 0.6; `ticks` in hours."""
    usd = np.array(prices if prices is not None else [[0.4, 0.5, 0.6][: len(pools)]], dtype=float)
    return World(
        home=A,
        pools=tuple(pools),
        ondemand_usd=ondemand,
        ticks=T0 + np.array(ticks) * HOUR,
        usd=usd,
        lives=tuple(lives or [life()] * len(pools)),
    )


Answer = Callable[[View], Intention]


@dataclass
class Scripted:
    """Answers what the script says at its hours, in order; falls back where it is told."""

    script: dict[float, Intention]
    back: Sequence[int] = ()
    sees_states: bool = False
    views: list[View] = field(default_factory=list)

    def decide(self, view):
        self.views.append(view)
        due = [hour for hour in self.script if T0 + hour * HOUR <= view.now]
        wanted = self.script.pop(due[0]) if due else Intention(standby=view.standby)
        later = min((T0 + hour * HOUR for hour in self.script), default=float("inf"))
        return Intention(wanted.go, wanted.standby, wanted.probes, Wake(at=later))

    def fall_back(self, view):
        self.views.append(view)
        return self.back


def go(pool, standby=None):
    return Intention(go=pool, standby=standby)


def played(world, policy, hours=24.0, **physics):
    return run(world, policy, Physics(**physics), T0, T0 + hours * HOUR, minute_usd=1.0)


__all__ = ["A2", "DAY", "HOUR", "ONDEMAND", "T0", "A", "B", "Scripted", "go", "life", "played", "world"]
