"""Which plan to recommend, and why: rules that read from top to bottom, the first that applies wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from spotguard.advice.figures import LEAST_DAYS, Estimate, PolicyFigures
from spotguard.advice.interruptions import Basis, Interruptions
from spotguard.advice.standby_worth import StandbyWorth
from spotguard.advice.wish import StandbyWish, Wish
from spotguard.engine.stakes import Stakes

CAREFUL = 1.0
"""Where nobody tells how often it is interrupted, or how often at most, spot has to pay at one interruption in 30 days
at least: more than four times where the advisor's worst band begins. An assumption, named as one in the advice.
"""


class Plan(StrEnum):
    """What is recommended."""

    ON_DEMAND = "on-demand"
    AUTOMATIC = "spot-automatic"
    STANDBY = "spot-manual-standby"


@dataclass(frozen=True)
class Situation:
    """What the rules read. `interruption_usd`: what one costs without a standby, with the way back to spot."""

    wish: Wish
    days: float
    stakes: Stakes
    automatic: PolicyFigures
    standby: PolicyFigures
    interruptions: Interruptions
    worth: StandbyWorth
    pools: int  # recommended ones
    interruption_usd: float

    @property
    def stands(self) -> bool:
        """Whether the plan would have a standby: it is wanted or surely pays, and leaves something."""
        if self.wish.standby is StandbyWish.NEVER:
            return False
        wanted = self.wish.standby is StandbyWish.ALWAYS or bool(self.worth.pays)
        return wanted and _net(self, self.standby) > 0

    @property
    def figures(self) -> PolicyFigures:
        """Of the plan that is weighed against on-demand."""
        return self.standby if self.stands else self.automatic

    @property
    def most(self) -> float:
        """Interruptions in 30 days that take up what is surely saved."""
        return max(0.0, _low(self.automatic.net_usd)) / self.interruption_usd


@dataclass(frozen=True)
class Choice:
    """A plan and the sentence that says why."""

    plan: Plan
    because: str


Rule = Callable[[Situation], Choice | None]


def few_days_tell_nothing(s: Situation) -> Choice | None:
    if s.days >= LEAST_DAYS:
        return None
    return _nothing(
        f"the file tells of {s.days:.1f} days; from {LEAST_DAYS} on there is an interval (EC2 keeps 90)"
    )


def without_a_cheaper_pool_nothing_is_moved(s: Situation) -> Choice | None:
    if s.pools:
        return None
    return _nothing("no pool is well below the on-demand price at the end of the file")


def where_spotguard_itself_would_stay(s: Situation) -> Choice | None:
    """Its own rule weighs what a minute is worth against what it has reason to fear."""
    if s.stands or s.automatic.returns > 0:
        return None
    told = (
        "" if s.interruptions.basis is not Basis.UNKNOWN else "; nobody has told how often it is interrupted"
    )
    return _nothing(f"at {s.stakes.minute_usd:.4f} USD a minute SpotGuard itself would stay on demand{told}")


def what_may_save_nothing_is_left_alone(s: Situation) -> Choice | None:
    if _low(s.figures.saving_usd) > 0:
        return None
    return _nothing(f"the saving may be nothing: {_between(s.figures.saving_usd)} USD in 30 days")


def downtime_must_not_cost_more_than_it_saves(s: Situation) -> Choice | None:
    net = _net(s, s.figures)
    if net > 0:
        return None
    if s.interruptions.basis is Basis.UNKNOWN:
        return _nothing(
            f"at this value of a minute spot pays only below {s.most:.2f} interruptions in 30 days, and nobody "
            f"has told how often there are any: {CAREFUL:g} is assumed; --advisor or --availability tells better"
        )
    return _nothing(
        f"at {s.stakes.minute_usd:.4f} USD a minute its downtime may cost more than is saved "
        f"({net:+.2f} USD in 30 days with it, at worst)"
    )


def a_savings_plan_that_saves_as_much_wins(s: Situation) -> Choice | None:
    if _low(s.figures.plan_net_usd) - _unmeasured(s, s.figures) > 0:
        return None
    high = s.figures.plan_net_usd.high
    more = "saves more" if high is not None and high < 0 else "may save as much"
    return _nothing(
        f"a 1-year Savings Plan ({100 * s.wish.savings_plan:.0f} % off) {more}, without interruptions: against it "
        f"spot makes {_between(s.figures.plan_net_usd)} USD in 30 days, what downtime is worth taken off"
    )


def a_standby_where_it_pays_or_is_wanted(s: Situation) -> Choice | None:
    if not s.stands:
        return None
    saves = f"saves {_between(s.standby.saving_usd)} USD in 30 days with its standby paid"
    if s.wish.standby is StandbyWish.ALWAYS:
        return Choice(Plan.STANDBY, f"as wanted: {saves}")
    return Choice(Plan.STANDBY, f"{saves}, and the standby pays: {s.worth.because}")


def otherwise_automatic_emergencies(s: Situation) -> Choice | None:
    told = f"saves {_between(s.automatic.saving_usd)} USD in 30 days"
    if s.wish.standby is StandbyWish.ALWAYS:
        told += "; a standby would cost more than is saved"
    if s.interruptions.basis is Basis.UNKNOWN:
        told += (
            f"; how often it would be interrupted is not known: it pays as long as that is less than {s.most:.1f} "
            "times in 30 days"
        )
    return Choice(Plan.AUTOMATIC, told)


RULES: tuple[Rule, ...] = (
    few_days_tell_nothing,
    without_a_cheaper_pool_nothing_is_moved,
    where_spotguard_itself_would_stay,
    what_may_save_nothing_is_left_alone,
    downtime_must_not_cost_more_than_it_saves,
    a_savings_plan_that_saves_as_much_wins,
    a_standby_where_it_pays_or_is_wanted,
    otherwise_automatic_emergencies,
)


def choose(situation: Situation) -> Choice:
    return next(choice for rule in RULES if (choice := rule(situation)) is not None)


def _net(s: Situation, figures: PolicyFigures) -> float:
    """What is gained at least, in USD in 30 days, with what a minute is worth."""
    return _low(figures.net_usd) - _unmeasured(s, figures)


def _unmeasured(s: Situation, figures: PolicyFigures) -> float:
    """What interruptions cost that the replay could not show."""
    if figures.interruptions is not None:
        return 0.0
    if figures is s.standby:
        return s.stakes.promotion_minutes * s.stakes.minute_usd * _at_worst(s.interruptions)
    return s.interruption_usd * _at_worst(s.interruptions)


def _at_worst(told: Interruptions) -> float:
    if told.basis is Basis.UNKNOWN or told.high is None:
        return max(CAREFUL, told.low or 0.0)
    return told.high


def _nothing(because: str) -> Choice:
    return Choice(Plan.ON_DEMAND, f"do nothing: {because}")


def _low(told: Estimate) -> float:
    return told.value if told.low is None else told.low


def _between(told: Estimate) -> str:
    if told.low is None or told.high is None:
        return f"{told.value:.2f}"
    return f"{told.low:.2f} to {told.high:.2f}"
