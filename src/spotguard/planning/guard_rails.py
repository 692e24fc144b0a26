"""The limits that dispose of what a policy proposes (rulings B14, B17 and the last paragraph of the rulings)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from spotguard.domain.agents import Autonomy, GuardRails, KillLevel
from spotguard.domain.decisions import Aim, PoolAssessment, Proposal, Verdict
from spotguard.domain.ids import PoolId
from spotguard.domain.instances import Mode

_CERTAIN = Decimal(1)
RETURN_PAUSE = timedelta(hours=6)  # A→B→A within this time needs a person or an emergency (invariant 11)
OLDEST_PRICE_SECONDS = 900.0  # no voluntary move on a price older than this
_FIRST_REST = timedelta(minutes=30)
_LONGEST_REST = timedelta(hours=24)


@dataclass(frozen=True)
class PastSwitch:
    """A switch of the last week. `voluntary`: neither an emergency nor a recovery to spot."""

    at: datetime
    voluntary: bool
    left_pool: PoolId | None  # None: on demand


@dataclass(frozen=True)
class Fruitless:
    """Voluntary moves that came to nothing, one after the other, since one succeeded; but for those that a pool
    refused. `ended_at`: the last of them.
    """

    many: int
    ended_at: datetime


@dataclass(frozen=True)
class SpendFacts:
    """Caps, and what runs and is being launched under each; None: no cap, or unknown."""

    agent_cap_usd: Decimal | None
    client_cap_usd: Decimal | None
    agent_hourly_usd: Decimal | None
    client_hourly_usd: Decimal | None


@dataclass(frozen=True)
class RailFacts:
    """What the guard-rails look at."""

    proposal: Proposal
    now: datetime
    rails: GuardRails
    kill: KillLevel
    frozen: str | None  # why all voluntary action is frozen (correlated silence), or None
    in_pool_since: datetime | None
    history: tuple[PastSwitch, ...]
    target: PoolAssessment | None  # None: on demand
    spend: SpendFacts
    quota: str | None = None  # why the vCPU quota has no room for it, or None
    ondemand_quarantined_until: datetime | None = None  # a launch on demand was refused where it would be
    imaging_minutes: Decimal | None = None  # of downtime, if only an image can carry the state there
    fruitless: Fruitless | None = None
    left_running: str | None = None  # an instance that an earlier switch left, and that nobody is to end


Rail = Callable[[RailFacts], str | None]


def the_kill_switch_is_off(facts: RailFacts) -> str | None:
    if facts.kill is KillLevel.NONE:
        return None
    return f"the kill switch stands at {facts.kill.name.lower()}"


def nothing_is_frozen(facts: RailFacts) -> str | None:
    return facts.frozen


def the_target_is_allowed_and_safe(facts: RailFacts) -> str | None:
    target = facts.target
    if target is None:
        return _why_not_on_demand(facts)
    if not target.allowed:
        return target.because
    if target.quarantined_until is not None and target.quarantined_until > facts.now:
        return f"{target.pool.id} is in quarantine until {target.quarantined_until:%Y-%m-%d %H:%M} UTC"
    if target.usd_per_hour is None:
        return f"no price is known of {target.pool.id}"
    if target.age_seconds is not None and target.age_seconds > OLDEST_PRICE_SECONDS:
        return f"the price of {target.pool.id} is {target.age_seconds:.0f} s old: too old to move on"
    return None


def _why_not_on_demand(facts: RailFacts) -> str | None:
    if facts.proposal.mode is not Mode.ONDEMAND:
        return "nothing is known of the proposed pool"
    until = facts.ondemand_quarantined_until
    if until is None or until <= facts.now:
        return None
    return f"a launch on demand was refused here: it is left alone until {until:%Y-%m-%d %H:%M} UTC"


def the_risk_is_bearable(facts: RailFacts) -> str | None:
    """An unknown risk is allowed: without figures rules-v1 has no measure of it."""
    risk = facts.target.risk_6h if facts.target is not None else None
    return RiskRule(facts.rails.risk_threshold, facts.proposal.aim is Aim.RECOVER).why_not(risk)


@dataclass(frozen=True)
class RiskRule:
    """An agent's limit of the probability of an interruption within 6 h, for voluntary moves into a pool.

    `is_return`: the move would end a forced stay on demand, and is outside this limit as it is outside the others: what
    it gains weighs the risk already.
    """

    threshold: Decimal
    is_return: bool

    @property
    def binding(self) -> Decimal:
        return _CERTAIN if self.is_return else self.threshold

    def why_not(self, risk_6h: Decimal | None) -> str | None:
        return above_the_limit(risk_6h, self.binding)

    def exceeded(self, risk_6h: Decimal | None) -> str | None:
        """Whether that is in the way or not."""
        return above_the_limit(risk_6h, self.threshold)

    def although(self, risk_6h: Decimal | None) -> str | None:
        """For people, of a pool to which a return goes all the same."""
        told = self.exceeded(risk_6h)
        return (
            None if told is None else f"{told}, which binds no return to spot after a forced stay on demand"
        )


def above_the_limit(risk_6h: Decimal | None, limit: Decimal) -> str | None:
    """That a probability of interruption within 6 h exceeds the agent's limit, for people; None when it does not."""
    if risk_6h is None or risk_6h <= limit:
        return None
    return f"above this agent's risk limit: {100 * risk_6h:.1f} % within 6 h, at most {100 * limit:.1f} % are allowed"


def the_saving_is_worth_it(facts: RailFacts) -> str | None:
    if facts.proposal.aim is not Aim.SAVE or facts.proposal.saving_percent >= facts.rails.min_savings_percent:
        return None
    return f"saves {facts.proposal.saving_percent:.1f} %, less than the minimum of {facts.rails.min_savings_percent} %"


def it_does_not_stop_the_workload_to_save(facts: RailFacts) -> str | None:
    """Synced and volume moves take seconds; what an image takes no saving of this hour pays for."""
    if facts.proposal.aim is not Aim.SAVE or facts.imaging_minutes is None:
        return None
    return (
        f"nothing syncs its state, and an image of it would stop the workload for {facts.imaging_minutes} minutes: "
        "name state_path in its agent's settings, or order the move"
    )


def what_it_left_before_has_ended(facts: RailFacts) -> str | None:
    """Without auto-terminate each move leaves one that is billed: it saves nothing before its user has ended that."""
    if facts.proposal.aim is Aim.ESCAPE or facts.left_running is None:
        return None
    return f"auto-terminate is off, and {facts.left_running} of an earlier switch still runs: end it first"


def it_rests_after_moves_that_came_to_nothing(facts: RailFacts) -> str | None:
    """Whatever the aim: each of them costs an instance or stops the workload, and the next would meet the same."""
    told = facts.fruitless
    if told is None:
        return None
    until = told.ended_at + min(_FIRST_REST * 2 ** min(told.many - 1, 10), _LONGEST_REST)
    if facts.now >= until:
        return None
    what = "the last voluntary move" if told.many == 1 else f"the last {told.many} voluntary moves"
    return f"{what} came to nothing: the next is not begun before {until:%Y-%m-%d %H:%M} UTC"


def it_has_stayed_long_enough(facts: RailFacts) -> str | None:
    if facts.proposal.aim is Aim.RECOVER or facts.in_pool_since is None:
        return None
    stayed = Decimal(str((facts.now - facts.in_pool_since).total_seconds())) / 3600
    if stayed >= facts.rails.min_pool_hours:
        return None
    return f"only {stayed:.1f} h here, at least {facts.rails.min_pool_hours} h are wanted"


def the_switch_limits_hold(facts: RailFacts) -> str | None:
    if facts.proposal.aim is Aim.RECOVER:
        return None
    for span, name, most in (
        (timedelta(days=1), "day", facts.rails.max_switches_per_day),
        (timedelta(days=7), "week", facts.rails.max_switches_per_week),
    ):
        done = sum(1 for switch in facts.history if switch.voluntary and facts.now - switch.at < span)
        if done >= most:
            return f"{done} voluntary switches within the last {name}, at most {most} are allowed"
    return None


def it_does_not_go_back_and_forth(facts: RailFacts) -> str | None:
    if facts.proposal.aim is Aim.RECOVER:
        return None
    target = (
        facts.proposal.target.id
        if facts.proposal.mode is Mode.SPOT and facts.proposal.target is not None
        else None
    )
    for switch in facts.history:
        if switch.left_pool == target and facts.now - switch.at < RETURN_PAUSE:
            return f"it left {target or 'on-demand'} at {switch.at:%H:%M} UTC: no return within 6 h"
    return None


def the_spend_caps_hold(facts: RailFacts) -> str | None:
    """Old and new run together for a while, so that each cap counts both."""
    spend, cost = facts.spend, facts.proposal.usd_per_hour
    for whose, cap, present in (
        ("this agent's", spend.agent_cap_usd, spend.agent_hourly_usd),
        ("the client's", spend.client_cap_usd, spend.client_hourly_usd),
    ):
        if cap is None:
            continue
        if present is None:
            return "what runs now has no known price, and there is a spend cap"
        if present + cost > cap:
            return (
                f"old and new run side by side meanwhile, which would come to {present + cost} USD/h: {whose} cap "
                f"(maxHourlyUsd) is {cap}, and no move there is made before it is raised to that"
            )
    return None


def the_quota_has_room(facts: RailFacts) -> str | None:
    """Old and new run together for a while, and EC2 counts both (E8)."""
    return facts.quota


RAILS: tuple[Rail, ...] = (
    the_kill_switch_is_off,
    nothing_is_frozen,
    the_target_is_allowed_and_safe,
    the_risk_is_bearable,
    the_saving_is_worth_it,
    it_does_not_stop_the_workload_to_save,
    what_it_left_before_has_ended,
    it_rests_after_moves_that_came_to_nothing,
    it_has_stayed_long_enough,
    the_switch_limits_hold,
    it_does_not_go_back_and_forth,
    the_spend_caps_hold,
    the_quota_has_room,
)


def refusing(facts: RailFacts) -> Rail | None:
    """The first guard-rail that refuses the proposal; None when every one agrees."""
    return next((rail for rail in RAILS if rail(facts) is not None), None)


def refusal(facts: RailFacts) -> str | None:
    """Why the proposal may not be carried out; None when every guard-rail agrees."""
    rail = refusing(facts)
    return None if rail is None else rail(facts)


def verdict(proposal: Proposal | None, refused: str | None, autonomy: Autonomy) -> Verdict:
    """How far it goes by itself (ruling B17)."""
    if proposal is None:
        return Verdict.STAY
    if refused is not None:
        return Verdict.REFUSED
    match autonomy:
        case Autonomy.OBSERVE:
            return Verdict.STAY
        case Autonomy.RECOMMEND:
            return Verdict.RECOMMEND
        case Autonomy.APPROVE:
            return Verdict.AWAIT_APPROVAL
        case Autonomy.AUTO:
            return Verdict.MOVE
