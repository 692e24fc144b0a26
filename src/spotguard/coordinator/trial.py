"""A model in shadow decides beside the present one, is compared, and does nothing.

Its own failures end here: whatever it raises is logged, and the decisions of the present one are made already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator.context import Beat, Context, Row, log
from spotguard.domain.decisions import PoolAssessment, Proposal
from spotguard.domain.ids import AgentId, ClientId, PoolId
from spotguard.domain.models import ModelState
from spotguard.engine import forecast, rules_v1
from spotguard.engine.forecast import Prospect
from spotguard.engine.rules_v1 import Situation
from spotguard.store import forecasts, judges, models, trials
from spotguard.store.judges import Bench, Judge
from spotguard.store.trials import Choice, Prediction

OFTEN = timedelta(hours=1)
"""A choice is stored when the pair of choices is another one, an agent's at most once in so long: prices that go to and
fro make no flood of rows."""
SAMPLE = timedelta(
    days=1
)  # and once in so long when nothing has changed, so that silence is told from agreement
FORGET_SECONDS = 86_400.0


class Found:
    """One agent with its market, as they are now. `flaw`: why nobody may be asked for `prospects`, else `judge` was."""

    def __init__(
        self,
        agent: Row,
        situation: Situation,
        prospects: Mapping[PoolId, Prospect],
        judge: str,
        flaw: str | None = None,
    ) -> None:
        self.agent = agent
        self.id = agent.id
        self.situation = situation
        self.prospects = prospects
        self.judge = judge
        self.flaw = flaw

    @property
    def assessments(self) -> list[PoolAssessment]:
        return list(self.situation.pools)


@dataclass(frozen=True)
class Market:
    """The agents of one tenant in one region."""

    id: str
    client_id: ClientId
    found: Sequence[Found]


class Trial:
    """After each round of decisions; without a model in shadow it does nothing at all."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._forget = Beat(FORGET_SECONDS)
        self._told: set[tuple[str, ClientId, PoolId]] = set()  # predictions of this hour
        self._hour: datetime | None = None
        self._last: dict[tuple[str, str], tuple[datetime, tuple[str, str]]] = {}

    def run(self, now: datetime, bench: Bench, found: Sequence[Found]) -> None:
        shadow = bench.shadow
        if shadow is None:
            return
        if shadow.flaw is not None:
            self.ctx.each("trial", [shadow], lambda judge: self._flawed(now, judge))
            return
        if self._forget.is_due(now):
            self.ctx.db.write(lambda tx: trials.forget(tx, now))
        sound = [one for one in found if one.flaw is None]
        self.ctx.each("trial", _markets(sound), lambda market: self._try(now, bench.present, shadow, market))
        self.ctx.db.write(lambda tx: trials.settle(tx, now))

    def _flawed(self, now: datetime, shadow: Judge) -> None:
        """What will not mend by itself ends its trial; what is this machine's own fault is told."""
        because = shadow.flaw or ""
        if not shadow.for_good:
            if self.ctx.news(shadow.name, because, now):
                log.warning("the model in shadow cannot be asked here", because=because)
            return

        def reject(tx: sa.Connection) -> None:
            row = models.on_duty(tx).get(ModelState.SHADOW)
            if row is not None and row.id == shadow.model_id:
                models.move(tx, now, row, ModelState.REJECTED, by=self.ctx.settings.name, because=because)

        self.ctx.db.write(reject)
        log.warning("the model in shadow is rejected", because=because)

    def _try(self, now: datetime, present: Judge, shadow: Judge, market: Market) -> None:
        priced = {a.pool: a.usd_per_hour for one in market.found for a in one.assessments}
        pools = sorted(priced, key=lambda pool: pool.id)
        prospects = self.ctx.db.read(
            lambda tx: forecasts.prospects(
                tx,
                now,
                market.client_id,
                pools,
                shadow.hazard,
                forecasts.watched(tx, now, market.client_id, priced),
            )
        )
        flaw = judges.why_not(shadow, prospects)
        if flaw is not None:
            if self.ctx.news(shadow.name, "no number", now):
                log.warning("the model in shadow says no number", because=flaw)
            return
        asked = [(one.agent, _seen_by(prospects, one.situation)) for one in market.found]
        told = forecasts.figures(asked, dict(prospects))
        theirs = [replace(asked_of, figures=one) for (_, asked_of), one in zip(asked, told, strict=True)]
        pairs = list(zip(market.found, theirs, strict=True))
        model_id = str(shadow.model_id)
        predicted = self._predictions(now, model_id, market, pairs, prospects)
        chosen = [one for pair in pairs if (one := self._choice(now, model_id, market.client_id, *pair))]
        if predicted or chosen:
            self.ctx.db.write(lambda tx: _store(tx, now, model_id, present.name, predicted, chosen))

    def _predictions(
        self,
        now: datetime,
        model_id: str,
        market: Market,
        pairs: Sequence[tuple[Found, Situation]],
        prospects: Mapping[PoolId, Prospect],
    ) -> list[Prediction]:
        """Of pools where it runs, and of those that either wants to go to; each once in an hour of the clock."""
        hour = now.replace(minute=0, second=0, microsecond=0)
        if hour != self._hour:
            self._told.clear()
            self._hour = hour
        wanted: dict[PoolId, Prospect] = {}
        for one, theirs in pairs:
            for pool in (one.situation.present_pool, _target(one.situation), _target(theirs)):
                if pool is not None and pool in one.prospects and pool in prospects:
                    wanted[pool] = one.prospects[pool]
        fresh = [pool for pool in sorted(wanted) if (model_id, market.client_id, pool) not in self._told]
        self._told.update((model_id, market.client_id, pool) for pool in fresh)
        return [
            Prediction(
                market.client_id, pool, _within_the_hour(wanted[pool]), _within_the_hour(prospects[pool])
            )
            for pool in fresh
        ]

    def _choice(
        self, now: datetime, model_id: str, client_id: ClientId, one: Found, theirs: Situation
    ) -> Choice | None:
        """What it would do with one agent, if that is to be stored."""
        proposal = rules_v1.propose(theirs)
        pair = (_named(proposal), _named(rules_v1.propose(one.situation)))
        last = self._newest(model_id, AgentId(one.id))
        if last is not None and now - last[0] < (OFTEN if pair != last[1] else SAMPLE):
            return None
        self._last[model_id, one.id] = (now, pair)
        because = rules_v1.why_stay(theirs) if proposal is None else proposal.because
        expected = None if theirs.figures is None else theirs.figures.told()
        return Choice(client_id, AgentId(one.id), *pair, because, expected)

    def _newest(self, model_id: str, agent_id: AgentId) -> tuple[datetime, tuple[str, str]] | None:
        known = self._last.get((model_id, agent_id))
        if known is None:
            row: Any = self.ctx.db.read(lambda tx: trials.last_choice(tx, model_id, agent_id))
            if row is None:
                return None
            known = self._last[model_id, agent_id] = (row.decided_at, (row.choice, row.present_choice))
        return known


def _markets(found: Sequence[Found]) -> list[Market]:
    by: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        by.setdefault((one.agent.client_id, one.agent.region), []).append(one)
    return [Market(f"{client}:{region}", ClientId(client), some) for (client, region), some in by.items()]


def _seen_by(prospects: Mapping[PoolId, Prospect], situation: Situation) -> Situation:
    return replace(situation, pools=forecast.with_risks(situation.pools, prospects), figures=None)


def _target(situation: Situation) -> PoolId | None:
    proposal = rules_v1.propose(situation)
    return None if proposal is None or proposal.target is None else proposal.target.id


def _named(proposal: Proposal | None) -> str:
    if proposal is None:
        return "stay"
    return f"{proposal.aim}:{'ondemand' if proposal.target is None else proposal.target.id}"


def _within_the_hour(prospect: Prospect) -> float:
    """Probability of an interruption, the rate taken to hold."""
    return -math.expm1(-prospect.rate_per_hour * trials.HORIZON.total_seconds() / 3600)


def _store(
    tx: sa.Connection,
    now: datetime,
    model_id: str,
    present: str,
    predicted: Sequence[Prediction],
    chosen: Sequence[Choice],
) -> None:
    trials.predict(tx, now, model_id, present, predicted)
    for one in chosen:
        trials.record_choice(tx, now, model_id, present, one)
