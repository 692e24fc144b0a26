"""Voluntary moves: assess, propose, ask the guard-rails, record with reasons, and move where autonomy allows it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from spotguard.coordinator.context import Beat, Context, Row, log
from spotguard.coordinator.trial import Found, Trial
from spotguard.domain.agents import Autonomy
from spotguard.domain.decisions import Proposal, Verdict
from spotguard.domain.errors import Refused
from spotguard.domain.ids import AgentId, ClientId
from spotguard.engine import forecast, rules_v1
from spotguard.planning import approvals, guard_rails
from spotguard.store import decisions, events, fleet, forecasts, judges, ondemand, prices, quarantine, rails
from spotguard.store.judges import Judge

LONG_STAY = timedelta(hours=6)  # on demand by no wish of anybody's: people are told, once a day
AT_LEAST_EVERY = timedelta(minutes=5)  # dwell times and quarantines run out without any row changing


class Decide:
    """Every minute; a market and a fleet in which nothing has changed are not worked out anew."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self._beat = Beat(ctx.settings.decide_seconds)
        self._seen: tuple[Any, ...] | None = None
        self._worked_at: datetime | None = None
        self._keys: dict[str, str | None] = {}
        self._bench = judges.Bench(judges.built_in())
        self._trial = Trial(ctx)

    def run(self, now: datetime, frozen: dict[ClientId, str]) -> int:
        if not self._beat.is_due(now):
            return 0
        market = self.ctx.db.read(decisions.market_state)
        state = (*market, tuple(frozen.items()))
        rested = self._worked_at is not None and now - self._worked_at < AT_LEAST_EVERY
        if state == self._seen and rested:
            return 0
        self._seen, self._worked_at = state, now
        self._seat(now, market[-1])
        situations = self.ctx.db.read(lambda tx: look(tx, now, self._bench.present))
        moved = self.ctx.each("decide", situations, lambda found: self._decide(now, found, frozen))
        self.ctx.each("long stays", situations, lambda found: self._tell_long_stay(now, found))
        self._trial.run(now, self._bench, situations)
        return moved

    def _seat(self, now: datetime, models_moved: int | None) -> None:
        """Whose risks decide, and who is on trial; without a registered model nothing is asked."""
        if models_moved is None:
            return
        self._bench = self.ctx.db.read(lambda tx: judges.sitting(tx, now, self.ctx.shelf))
        flaw = self._bench.present.flaw
        if flaw is not None and self.ctx.news(self._bench.present.name, flaw, now):
            log.warning("no voluntary move is made: the active model may not be asked", because=flaw)

    @property
    def judge(self) -> Judge:
        """Whose risks decide."""
        return self._bench.present

    def _decide(self, now: datetime, found: Found, frozen: dict[ClientId, str]) -> bool:
        if found.flaw is not None:
            return self._stay(now, found)
        proposal = rules_v1.propose(found.situation)
        if proposal is None:
            return self._stay(now, found)
        why_frozen = frozen.get(ClientId(found.agent.client_id))
        known = self._key(found.agent.id)
        moved, key = self.ctx.db.write(lambda tx: _dispose(tx, now, found, proposal, why_frozen, known))
        self._keys[found.agent.id] = key
        if moved is not None:
            self.ctx.wakeup.agent(moved)
        return moved is not None

    def _stay(self, now: datetime, found: Found) -> bool:
        """Stored when something was considered and it differs from the last decision."""
        because = found.flaw or rules_v1.why_stay(found.situation)
        considered = _cheapest(found) if found.flaw is None else "flawed"
        key = f"{Verdict.STAY}:{considered}:{_stand(found.agent)}"
        if key == self._key(found.agent.id):
            return False
        self._keys[found.agent.id] = key
        inputs = decisions.inputs_of(found.situation, found.assessments, found.agent, key, found.judge)
        self.ctx.db.write(
            lambda tx: decisions.record(
                tx, now, found.agent, verdict=Verdict.STAY, proposal=None, because=because, inputs=inputs
            )
        )
        return False

    def _tell_long_stay(self, now: datetime, found: Found) -> bool:
        since = found.agent.in_pool_since
        if not found.situation.forced_stay or since is None or now - since < LONG_STAY:
            return False
        message = (
            f"on demand since {since:%Y-%m-%d %H:%M} UTC by an emergency or an escape, and not back on spot: "
            "its newest decision says why"
        )
        if self.ctx.news(found.id, message, now):
            whom = now, ClientId(found.agent.client_id), AgentId(found.id)
            a_day = timedelta(days=1)
            self.ctx.db.write(lambda tx: events.append_every(tx, *whom, "held_on_demand", message, a_day))
        return False

    def _key(self, agent_id: str) -> str | None:
        if agent_id not in self._keys:
            self._keys[agent_id] = self.ctx.db.read(lambda tx: decisions.last_key(tx, AgentId(agent_id)))
        return self._keys[agent_id]


def _cheapest(found: Found) -> str:
    """Where the situation points, coarsely: the price's own movement is no new consideration."""
    others = [a for a in found.assessments if a.allowed and a.pool.id != found.situation.present_pool]
    best = min(
        (a for a in others if a.usd_per_hour is not None), key=lambda a: a.usd_per_hour or 0, default=None
    )
    return f"{found.situation.present_pool or found.situation.mode}:{best.pool.id if best is not None else 'none'}"


def _stand(agent: Row) -> str:
    """What was decided in another term of primacy or under other settings is history: it is decided anew."""
    return f"{agent.epoch}:{agent.config_version}"


def look(
    tx: sa.Connection, now: datetime, judge: Judge, payers: Collection[ClientId] | None = None
) -> list[Found]:
    """Each market once, however many agents share it. `payers`: of these alone, for whom a probe may be bought now."""
    rows = [row for row in decisions.candidates(tx) if payers is None or row.client_id in payers]
    markets: dict[tuple[str, str], tuple[list[prices.PoolPrice], dict[Any, Row], dict[str, Decimal]]] = {}
    types: dict[tuple[str, str], set[str]] = {}
    for agent in rows:
        types.setdefault((agent.client_id, agent.region), set()).update(
            fleet.allowance(agent).instance_types(), [agent.instance_type]
        )
    for (client_id, region), wanted in types.items():
        client = ClientId(client_id)
        markets[client_id, region] = (
            prices.prices_known_to(tx, now, client, sorted(wanted), region),
            quarantine.of_client(tx, client),
            ondemand.prices_of(tx, client, region, instance_types=wanted),
        )
    found: dict[str, Found] = {}
    for place, (known, struck, fixed) in markets.items():
        priced = {price.pool: price.price for price in known}
        watched = forecasts.watched(tx, now, ClientId(place[0]), priced, will_look=payers is not None)
        prospects = forecasts.prospects(tx, now, ClientId(place[0]), list(priced), judge.hazard, watched)
        flaw = judge.flaw or judges.why_not(judge, prospects)
        asking = []
        for agent in (row for row in rows if (row.client_id, row.region) == place):
            own = {*fleet.allowance(agent).instance_types(), agent.instance_type}
            mine = [price for price in known if price.pool.instance_type in own]
            bare = fleet.assess_known(mine, struck, fleet.allowance_of_engine(tx, agent), now)
            assessments = forecast.with_risks(bare, prospects)
            asking.append((agent, decisions.situation(tx, now, agent, assessments, fixed)))
        told = forecasts.figures(asking, prospects)
        for (agent, situation), figures in zip(asking, told, strict=True):
            whole = replace(situation, figures=figures)
            found[agent.id] = Found(agent, whole, prospects, judge.name, flaw)
    return [found[agent.id] for agent in rows]


def _dispose(
    tx: sa.Connection,
    now: datetime,
    found: Found,
    proposal: Proposal,
    frozen: str | None,
    last_key: str | None,
) -> tuple[str | None, str | None]:
    """The instance to wake if a move was opened, and the key of what came of it."""
    agent = found.agent
    present = decisions.candidate(tx, AgentId(agent.id))
    if present is None or _stand(present) != _stand(agent):
        return (
            None,
            last_key,
        )  # its user has said otherwise since the look, or it serves elsewhere: decided anew
    proposal, facts = rails.rung(tx, now, agent, found.situation, proposal, frozen)
    rail = guard_rails.refusing(facts)
    refused, by = (None, "") if rail is None else (rail(facts), rail.__name__)
    verdict = guard_rails.verdict(proposal, refused, Autonomy(agent.autonomy))
    because = proposal.because if refused is None else f"{proposal.because}; refused: {refused}"
    command_id = None
    if verdict is Verdict.MOVE:
        try:
            command_id = decisions.open_proposed(tx, now, agent, proposal).command_id
        except Refused as refusal:
            verdict, by = Verdict.REFUSED, "the_order"
            because = f"{proposal.because}; refused: {refusal}"
    elif verdict is Verdict.STAY:
        because = f"would move: {proposal.because}; autonomy is {agent.autonomy}"
    target = proposal.target.id if proposal.target is not None else "ondemand"
    key = f"{verdict}:{proposal.aim}:{target}:{by}:{_stand(agent)}"
    if key == last_key and not _is_said_again(tx, now, agent.id, verdict):
        return None, key
    decisions.record(
        tx,
        now,
        agent,
        verdict=verdict,
        proposal=proposal,
        because=because,
        inputs=decisions.inputs_of(found.situation, found.assessments, agent, key, found.judge),
        command_id=command_id,
    )
    if verdict in (Verdict.RECOMMEND, Verdict.AWAIT_APPROVAL):
        events.append(tx, now, agent.client_id, agent.id, f"decision_{verdict.value}", because)
    return (agent.instance_id if verdict is Verdict.MOVE else None), key


def _is_said_again(tx: sa.Connection, now: datetime, agent_id: AgentId, verdict: Verdict) -> bool:
    """The same again is recorded when it moves, or when people have not answered or the move came to nothing."""
    if verdict is not Verdict.AWAIT_APPROVAL:
        return verdict is Verdict.MOVE
    last = decisions.newest(tx, agent_id)
    return last is None or approvals.is_due_again(decisions.said_of(last), now)
