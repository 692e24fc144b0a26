"""The advice for an account as one self-contained HTML file: the ranking, what is skipped, and each type's prices."""

from __future__ import annotations

from spotguard.advice import words
from spotguard.advice.account import AccountAdvice, Listed
from spotguard.advice.advise import Advice
from spotguard.advice.charts import both_widths, cost_chart, legend, price_chart
from spotguard.advice.markup import Html, element, joined
from spotguard.advice.page import card, notes, page, section, table


def html_account(found: AccountAdvice) -> str:
    return page(
        "Instances by what they would save – SpotGuard",
        found.now,
        element("header", element("h1", f"Instances in {', '.join(found.regions)}")),
        _cards(found),
        section("Ranked by expected saving", _ranked(found)),
        section("Skipped", _skipped(found)),
        *([section("Not looked at", _unseen(found))] if found.unseen else []),
        *(_workload(advice) for advice in found.workloads),
        section("What this does not count, and cannot say", notes(found.remarks)),
    )


def _cards(found: AccountAdvice) -> Html:
    moving = sum(1 for one in found.ranked if one.saving_usd > 0)
    return element(
        "dl",
        card("Expected to be saved in 30 days", f"{words.usd(float(found.saving_usd))} USD"),
        card(
            "Running instances",
            str(len(found.ranked) + len(found.skipped)),
            f"{moving} with a plan that saves",
        ),
        card("Skipped", str(len(found.skipped)), "each with its reason below"),
    )


def _ranked(found: AccountAdvice) -> Html:
    if not found.ranked:
        return element("p", "No instance could be weighed.")
    heads = ("Instance", "Saved in 30 days, USD", "95 %", "Type", "Zone", "Advice")
    rows = [_row(one, advice) for one in found.ranked if (advice := one.advice) is not None]
    return table("The highest first.", heads, rows, words=frozenset({5}))


def _row(one: Listed, advice: Advice) -> tuple[str, ...]:
    interval = words.between(advice.saving.saving_usd) if one.saving_usd else "-"
    usd = words.usd(float(one.saving_usd))
    return _name(one), usd, interval, one.instance.instance_type, one.instance.az, words.PLAN[advice.plan]


def _name(one: Listed) -> Html:
    return joined(str(one.instance.instance_id), element("small", one.name) if one.name else "")


def _skipped(found: AccountAdvice) -> Html:
    if not found.skipped:
        return element("p", "None.")
    rows = [(_name(one), one.instance.instance_type, one.because) for one in found.skipped]
    return table(
        "What could not move, or could not be weighed.",
        ("Instance", "Type", "Why"),
        rows,
        words=frozenset({2}),
    )


def _unseen(found: AccountAdvice) -> Html:
    return notes([f"{region}: {because}" for region, because in found.unseen])


def _workload(advice: Advice) -> Html:
    picture = advice.picture
    return section(
        f"{advice.instance_type} in {advice.region}: {words.PLAN[advice.plan]}",
        element("p", f"{words.sentence(advice.because)}."),
        element("p", f"Interruptions: {words.interruptions(advice.interruptions)}."),
        element(
            "figure",
            both_widths(lambda width: price_chart(picture, width)),
            legend([pool.id for pool, _ in picture.paths]),
            element(
                "figcaption", f"USD per hour; the wide pale line is where policy {picture.policy} served."
            ),
        ),
        element(
            "figure",
            both_widths(lambda width: cost_chart(advice, width)),
            element("figcaption", "USD in 30 days with 95 % intervals; dashed: on demand."),
        ),
    )
