"""Manual replica mode as a policy: a person chose the pool, nothing moves for a price, a standby is always kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spotguard.backtest.policy import ONDEMAND, Intention, Policy, View


class Standing:
    """Wraps a policy that does not move by itself. The standby stays where it is as long as it is not where the
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
