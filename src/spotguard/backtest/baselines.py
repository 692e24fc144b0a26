"""The causal rules that the engine is measured against, each in its own right.

What a rule of a paper leaves open (how often it looks, what it does on demand) is said where it is decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from spotguard.backtest.physics import DAY, HOUR
from spotguard.backtest.policy import ONDEMAND, Flags, Intention, Make, View, Wake

RETRY_SECONDS = 300.0  # a refused pool is asked again as soon as the information rule allows it
STAY_ON_DEMAND = 1.0  # a spot pool is worth a launch below this share of on-demand


def by_price(view: View, fit: Flags | None = None) -> list[int]:
    """Pools cheaper than on-demand, the cheapest first; the present one is not among them."""
    usd = np.where(np.isnan(view.usd), inf, view.usd)
    good = usd < STAY_ON_DEMAND * view.ondemand_usd
    if fit is not None:
        good = good & fit
    if view.at != ONDEMAND:
        good[view.at] = False
    numbers = np.flatnonzero(good)
    return [int(number) for number in numbers[np.argsort(usd[numbers], kind="stable")]]


def same_zone(view: View, pools: Sequence[int]) -> list[int]:
    """Those in the zone of the pool that is lost: the volume survives there."""
    zone = view.pools[view.at].az
    return [pool for pool in pools if view.pools[pool].az == zone]


def first_to_try(view: View, pools: Sequence[int]) -> int | None:
    return next((pool for pool in pools if view.may_look(pool)), None)


class OnDemand:
    """Never moves."""

    sees_states = False

    def decide(self, view: View) -> Intention:
        return Intention()

    def fall_back(self, view: View) -> Sequence[int]:
        return ()


class Reactive:
    """Stays in the pool that it is in, restarts in the same zone when interrupted: another type, else on demand, and
    takes the cheapest pool that accepts as soon as one does.
    """

    sees_states = False

    def decide(self, view: View) -> Intention:
        if view.at != ONDEMAND:
            return Intention()
        return Intention(go=first_to_try(view, by_price(view)), wake=Wake(at=view.now + RETRY_SECONDS))

    def fall_back(self, view: View) -> Sequence[int]:
        return same_zone(view, by_price(view))


class Cheaper(Reactive):
    """Moves whenever another pool is at least 5 % cheaper."""

    share = 0.95

    def decide(self, view: View) -> Intention:
        if view.at == ONDEMAND:
            return super().decide(view)
        cheaper = [pool for pool in by_price(view) if view.usd[pool] <= self.share * view.present_usd]
        again = view.now + RETRY_SECONDS if cheaper else inf
        return Intention(go=first_to_try(view, cheaper), wake=Wake(at=again, cheaper=self.share))


class HotSpot(Reactive):
    """HotSpot (Shastri and Irwin, SoCC 2017): hops when what the next billing hour saves there exceeds what the hop
    costs. A hop costs double running until the new instance serves; billing is by the second since, so its hour is kept
    as the horizon.
    """

    horizon_hours = 1.0
    hop_hours = 225 / HOUR

    def decide(self, view: View) -> Intention:
        if view.at == ONDEMAND:
            return super().decide(view)
        better = self._worth(view, by_price(view))
        again = view.now + RETRY_SECONDS if better else inf
        share = 1 - self.hop_hours / self.horizon_hours
        return Intention(go=first_to_try(view, better), wake=Wake(at=again, cheaper=share))

    def fall_back(self, view: View) -> Sequence[int]:
        """The best market wherever it is, as the paper has no volumes that survive."""
        return by_price(view)

    def _worth(self, view: View, pools: list[int]) -> list[int]:
        hop = self.hop_hours * view.present_usd
        return [p for p in pools if (view.present_usd - view.usd[p]) * self.horizon_hours > hop]


class PriceCapacity(Reactive):
    """A stand-in for EC2's price-capacity-optimized strategy, which sees capacity: an advisor bucket of at most 1, no
    refusal or interruption known within 24 h, then the cheapest. It chooses at launch and never moves by itself.
    """

    worst_bucket = 1

    def decide(self, view: View) -> Intention:
        if view.at != ONDEMAND:
            return Intention()
        fit = by_price(view, self._fit(view)) or by_price(view, self._quiet(view))
        return Intention(go=first_to_try(view, fit), wake=Wake(at=view.now + RETRY_SECONDS))

    def fall_back(self, view: View) -> Sequence[int]:
        return same_zone(view, by_price(view, self._fit(view)))

    def _fit(self, view: View) -> Flags:
        return self._quiet(view) & (view.buckets <= self.worst_bucket)

    def _quiet(self, view: View) -> Flags:
        quiet = np.ones(len(view.pools), dtype=np.bool_)
        for pool, looks in view.memory.looks.items():
            quiet[pool] = all(look.up or view.now - look.at > DAY for look in looks[-50:])
        return quiet


class Uptime:
    """Goes by the share of the last 24 h that each pool was seen up: returns to spot once one has been up for an hour,
    to the one with the highest uptime, and leaves a pool for one whose uptime is ten points better. It probes the
    pools of its own type, at most eight: every half hour on demand, every two hours on spot.
    """

    sees_states = False
    most_probed = 8
    return_after = HOUR
    better_by = 0.10
    on_demand_pause, on_spot_pause = HOUR / 2, 2 * HOUR

    def decide(self, view: View) -> Intention:
        on_spot = view.at != ONDEMAND
        pause = self.on_spot_pause if on_spot else self.on_demand_pause
        watched = self._watched(view)
        due = tuple(pool for pool in watched if pool != view.at and self._is_due(view, pool, pause))
        return Intention(go=self._target(view, watched), probes=due, wake=Wake(at=view.now + pause / 2))

    def fall_back(self, view: View) -> Sequence[int]:
        return ()

    def _watched(self, view: View) -> list[int]:
        own = np.array([pool.instance_type == view.home.instance_type for pool in view.pools])
        pools = by_price(view, own)
        return (pools or by_price(view))[: self.most_probed]

    def _is_due(self, view: View, pool: int, pause: float) -> bool:
        last = view.memory.last(pool)
        return last is None or view.now - last.at >= pause

    def _target(self, view: View, watched: list[int]) -> int | None:
        up = [pool for pool in watched if up_for(view, pool) >= self.return_after and view.may_look(pool)]
        if not up:
            return None
        best = max(up, key=lambda pool: (round(uptime(view, pool), 2), -view.usd[pool]))
        if view.at == ONDEMAND or uptime(view, best) >= uptime(view, view.at) + self.better_by:
            return best
        return None


def spells(view: View, pool: int) -> list[tuple[float, bool]]:
    """Moments at which it was seen, and its state from then on as far as is known; where we ran it was up."""
    seen = [(look.at, look.up) for look in view.memory.looks.get(pool, ())[-100:]]
    for stay in view.memory.stays[-100:]:
        if stay.pool == pool:
            seen.append((stay.since, True))
            if stay.until > view.now:
                seen.append((view.now, True))
    return sorted(seen)


def up_for(view: View, pool: int) -> float:
    """Seconds since the first of the looks that all saw it up, until the last of them; 0 where the last was down."""
    seen = spells(view, pool)
    since = None
    for at, up in reversed(seen):
        if not up:
            break
        since = at
    return 0.0 if since is None else view.now - since


def uptime(view: View, pool: int) -> float:
    """Share of the last 24 h that it was up, each look holding until the next; of what was watched at all."""
    seen = [(max(at, view.now - DAY), up) for at, up in spells(view, pool)]
    if not seen:
        return 0.0
    ends = [*(at for at, _ in seen[1:]), view.now]
    watched = view.now - seen[0][0]
    if watched <= 0:
        return float(seen[-1][1])
    return sum(end - at for (at, up), end in zip(seen, ends, strict=True) if up) / watched


class SpotHedge:
    """SpotHedge (Mao et al., EuroSys 2025) for one replica and one extra: two spot replicas in two zones, zones that
    failed set aside until fewer than two are left; on demand stands in while fewer than two spot replicas are ready.
    """

    sees_states = False

    def __init__(self) -> None:
        self._set_aside: set[str] = set()
        self._read = 0

    def decide(self, view: View) -> Intention:
        self._learn(view)
        wake = Wake(at=view.now + RETRY_SECONDS)
        candidates = self._candidates(view)
        if view.at == ONDEMAND:
            if view.standby is not None and view.standby != ONDEMAND and view.standby_ready_at <= view.now:
                return Intention(go=view.standby, standby=view.standby, wake=wake)
            return Intention(go=first_to_try(view, candidates), standby=view.standby, wake=wake)
        zone = view.pools[view.at].az
        second = first_to_try(view, [pool for pool in candidates if view.pools[pool].az != zone])
        if view.standby is None:
            return Intention(standby=ONDEMAND if second is None else second, wake=wake)
        if view.standby == ONDEMAND and second is not None:
            return Intention(standby=second, wake=wake)
        again = Wake() if view.standby != ONDEMAND else wake  # with two on spot only a fall changes anything
        return Intention(standby=view.standby, wake=again)

    def fall_back(self, view: View) -> Sequence[int]:
        self._learn(view)
        return self._candidates(view)[:1]

    def _learn(self, view: View) -> None:
        """A zone that failed is set aside; one in which a launch succeeded comes back."""
        looks = sorted(
            (look.at, pool, look.up) for pool, looks in view.memory.looks.items() for look in looks[-5:]
        )
        for at, pool, up in looks:
            if at >= self._read:
                (self._set_aside.discard if up else self._set_aside.add)(view.pools[pool].az)
        self._read = int(view.now)
        zones = {pool.az for pool in view.pools}
        least = 2
        if len(zones - self._set_aside) < least:
            self._set_aside.clear()

    def _candidates(self, view: View) -> list[int]:
        active = np.array([pool.az not in self._set_aside for pool in view.pools])
        return by_price(view, active)


BASELINES: dict[str, Make] = {
    "on-demand": OnDemand,
    "reactive": Reactive,
    "cheaper-5": Cheaper,
    "hotspot": HotSpot,
    "price-capacity": PriceCapacity,
    "uptime-24h": Uptime,
    "spothedge": SpotHedge,
}
