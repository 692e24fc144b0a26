"""The advice for one workload, put together from its facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from spotguard.advice import remarks
from spotguard.advice.figures import PolicyFigures, figures
from spotguard.advice.interruptions import Interruptions, expected
from spotguard.advice.market import Kind, Market
from spotguard.advice.offers import Offer, offers
from spotguard.advice.paths import Picture, picture
from spotguard.advice.plans import Choice, Plan, Situation, choose
from spotguard.advice.replay import AUTOMATIC, ON_DEMAND, STANDBY, Replayed, names_for, replay
from spotguard.advice.standby_worth import StandbyWorth, standby_worth
from spotguard.advice.wish import HOURS, Wish, interruption_usd

POLICY_OF: Mapping[Plan, str] = {
    Plan.ON_DEMAND: ON_DEMAND,
    Plan.AUTOMATIC: AUTOMATIC,
    Plan.STANDBY: STANDBY,
}


@dataclass(frozen=True)
class Advice:
    """Everything that is told of one workload. Money in USD; figures are of 30 days where nothing else is said.

    `most_interruptions`: in 30 days, at which spot pays no more; None where they are measured or it pays in no case.
    `remarks`: what is not counted and what the files cannot say.
    """

    instance_type: str
    region: str
    wish: Wish
    now: datetime
    market: Market
    offers: tuple[Offer, ...]
    offered_by: Market
    ondemand_usd_per_hour: float
    minute_usd: float
    plan: Plan
    because: str
    policies: tuple[PolicyFigures, ...]
    interruptions: Interruptions
    most_interruptions: float | None
    standby: StandbyWorth
    remarks: tuple[str, ...]
    picture: Picture

    @property
    def ondemand_usd(self) -> float:
        """In 30 days."""
        return self.ondemand_usd_per_hour * HOURS

    @property
    def savings_plan_usd(self) -> float:
        """In 30 days."""
        return self.ondemand_usd * float(1 - self.wish.savings_plan)

    @property
    def recommended(self) -> tuple[Offer, ...]:
        return tuple(offer for offer in self.offers if offer.recommended)

    def figures_of(self, plan: Plan) -> PolicyFigures:
        return self.policy(POLICY_OF[plan])

    def policy(self, name: str) -> PolicyFigures:
        return next(figures for figures in self.policies if figures.name == name)

    @property
    def saving(self) -> PolicyFigures:
        """Of the plan; where nothing is to be done, of what SpotGuard would do by itself."""
        return self.figures_of(Plan.AUTOMATIC if self.plan is Plan.ON_DEMAND else self.plan)

    @property
    def expected_saving_usd(self) -> Decimal:
        """What the plan is expected to save in 30 days: nothing where it does nothing."""
        usd = 0.0 if self.plan is Plan.ON_DEMAND else self.saving.saving_usd.value
        return Decimal(f"{usd:.2f}")

    @property
    def span(self) -> tuple[datetime, datetime]:
        start, end = self.market.world.span
        return datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)


def steps(market: Market, *, few: bool = False) -> int:
    """How often `told` is called."""
    return len(names_for(market, few=few))


def advise(
    market: Market,
    wish: Wish,
    now: datetime,
    *,
    offered_by: Market | None = None,
    few: bool = False,
    told: Callable[[], None] = lambda: None,
) -> Advice:
    """`offered_by`: where present pools are told of, if that is another market than the replayed one. `few`: only the
    policies that the plans stand for.
    """
    world = market.world
    stakes = wish.stakes(world.ondemand_usd)
    replayed = replay(market, wish, names_for(market, few=few), told)
    measured = market.kind is Kind.AVAILABILITY
    policies = figures(replayed, wish, world.ondemand_usd, tells_interruptions=measured)
    shown = offers(offered_by or market, stakes)
    situation = _situation(market, wish, policies, shown, _on_spot(replayed))
    choice = choose(situation)
    return Advice(
        instance_type=world.home.instance_type,
        region=world.home.region,
        wish=wish,
        now=now,
        market=market,
        offers=shown,
        offered_by=offered_by or market,
        ondemand_usd_per_hour=world.ondemand_usd,
        minute_usd=stakes.minute_usd,
        plan=choice.plan,
        because=choice.because,
        policies=policies,
        interruptions=situation.interruptions,
        most_interruptions=None if measured else situation.most or None,
        standby=situation.worth,
        remarks=remarks.of(market, offered_by or market, wish, now),
        picture=_picture(market, shown, replayed, choice),
    )


def _situation(
    market: Market,
    wish: Wish,
    policies: tuple[PolicyFigures, ...],
    shown: tuple[Offer, ...],
    on_spot: Replayed,
) -> Situation:
    stakes = wish.stakes(market.world.ondemand_usd)
    by_name = {figures.name: figures for figures in policies}
    automatic, standing = by_name[AUTOMATIC], by_name[STANDBY]
    interruptions = expected(market, automatic, on_spot, stakes)
    fit = [offer for offer in shown if offer.recommended]
    measured = (automatic, standing) if market.kind is Kind.AVAILABILITY else None
    present_usd = next((offer.usd_per_hour for offer in fit if offer.usd_per_hour), stakes.ondemand_usd)
    return Situation(
        wish=wish,
        days=market.days,
        stakes=stakes,
        automatic=automatic,
        standby=standing,
        interruptions=interruptions,
        worth=standby_worth(shown, interruptions, stakes, wish.disks, measured),
        pools=len(fit),
        interruption_usd=interruption_usd(stakes, present_usd),
    )


def _on_spot(replayed: Mapping[str, Replayed]) -> Replayed:
    """SpotGuard's own stays; where it would stay on demand, those of who goes to spot all the same."""
    return replayed[AUTOMATIC if replayed[AUTOMATIC].stays else STANDBY]


def _picture(
    market: Market, shown: tuple[Offer, ...], replayed: Mapping[str, Replayed], choice: Choice
) -> Picture:
    name = AUTOMATIC if choice.plan is Plan.ON_DEMAND else POLICY_OF[choice.plan]
    fit = [offer.pool for offer in shown if offer.recommended]
    return picture(market.world, fit, replayed[name])
