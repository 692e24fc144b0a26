"""An advice for one workload as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence

from spotguard.advice import words
from spotguard.advice.advise import POLICY_OF, Advice
from spotguard.advice.charts import both_widths, cost_chart, legend, price_chart
from spotguard.advice.market import Kind
from spotguard.advice.markup import Html, element
from spotguard.advice.offers import Offer
from spotguard.advice.page import card, named, notes, page, section, table
from spotguard.advice.plans import Plan


def html(advice: Advice) -> str:
    title = f"{advice.instance_type} in {advice.region}: {words.PLAN[advice.plan]}"
    return page(f"{title} – SpotGuard", advice.now, *body(advice))


def body(advice: Advice) -> Sequence[Html]:
    return (
        element(
            "header",
            element("h1", f"{advice.instance_type} in {advice.region}"),
            element("p", f"Replayed: {words.replayed(advice)}.", class_="quiet"),
        ),
        element(
            "div",
            element("h2", words.PLAN[advice.plan].capitalize()),
            element("p", f"{words.sentence(advice.because)}.{words.begin(advice)}"),
            class_=f"verdict {advice.plan}",
        ),
        _cards(advice),
        _prices(advice),
        _costs(advice),
        _pools(advice),
        _standby(advice),
        section("What this does not count, and cannot say", notes(advice.remarks)),
    )


def _cards(advice: Advice) -> Html:
    told = advice.saving
    would = "Would save" if advice.plan is Plan.ON_DEMAND else "Saves"
    return element(
        "dl",
        card(
            f"{would}, in 30 days",
            f"{words.usd(told.saving_usd.value)} USD ({words.percent(told.saving_share.value)})",
            f"95 %: {words.between(told.saving_usd)}; on demand {words.usd(advice.ondemand_usd)}",
        ),
        card(
            "Against a 1-year Savings Plan",
            f"{told.plan_saving_usd.value:+,.2f} USD",
            f"95 %: {words.between(told.plan_saving_usd)}; {100 * advice.wish.savings_plan:.0f} % off",
        ),
        card(
            "Net of what downtime is worth",
            f"{words.usd(told.net_usd.value)} USD",
            f"95 %: {words.between(told.net_usd)}; {words.minute(advice.wish, advice.minute_usd)}",
        ),
        card(
            "Interruptions in 30 days",
            words.often(advice.interruptions),
            f"{advice.interruptions.basis}; what that rests on is told below",
        ),
        card(
            "Moves in 30 days",
            f"{told.moves:.2f}",
            f"and {told.returns:.2f} from on demand to spot; each bills both instances for a while, which is counted",
        ),
    )


def _prices(advice: Advice) -> Html:
    picture = advice.picture
    return section(
        "Prices, and where it would have run",
        element(
            "figure",
            both_widths(lambda width: price_chart(picture, width)),
            legend([pool.id for pool, _ in picture.paths]),
            element(
                "figcaption",
                f"USD per hour. The wide pale line follows policy {picture.policy}: the pool in which it served.",
            ),
        ),
    )


def _costs(advice: Advice) -> Html:
    return section(
        "What each policy would have cost",
        element(
            "figure",
            both_widths(lambda width: cost_chart(advice, width)),
            element(
                "figcaption", "USD in 30 days with 95 % intervals; the dashed line is what on-demand costs."
            ),
        ),
        _policies(advice),
    )


def _policies(advice: Advice) -> Html:
    heads = ("Policy", "USD", "Saved", "95 %", "Net of downtime", "Moves", "Interrupted", "Minutes down")
    rows: list[Sequence[str]] = []
    chosen: list[bool] = []
    for figures in advice.policies:
        rows.append(
            (
                named(figures.name, figures.what),
                words.usd(figures.cost_usd.value),
                words.usd(figures.saving_usd.value),
                words.between(figures.saving_usd),
                words.usd(figures.net_usd.value),
                words.moves(figures),
                words.count(figures.interruptions),
                f"{figures.minutes_down.value:.1f}",
            )
        )
        chosen.append(figures.name == POLICY_OF[advice.plan])
    plan = words.usd(advice.ondemand_usd - advice.savings_plan_usd)
    discount = named("savings-plan", f"1 year, {100 * advice.wish.savings_plan:.0f} % off, on demand")
    rows.insert(1, (discount, words.usd(advice.savings_plan_usd), plan, "-", plan, "0.00", "0.00", "0.0"))
    chosen.insert(1, False)
    down = (
        "" if advice.market.kind is Kind.AVAILABILITY else "; minutes down are those of planned moves alone"
    )
    return table(f"In 30 days, in USD where nothing else is said{down}.", heads, rows, chosen=chosen)


def _pools(advice: Advice) -> Html:
    others = [offer for offer in advice.offers if not offer.recommended]
    told = [_offers("Worth allowing, the best first.", advice.recommended)] if advice.recommended else []
    if others:
        told.append(
            element(
                "details",
                element("summary", f"{len(others)} pools that are not recommended, and why"),
                _offers("Not recommended.", others),
            )
        )
    return section("Pools: type and zone", *told)


def _offers(caption: str, offers: Sequence[Offer]) -> Html:
    heads = ("Pool", "USD/h", "Of on demand", "Held for", "Last 30 days, USD/h", "Interrupted", "Why")
    rows = [
        (
            offer.pool.id,
            "unknown" if offer.usd_per_hour is None else f"{offer.usd_per_hour:.4f}",
            "unknown" if offer.ondemand_share is None else words.percent(offer.ondemand_share),
            words.span(offer.held_seconds),
            words.steadiness(offer),
            words.bucket(offer),
            offer.because,
        )
        for offer in offers
    ]
    return table(caption, heads, rows, words=frozenset({6}))


def _standby(advice: Advice) -> Html:
    parts = [element("p", f"Interruptions: {words.interruptions(advice.interruptions)}.")]
    if advice.most_interruptions is not None:
        most = f"Spot pays here below {advice.most_interruptions:.1f} interruptions in 30 days."
        parts.append(element("p", most))
    parts.append(element("p", f"A standby {words.standby(advice)}. It {words.break_even(advice)}."))
    return section("Interruptions, and when a standby pays", *parts)
