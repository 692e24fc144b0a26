"""The shipped decision with the age-hazard rule's figures, at the workload's value of a minute: SpotBench's `engine`.

Proposals, rails, quarantine and rescue are those of `shipped.RulesV1`; what is added is what production adds (rates
from its own looks, figures for `rules-v1`), and the probes and standbys that SpotBench lets a policy pay for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from math import inf

from spotguard.backtest.physics import HOUR
from spotguard.backtest.policy import ONDEMAND, Floats, Intention, View, Wake
from spotguard.backtest.shipped import RulesV1
from spotguard.domain.ids import PoolId
from spotguard.domain.pools import Pool
from spotguard.engine import forecast, rules_v1
from spotguard.engine.forecast import Prospect
from spotguard.engine.hazard import AgeHazard, Outlook
from spotguard.engine.records import PoolRecord, seen
from spotguard.engine.stakes import INTERRUPTION_MINUTES, Stakes, standby
from spotguard.engine.watching import PAUSE_SECONDS, pause_seconds
from spotguard.market import shipped
from spotguard.planning.guard_rails import refusal

WATCH_SECONDS = HOUR / 2  # in a pool that is not calm: the hour of the day changes its rate
UNCHANGED_SECONDS = HOUR  # after a refusal or a saving that does not pay


@cache
def _shipped_rule() -> AgeHazard:
    return shipped.age_hazard()


class Engine(RulesV1):
    """`railed` False: no guard-rail disposes, no minimum is asked of a saving and no pool is in quarantine. `probing`
    False: no launch is made only to look, as in production without a budget for it.
    `wait_hours`: the terminate wait; `interruption_minutes`: what an interruption takes where nobody stands by.
    """

    def __init__(
        self,
        *,
        railed: bool = True,
        probing: bool = True,
        wait_hours: float = 0.5,
        interruption_minutes: float = INTERRUPTION_MINUTES,
        rule: AgeHazard | None = None,
    ) -> None:
        super().__init__(railed=railed)
        self._interruption_minutes = interruption_minutes
        self._rule = rule or _shipped_rule()
        self._wait_hours = wait_hours
        self._probing = probing
        self._records: dict[Pool, PoolRecord] = {}
        self._looked: dict[int, int] = {}
        self._asked: tuple[forecast.Ask, Mapping[PoolId, Prospect]]  # what was asked last, and what was known

    def decide(self, view: View) -> Intention:
        self._quarantine.learn(view)
        self._learn(view)
        outlook = self._outlook(view)
        rates = outlook.rate_per_hour
        situation = self._judged(view, outlook)
        proposal = rules_v1.propose(situation)
        if proposal is None:
            return self._staying(view, rates, pending=self._tempted(view))
        if self._railed and refusal(self._facts(view, proposal, situation.pools)) is not None:
            return self._staying(view, rates, pending=True)
        to = ONDEMAND if proposal.target is None else list(view.pools).index(proposal.target)
        kept = None if view.standby == to else view.standby
        return Intention(go=to, standby=kept, wake=Wake(at=view.now + PAUSE_SECONDS))

    def fall_back(self, view: View) -> Sequence[int]:
        """Where the volume is: a calm spot pool of its zone saves the way back; in a storm on demand at once."""
        self._learn(view)
        rates = dict(enumerate(self._outlook(view).rate_per_hour.tolist()))
        return [p for p in super().fall_back(view) if p == ONDEMAND or rates[p] < forecast.CALM_RATE]

    # --- what is known --------------------------------------------------------------------------------------------

    def _learn(self, view: View) -> None:
        for number, looks in view.memory.looks.items():
            pool = view.pools[number]
            for look in looks[self._looked.get(number, 0) :]:
                at = datetime.fromtimestamp(look.at, UTC)
                self._records[pool] = seen(self._records.get(pool), at, up=look.up)
            self._looked[number] = len(looks)
        if view.at != ONDEMAND:
            here = view.pools[view.at]
            self._records[here] = seen(self._records.get(here), view.moment, up=True, throughout=True)

    def _outlook(self, view: View) -> Outlook:
        told = zip(view.pools, view.buckets.tolist(), strict=True)
        buckets = {pool.instance_type: bucket for pool, bucket in told if bucket >= 0}
        return self._rule.outlook(view.pools, self._records, view.moment, buckets)

    def _judged(self, view: View, outlook: Outlook) -> rules_v1.Situation:
        watched = forecast.prospects(view.pools, outlook)
        prospects = self._prospects(view, watched)
        numbers = {pool: number for number, pool in enumerate(view.pools)}
        pools = [
            replace(a, allowed=view.may_look(numbers[a.pool], PAUSE_SECONDS))
            for a in forecast.with_risks(self._assessed(view), prospects)
        ]
        bare = replace(
            self._situation(view, pools),
            forced_stay=_is_forced(view),
            min_savings_percent=self._least_percent(),
        )
        self._asked = self._ask(view, bare), prospects
        (figures,) = forecast.figures([self._asked[0]], prospects)
        return replace(bare, figures=figures)

    def _prospects(self, _view: View, watched: Mapping[PoolId, Prospect]) -> Mapping[PoolId, Prospect]:
        return watched if self._probing else forecast.unwatched(watched)

    def _ask(self, view: View, situation: rules_v1.Situation) -> forecast.Ask:
        on_spot = view.at != ONDEMAND
        free = situation.forced_stay or not self._railed
        return forecast.Ask(
            present=situation.present_pool,
            present_usd=situation.present_usd,
            pools=situation.pools,
            stakes=self._stakes(view),
            least_saving_percent=situation.min_savings_percent if on_spot else Decimal(0),
            risk_limit=Decimal(1) if free else self._rails.risk_threshold,
            standby_usd=_second_zone_usd(view),
        )

    def _stakes(self, view: View) -> Stakes:
        return Stakes(
            ondemand_usd=view.ondemand_usd,
            minute_usd=view.minute_usd,
            wait_hours=self._wait_hours,
            interruption_minutes=self._interruption_minutes,
        )

    def _least_percent(self) -> Decimal:
        return self._rails.min_savings_percent if self._railed else Decimal(0)

    def _tempting_share(self, view: View) -> float:
        """Of the present price: a pool above it cannot be worth a move, whatever its risk."""
        stakes = self._stakes(view)
        paid_back = stakes.move_usd(view.present_usd) / (stakes.horizon_hours * view.present_usd)
        return 1 - max(float(self._least_percent()) / 100, paid_back)

    # --- while it stays -------------------------------------------------------------------------------------------

    def _tempted(self, view: View) -> bool:
        """Some pool is cheap enough for a question that has just been answered: not again at every change."""
        if view.at == ONDEMAND:
            return False
        return bool((view.usd <= self._tempting_share(view) * view.present_usd).any())

    def _staying(self, view: View, rates: Floats, *, pending: bool) -> Intention:
        if view.at == ONDEMAND:
            return Intention(probes=self._due(view), wake=Wake(at=view.now + PAUSE_SECONDS))
        kept = self._kept_standby(view, rates)
        if kept is None:
            kept = self._standby(view, self._assessed(view))
        stormy = float(rates[view.at]) >= forecast.CALM_RATE or kept is not None
        probes = tuple(n for n in self._due(view) if n not in (view.at, kept)) if stormy else ()
        if pending:
            return Intention(standby=kept, probes=probes, wake=Wake(at=view.now + UNCHANGED_SECONDS))
        return Intention(
            standby=kept,
            probes=probes,
            wake=Wake(
                at=view.now + WATCH_SECONDS if stormy else inf,
                cheaper=self._tempting_share(view),
                above_usd=float(rules_v1.NEAR_ONDEMAND) * view.ondemand_usd,
            ),
        )

    def _due(self, view: View) -> tuple[int, ...]:
        """Pools that may be worth a return, now or after the next fall: a refusal costs nothing, a success a minute's
        bill. Of those that were never seen only the zones of its own type.
        """
        if not self._probing:
            return ()
        return tuple(n for n, pool in enumerate(view.pools) if self._is_due(view, n, self._records.get(pool)))

    def _is_due(self, view: View, number: int, record: PoolRecord | None) -> bool:
        if not view.usd[number] < view.ondemand_usd:
            return False
        if record is None:
            return view.pools[number].instance_type == view.home.instance_type
        proof_hours = self._stakes(view).proof_hours(float(view.usd[number]))
        pause = pause_seconds(record, proof_hours, on_spot=view.at != ONDEMAND)
        return view.now - record.seen_at.timestamp() >= pause

    def _kept_standby(self, view: View, rates: Floats) -> int | None:
        """In another zone, where it pays at this value of a minute; the one that runs is not changed for a cheaper."""
        zone = view.pools[view.at].az
        fit = [n for n, pool in enumerate(view.pools) if pool.az != zone and view.may_look(n, PAUSE_SECONDS)]
        if view.standby is not None and view.standby != view.at:
            fit = [view.standby]
        best = min(fit, key=lambda n: (view.usd[n], n), default=None)
        if best is None or view.usd[best] != view.usd[best]:
            return None
        worth = standby(float(rates[view.at]), float(view.usd[best]), float(rates[best]), self._stakes(view))
        return best if worth.pays else None


def _is_forced(view: View) -> bool:
    """On demand, and not by choice: SpotBench puts every run there at its start."""
    return view.at == ONDEMAND and (view.forced or view.since == view.started)


def _second_zone_usd(view: View) -> float:
    """What a standby would cost: the cheapest price of the zone that is second by it; infinite with one zone."""
    cheapest: dict[str, float] = {}
    for pool, usd in zip(view.pools, view.usd.tolist(), strict=True):
        if usd == usd:  # noqa: PLR0124 - NaN alone differs from itself
            cheapest[pool.az] = min(usd, cheapest.get(pool.az, inf))
    ordered = sorted(cheapest.values())
    return ordered[1] if len(ordered) > 1 else inf
