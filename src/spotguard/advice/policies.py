"""Two policies around those of SpotBench: manual replica mode, and one that is asked hourly while it is on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spotguard.backtest.physics import HOUR
from spotguard.backtest.policy import ONDEMAND, Intention, Policy, View


class Standing:
    """Manual replica mode: a person chose the pool, nothing moves for a price, a standby is always kept.

    Wraps a policy that does not move by itself. The standby stays where it is as long as it is not where the
    workload is; a new one is put into another zone where there is one, by price.
    """

    sees_states = False

    def __init__(self, inner: Policy) -> None:
        self._inner = inner

    def decide(self, view: View) -> Intention:
        wanted = self._inner.decide(view)
        if view.at == ONDEMAND or wanted.go is not None:
            return replace(wanted, standby=None if view.standby == wanted.go else view.standby)
        return replace(wanted, standby=self._place(view))

    def fall_back(self, view: View) -> Sequence[int]:
        return self._inner.fall_back(view)

    @staticmethod
    def _place(view: View) -> int:
        if view.standby is not None and view.standby != view.at:
            return view.standby
        return place(view)


def place(view: View) -> int:
    """The cheapest spot pool of another zone, else another pool, cheaper than on-demand and not seen down; else on
    demand (ruling B6: never the primary's own pool).
    """
    known = [
        n
        for n, usd in enumerate(view.usd.tolist())
        if n != view.at and usd < view.ondemand_usd and view.may_look(n)
    ]
    here = view.pools[view.at].az
    return min(known, key=lambda n: (view.pools[n].az == here, view.usd[n], n), default=ONDEMAND)


class Hourly:
    """For files of prices alone, in which no pool falls: a policy that stays on demand is asked again an hour later,
    not every five minutes. A price that makes it go is noticed up to an hour late.
    """

    sees_states = False

    def __init__(self, inner: Policy) -> None:
        self._inner = inner

    def decide(self, view: View) -> Intention:
        wanted = self._inner.decide(view)
        if view.at != ONDEMAND or wanted.go is not None:
            return wanted
        later = replace(wanted.wake, at=max(wanted.wake.at, view.now + HOUR))
        return replace(wanted, wake=later)

    def fall_back(self, view: View) -> Sequence[int]:
        return self._inner.fall_back(view)
