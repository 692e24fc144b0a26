"""Where each of many agents would best run: one array program over agents × pools.

For each agent and pool: cost per hour = price + rate × what an interruption costs; saving = the present cost less that,
for as long as the pool is expected to stay up within the horizon, less what the move itself costs. From on demand the
interruption's own cost alone counts, since one falls back to where one is; the best moment to return is then when
rate × (move + interruption) has fallen below the saving per hour (one-step look-ahead, optimal where the hazard
decreases).

Who has much to lose goes by more than what is expected of a pool: `caution` is the share of the doubt in its rate that
counts, and no standby takes it away, whose pool nobody vouches for either. Of the present pool it does not count, so
that nobody leaves for a doubt alone. Agents are taken in blocks whose arrays stay in the processor's cache.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from spotguard.engine.arrays import Flags, Floats, Indices

ON_DEMAND = -1
LEAST_RATE = 1e-9  # per hour: one interruption in a hundred thousand years
BLOCK = 32  # agents: 32 × 500 pools × 8 bytes are 128 KB


@dataclass(frozen=True)
class Market:
    """Arrays over pools. NaN: unknown; such a pool is never chosen. `doubt_per_hour`: by how much the rate may be
    higher. `closed`: in quarantine, or its price too old.
    """

    usd_per_hour: Floats
    rate_per_hour: Floats
    doubt_per_hour: Floats
    risk_6h: Floats
    closed: Flags


@dataclass(frozen=True)
class Fleet:
    """Arrays over agents, `barred` over agents × pools (not allowed, or left a short time ago).

    `present`: index of its pool, or `ON_DEMAND`, and `present_usd` what it pays there. `interruption_usd`: what one
    costs at the agent's value of a minute, from a spot pool the way back to one included; `downtime_usd`: its minutes
    alone; `caution`: the share of a doubt that counts. `move_usd`: downtime and double running of a planned move.
    `standby_usd`: what a standby costs an hour, infinite for none; with it an interruption costs `promotion_usd`.
    `least_share`: of the present price that a target must save at least, 0 where it need not (a recovery).
    """

    present: Indices
    present_usd: Floats
    ondemand_usd: Floats
    horizon_hours: Floats
    caution: Floats
    interruption_usd: Floats
    downtime_usd: Floats
    promotion_usd: Floats
    standby_usd: Floats
    move_usd: Floats
    least_share: Floats
    risk_limit: Floats
    cap_usd: Floats
    barred: Flags


@dataclass(frozen=True)
class Choices:
    """Arrays over agents. `pool`: the best other pool, `ON_DEMAND` where none is fit; the figures are that pool's.

    `gain_usd` over the horizon, net of the move; of staying it is 0 by definition. `runner_up`: the next best.
    `leave_usd`: the same gain of going on demand.
    """

    pool: Indices
    gain_usd: Floats
    usd_per_hour: Floats
    expected_usd_per_hour: Floats
    expected_hours: Floats
    risk_6h: Floats
    present_usd_per_hour: Floats
    leave_usd: Floats
    runner_up: Indices
    runner_up_gain_usd: Floats
    fit: Indices


def choose(market: Market, fleet: Fleet) -> Choices:
    """NaN in a price or a rate bars the pool; a NaN of the agent itself leaves it without a fit pool."""
    count = len(fleet.present)
    blocks = [_block(market, fleet, slice(at, at + BLOCK)) for at in range(0, count, BLOCK)]
    return _joined(blocks)


def gains(market: Market, fleet: Fleet) -> Floats:
    """Over agents × pools: what each pool gains net of the move, -inf where it is not fit."""
    everybody = slice(0, len(fleet.present))
    gain, _hours, _unfit = _gains(
        _usable(market), market, fleet, _agents(market, fleet, everybody), everybody
    )
    return gain - fleet.move_usd[:, None]


def _gains(
    pools: Floats, market: Market, fleet: Fleet, agents: _Agents, rows: slice
) -> tuple[Floats, Floats, Flags]:
    """Over agents × pools: the gain without the move (-inf where unfit), the expected hours, who is unfit."""
    hours = _expected_hours(market.rate_per_hour, fleet.horizon_hours[rows])
    saving = _hourly_saving(pools, market, agents)
    gain = np.multiply(saving, hours, out=saving)
    unfit = _unfit(pools, market.risk_6h, fleet, agents, rows)
    np.copyto(gain, -np.inf, where=unfit)
    return gain, hours, unfit


def _block(market: Market, fleet: Fleet, rows: slice) -> Choices:
    pools = _usable(market)
    agents = _agents(market, fleet, rows)
    gain, hours, unfit = _gains(pools, market, fleet, agents, rows)
    every = np.arange(len(agents.present_usd))
    best = gain.argmax(axis=1)
    best_gain = gain[every, best]
    gain[every, best] = -np.inf
    second = gain.argmax(axis=1)
    found = np.isfinite(best_gain)
    second_gain = gain[every, second]
    move = fleet.move_usd[rows]
    rate, price = market.rate_per_hour[best], market.usd_per_hour[best]
    return Choices(
        pool=np.where(found, best, ON_DEMAND),
        gain_usd=np.where(found, best_gain - move, -np.inf),
        usd_per_hour=np.where(found, price, np.nan),
        expected_usd_per_hour=np.where(found, price + _interruptions(rate, agents), np.nan),
        expected_hours=np.where(found, hours[every, best], np.nan),
        risk_6h=np.where(found, market.risk_6h[best], np.nan),
        present_usd_per_hour=agents.present_expected,
        leave_usd=_leaving(fleet, agents, rows),
        runner_up=np.where(np.isfinite(second_gain), second, ON_DEMAND),
        runner_up_gain_usd=second_gain - move,
        fit=len(pools) - np.count_nonzero(unfit, axis=1),
    )


@dataclass(frozen=True)
class _Agents:
    """One block's agents, at their present place. `dread`: USD that an interruption more an hour takes, by caution."""

    present: Indices
    present_usd: Floats
    present_rate: Floats
    present_expected: Floats
    interruption: Floats
    promotion: Floats
    standby: Floats
    has_standby: bool
    dread: Floats


def _agents(market: Market, fleet: Fleet, rows: slice) -> _Agents:
    present = fleet.present[rows]
    spot = present >= 0
    at = np.where(spot, present, 0)
    price = fleet.present_usd[rows]
    rate = np.where(spot, market.rate_per_hour[at], 0.0)
    standby = fleet.standby_usd[rows]
    bare = _Agents(
        present=present,
        present_usd=price,
        present_rate=rate,
        present_expected=price,
        interruption=fleet.interruption_usd[rows],
        promotion=fleet.promotion_usd[rows],
        standby=standby,
        has_standby=bool(np.isfinite(standby).any()),
        dread=fleet.caution[rows] * fleet.downtime_usd[rows],
    )
    return replace(bare, present_expected=price + _interruptions(rate, bare))


def _usable(market: Market) -> Floats:
    """Prices; infinite where the pool may not be chosen, whoever asks."""
    unknown = np.isnan(market.usd_per_hour) | np.isnan(market.rate_per_hour) | np.isnan(market.risk_6h)
    return np.where(unknown | market.closed, np.inf, market.usd_per_hour)


def _interruptions(rate: Floats, agents: _Agents) -> Floats:
    """USD per hour, one rate for each agent."""
    alone = rate * agents.interruption
    if not agents.has_standby:
        return alone
    return np.minimum(alone, agents.standby + rate * agents.promotion)


def _hourly_saving(prices: Floats, market: Market, agents: _Agents) -> Floats:
    """For agents × pools: the present cost less the pool's, interruptions included in both."""
    cost = np.multiply.outer(agents.interruption, market.rate_per_hour)
    if agents.has_standby:
        shielded = np.multiply.outer(agents.promotion, market.rate_per_hour)
        shielded += agents.standby[:, None]
        np.minimum(cost, shielded, out=cost)
    cost += np.multiply.outer(agents.dread, market.doubt_per_hour)
    cost += prices
    return np.subtract(agents.present_expected[:, None], cost, out=cost)


def _expected_hours(rates: Floats, horizon: Floats) -> Floats:
    """For agents × pools: how long one would stay up, at most to the horizon."""
    careful = np.maximum(rates, LEAST_RATE)
    told, which = np.unique(horizon, return_inverse=True)
    hours = np.multiply.outer(-told, careful)
    np.expm1(hours, out=hours)
    hours *= -1.0 / careful
    return hours[which]


def _unfit(prices: Floats, risks: Floats, fleet: Fleet, agents: _Agents, rows: slice) -> Flags:
    most = np.fmin((1.0 - fleet.least_share[rows]) * agents.present_usd, fleet.cap_usd[rows])
    most = np.where(np.isnan(agents.present_usd), -np.inf, most)
    unfit = prices > most[:, None]
    unfit |= risks > fleet.risk_limit[rows][:, None]
    unfit |= fleet.barred[rows]
    spot = np.flatnonzero(agents.present >= 0)
    unfit[spot, agents.present[spot]] = True
    return unfit


def _leaving(fleet: Fleet, agents: _Agents, rows: slice) -> Floats:
    """What going on demand gains over staying, for as long as the present pool would have stayed up.

    The way back to spot is not counted: on demand one has it before oneself, too.
    """
    rate = np.maximum(agents.present_rate, LEAST_RATE)
    hours = -np.expm1(-rate * fleet.horizon_hours[rows]) / rate
    way_back = agents.interruption - fleet.downtime_usd[rows]
    shielded = agents.standby + agents.present_rate * (agents.promotion - way_back)
    here = agents.present_usd + np.minimum(agents.present_rate * fleet.downtime_usd[rows], shielded)
    gain = (here - fleet.ondemand_usd[rows]) * hours - fleet.move_usd[rows]
    return np.where(agents.present >= 0, gain, -np.inf)


def _joined(blocks: list[Choices]) -> Choices:
    return Choices(**{f.name: np.concatenate([getattr(b, f.name) for b in blocks]) for f in fields(Choices)})
