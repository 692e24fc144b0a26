"""The shipped decision as a policy: `engine.rules_v1` proposes, `planning.guard_rails` dispose, `planning.standby` says
where a rescue looks, all as they are. What the rows of a database would tell them is told from the run's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf

import numpy as np

from spotguard.backtest.policy import ONDEMAND, Intention, Sight, View, Wake
from spotguard.domain.agents import GuardRails, KillLevel
from spotguard.domain.decisions import PoolAssessment, Proposal
from spotguard.domain.ids import PoolId
from spotguard.domain.instances import Mode
from spotguard.domain.money import PRICE_STEP
from spotguard.domain.signals import REBALANCE_COUNTS_FOR
from spotguard.engine import rules_v1
from spotguard.planning.guard_rails import PastSwitch, RailFacts, SpendFacts, refusal
from spotguard.planning.standby import emergency_places, standby_places
from spotguard.store.quarantine import FIRST, FORGIVEN_AFTER, LONGEST

AGAIN_SECONDS = 300.0  # coordinator.decide works a market out anew at least so often
NO_ALL_CLEAR_SECONDS = REBALANCE_COUNTS_FOR.total_seconds()  # then an emergency replica is retired (B7)
A_WEEK = timedelta(days=7)
_SAME_STRIKE = timedelta(minutes=1)


class Quarantine:
    """What `store.quarantine` keeps in rows, from the refusals and interruptions of one run."""

    def __init__(self) -> None:
        self.struck_at: dict[int, datetime] = {}
        self.until: dict[int, datetime] = {}
        self._strikes: dict[int, int] = {}
        self._read: dict[int, int] = {}

    def learn(self, view: View) -> None:
        for pool, looks in view.memory.looks.items():
            for look in looks[self._read.get(pool, 0) :]:
                if not look.up and look.how is not Sight.PROBE:
                    self._strike(pool, datetime.fromtimestamp(look.at, UTC))
            self._read[pool] = len(looks)

    def _strike(self, pool: int, at: datetime) -> None:
        before = self.struck_at.get(pool)
        if before is not None and at - before < _SAME_STRIKE:
            return
        fresh = before is None or at - self.until[pool] > FORGIVEN_AFTER
        strikes = 1 if fresh else self._strikes[pool] + 1
        self._strikes[pool], self.struck_at[pool] = strikes, at
        self.until[pool] = at + min(FIRST * 2 ** min(strikes - 1, 10), LONGEST)


class RulesV1:
    """`rules-v1` without a risk model. `railed` False: no guard-rail disposes and no pool is in quarantine."""

    sees_states = False

    def __init__(self, *, railed: bool = True) -> None:
        self._railed = railed
        self._rails = GuardRails()
        self._quarantine = Quarantine()

    def decide(self, view: View) -> Intention:
        self._quarantine.learn(view)
        situation = self._situation(view, self._assessed(view))
        pools = situation.pools
        proposal = rules_v1.propose(situation)
        standby = self._standby(view, pools)
        if proposal is None:
            return Intention(standby=standby, wake=self._wake(view, pending=standby is not None))
        if self._railed and refusal(self._facts(view, proposal, pools)) is not None:
            return Intention(standby=standby, wake=self._wake(view, pending=True))
        return Intention(go=_number(view, proposal), standby=standby, wake=self._wake(view, pending=True))

    def fall_back(self, view: View) -> Sequence[int]:
        """Where the volume is: spot by price, then on demand."""
        self._quarantine.learn(view)
        lost = view.pools[view.at]
        places = emergency_places(
            self._assessed(view),
            present=lost,
            ondemand=_ondemand(view),
            now=view.moment,
            only_az=lost.az,
        )
        numbers = {pool.id: number for number, pool in enumerate(view.pools)}
        return [ONDEMAND if p.mode is Mode.ONDEMAND else numbers[p.pool.id] for p in places]

    # --- what it is told ------------------------------------------------------------------------------------------

    def _assessed(self, view: View) -> list[PoolAssessment]:
        usd = view.usd.tolist()
        order = np.argsort(view.usd, kind="stable").tolist()
        return [self._assess(view, number, usd[number]) for number in order]

    def _assess(self, view: View, number: int, usd: float) -> PoolAssessment:
        struck_at = self._quarantine.struck_at.get(number)
        until = self._quarantine.until.get(number) if self._railed else None
        held = until if until is not None and until > view.moment else None
        return PoolAssessment(
            pool=view.pools[number],
            usd_per_hour=None if usd != usd else _money(usd),  # noqa: PLR0124 - NaN alone differs from itself
            age_seconds=0.0,
            up_seconds=None if struck_at is None else (view.moment - struck_at).total_seconds(),
            risk_6h=None,
            quarantined_until=held,
            allowed=True,
            because="allowed",
        )

    def _situation(self, view: View, pools: Sequence[PoolAssessment]) -> rules_v1.Situation:
        on_spot = view.at != ONDEMAND
        return rules_v1.Situation(
            now=view.moment,
            mode=Mode.SPOT if on_spot else Mode.ONDEMAND,
            present_pool=view.pools[view.at].id if on_spot else None,
            present_usd=_money(view.present_usd),
            ondemand_usd=_money(view.ondemand_usd),
            forced_stay=view.forced,
            min_savings_percent=self._rails.min_savings_percent,
            pools=pools,
            home=view.home,
        )

    def _facts(self, view: View, proposal: Proposal, pools: Sequence[PoolAssessment]) -> RailFacts:
        target = proposal.target.id if proposal.target is not None else None
        return RailFacts(
            proposal=proposal,
            now=view.moment,
            rails=self._rails,
            kill=KillLevel.NONE,
            frozen=None,
            in_pool_since=None if view.since == view.started else datetime.fromtimestamp(view.since, UTC),
            history=_history(view),
            target=next((a for a in pools if a.pool.id == target), None),
            spend=SpendFacts(None, None, None, None),
        )

    # --- when, and what stands by ---------------------------------------------------------------------------------

    def _wake(self, view: View, *, pending: bool) -> Wake:
        """No rule can speak before a price reaches its limit; a refusal can pass with time alone."""
        if view.at == ONDEMAND:
            limit = float(rules_v1.WELL_BELOW_ONDEMAND) * view.ondemand_usd
            waiting = bool((view.usd <= limit).any())
            return Wake(at=view.now + AGAIN_SECONDS if waiting or pending else inf, below_usd=limit)
        return Wake(
            at=view.now + AGAIN_SECONDS if pending else inf,
            cheaper=1 - float(self._rails.min_savings_percent) / 100,
            above_usd=float(rules_v1.NEAR_ONDEMAND) * view.ondemand_usd,
        )

    def _standby(self, view: View, pools: Sequence[PoolAssessment]) -> int | None:
        """An emergency replica after a signal; kept for two hours, as there is no all-clear."""
        if view.at == ONDEMAND or view.now - view.signalled_at >= NO_ALL_CLEAR_SECONDS:
            return None
        if view.standby is not None:
            return view.standby
        places = standby_places(
            pools,
            primary=view.pools[view.at],
            primary_mode=Mode.SPOT,
            ondemand=_ondemand(view),
            now=view.moment,
        )
        numbers = {pool.id: number for number, pool in enumerate(view.pools)}
        first = next(iter(places), None)
        return None if first is None else ONDEMAND if first.mode is Mode.ONDEMAND else numbers[first.pool.id]


def _history(view: View) -> tuple[PastSwitch, ...]:
    """Of the last week. Recoveries to spot are not voluntary; the move away from the start is."""

    def of(pool: int) -> PoolId | None:
        return None if pool == ONDEMAND else view.pools[pool].id

    since = view.now - A_WEEK.total_seconds()
    lost = [
        PastSwitch(datetime.fromtimestamp(at, UTC), False, of(p))
        for at, p in view.memory.interruptions[-100:]
    ]
    first = view.memory.moves[:1]
    moved = [
        PastSwitch(datetime.fromtimestamp(move.at, UTC), not move.forced or first == [move], of(move.left))
        for move in view.memory.moves[-100:]
    ]
    return tuple(switch for switch in (*lost, *moved) if switch.at.timestamp() >= since)


def _number(view: View, proposal: Proposal) -> int:
    if proposal.mode is Mode.ONDEMAND or proposal.target is None:
        return ONDEMAND
    return list(view.pools).index(proposal.target)


def _ondemand(view: View) -> dict[str, Decimal]:
    """Only its own type's on-demand price is known to a run."""
    return {view.home.instance_type: _money(view.ondemand_usd)}


def _money(usd: float) -> Decimal:
    return Decimal(repr(usd)).quantize(PRICE_STEP)
