"""The tables of docs/engine.md as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spotguard.backtest.account import Outcome
from spotguard.backtest.baselines import BASELINES
from spotguard.backtest.figures import summary
from spotguard.backtest.measuring import CLAIRVOYANT, WEIGHTS, Job, Runs
from spotguard.backtest.physics import MONTH

SAVINGS_PLAN = 0.28  # off on-demand: a one-year Savings Plan without payment upfront
PEOPLE = ("reactive", "cheaper-5", "engine")
ALIKE = 1e-9
CLOSED, MOVES, MOVES_IN_CALM, SLOPE = 0.5, 0.5, 0.1, (0.9, 1.1)  # spec/benchmark.md


@dataclass(frozen=True)
class Measured:
    """One section: what was run and what came out."""

    job: Job
    runs: dict[str, Runs]
    told: dict[str, Any]


Named = Sequence[tuple[str, Measured]]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# --- calm ---------------------------------------------------------------------------------------------------------


def calm(named: Named) -> str:
    parts = [
        "### Track C: calm markets (semi-synthetic: real prices, interruptions drawn at the advisor's rates)"
    ]
    for label, one in named:
        about = (
            f"**{label}**, {one.told['windows']} windows of 30 days; buckets from {one.told['buckets_from']}; "
            f"{one.told['spells']} spells of {_spells(one)}."
        )
        parts += [about, _by_bucket(one)]
    people = (
        "For people, dollars and minutes a month by bucket (under 5 % interrupted a month first), all files together, "
        "at λ = 10; a Savings Plan of one year is 28 % off on-demand:"
    )
    parts += [people, _people_by_bucket([one for _, one in named])]
    return "\n\n".join(parts)


def _spells(one: Measured) -> str:
    told = one.told["spells_from"]
    return told if isinstance(told, str) else " and ".join(told)


def _by_bucket(one: Measured) -> str:
    buckets = one.told["by_bucket"]
    heads = [
        "Policy",
        *(f"J10, bucket {b}" for b in buckets),
        "moves, bucket 0",
        "J10 [95 %]",
        "J100",
        "J1000 [95 %]",
    ]
    rows = []
    for name, figures in one.told["policies"].items():
        rows.append(
            [
                name,
                *(f"{found[name]['j10']:.4f}" for found in buckets.values()),
                f"{next(iter(buckets.values()))[name]['moves_per_30d']:.2f}",
                _with(figures, "j10"),
                f"{figures['j100']:.4f}",
                _with(figures, "j1000"),
            ]
        )
    return table(heads, rows)


def _people_by_bucket(measured: Sequence[Measured]) -> str:
    found: dict[tuple[int, str], list[Outcome]] = {}
    for one in measured:
        buckets = [group.bucket for group in one.job.track.groups for _ in group.windows]
        for name in PEOPLE:
            for bucket, outcome in zip(buckets, one.runs[name][WEIGHTS[0]], strict=True):
                found.setdefault((bucket or 0, name), []).append(outcome)
    rows = [[f"bucket {bucket}", *_people(name, found[bucket, name])] for bucket, name in sorted(found)]
    return table(["Workloads", *PEOPLE_HEADS], rows)


PEOPLE_HEADS = (
    "policy",
    "on-demand, USD",
    "Savings Plan, USD",
    "spot, USD",
    "saved against the plan",
    "minutes down",
    "moves",
    "worst recovery, s",
)


def _people(name: str, outcomes: Sequence[Outcome]) -> list[str]:
    months = sum(o.seconds for o in outcomes) / MONTH
    fixed = sum(o.ondemand_usd for o in outcomes) / months
    paid = sum(float(o.cost_usd.sum()) for o in outcomes) / months
    plan = (1 - SAVINGS_PLAN) * fixed
    return [
        name,
        f"{fixed:.2f}",
        f"{plan:.2f}",
        f"{paid:.2f}",
        f"{plan - paid:+.2f}",
        f"{sum(float(o.down_seconds.sum()) for o in outcomes) / 60 / months:.2f}",
        f"{sum(o.moves for o in outcomes) / months:.2f}",
        f"{max(o.worst_down_seconds for o in outcomes):.0f}",
    ]


# --- prices -------------------------------------------------------------------------------------------------------


def price(named: Named) -> str:
    parts = ["### Track P: prices alone"]
    for label, one in named:
        parts.append(
            f"**{label}**, {one.told['windows']} windows, {len(one.job.track.groups)} workloads{_left_out(one)}."
        )
        rows = [
            [
                name,
                f"{f['cost_ratio']:.4f}",
                _with(f, "j10"),
                f"{100 * f['regret']:.3f} %",
                f"{f['moves_per_30d']:.2f}",
                f"{f['j100']:.4f}",
                f"{f['j1000']:.4f}",
            ]
            for name, f in one.told["policies"].items()
        ]
        parts.append(
            table(["Policy", "Cost", "J10 [95 %]", "Regret", "Moves in 30 days", "J100", "J1000"], rows)
        )
    parts += ["For people, by workload and month (`engine`, λ = 10):", _people_by_workload(named)]
    return "\n\n".join(parts)


def _left_out(one: Measured) -> str:
    shown = 6
    left = one.told["excluded"]
    if not left:
        return ""
    more = f" and {len(left) - shown} more" if len(left) > shown else ""
    return f"; left out, as no on-demand price is known: {', '.join(left[:shown])}{more}"


def _people_by_workload(named: Named) -> str:
    rows = []
    for label, one in named:
        runs, at = one.runs["engine"][WEIGHTS[0]], 0
        for group in one.job.track.groups:
            outcomes = runs[at : at + len(group.windows)]
            at += len(group.windows)
            rows.append([f"{group.own_type}, {label.partition(' (')[0]}", *_people("engine", outcomes)])
    return table(["Workload", *PEOPLE_HEADS], rows)


# --- storms -------------------------------------------------------------------------------------------------------


def storm(named: Named) -> str:
    about = (
        "`engine-elsewhere` has coefficients fitted on the other region alone (leave one region out). The best "
        "causal baseline is found for each λ among the windows of each table."
    )
    parts = ["### Track A: storms (p3.2xlarge, 2023)", about]
    for label, one in named:
        parts += [_storm_table(f"both regions, {label}, {one.told['windows']} windows", one.told)]
        regions = [group.region for group in one.job.track.groups for _ in group.windows]
        for region in sorted(set(regions)):
            parts.append(_storm_table(f"{region}, {label}", _of_region(one, regions, region)))
    parts += ["For people, a month of the validation part:", _people_in_storm(named[0][1])]
    return "\n\n".join(parts)


def _of_region(one: Measured, regions: Sequence[str], region: str) -> dict[str, Any]:
    numbers = [number for number, name in enumerate(regions) if name == region]
    runs = {
        name: {weight: [outcomes[n] for n in numbers] for weight, outcomes in by.items()}
        for name, by in one.runs.items()
    }
    return summary(runs, list(BASELINES), one.job.seed, one.job.physics.terminate_wait / 3600)


def _storm_table(label: str, told: dict[str, Any]) -> str:
    heads = ["Policy", "Cost", "J10 [95 %]", "gap closed [95 %]", "J100 [95 %]", "J1000 [95 %]"]
    heads += ["down, min", "moves", "returns", "interrupted"]
    rows = [
        [
            name,
            f"{f['cost_ratio']:.4f}",
            _with(f, "j10"),
            _closed(f, "j10"),
            _with(f, "j100", 3),
            _with(f, "j1000", 3),
            f"{f['minutes_down_per_30d']:.0f}",
            f"{f['moves_per_30d']:.1f}",
            f"{f['returns_per_30d']:.0f}",
            f"{f['interruptions_per_30d']:.0f}",
        ]
        for name, f in told["policies"].items()
    ]
    best = ", ".join(f"{name} at {key.upper()}" for key, name in told["best_baseline"].items())
    return f"**{label}** (best causal baseline: {best})\n\n{table(heads, rows)}"


def _people_in_storm(one: Measured) -> str:
    rows, at = [], 0
    for group in one.job.track.groups:
        for name in (*PEOPLE[:1], "engine"):
            for weight in WEIGHTS if name == "engine" else WEIGHTS[:1]:
                outcomes = one.runs[name][weight][at : at + len(group.windows)]
                label = f"{name}, λ = {weight:g}" if name == "engine" else name
                rows.append([f"p3.2xlarge, {group.region}", *_people(label, outcomes)])
        at += len(group.windows)
    return table(["Workload", *PEOPLE_HEADS], rows)


def scenarios(named: Named) -> str:
    heads = ["Physics", "windows", "λ", "best causal baseline", "its J", "engine [95 %]", "against it [95 %]"]
    heads += ["gap closed [95 %]", "unrailed", "clairvoyant"]
    rows = []
    for label, one in named:
        told = one.told["policies"]
        for weight in WEIGHTS:
            key = f"j{weight:g}"
            best = one.told["best_baseline"][key]
            rows.append(
                [
                    label,
                    str(one.told["windows"]),
                    f"{weight:g}",
                    best,
                    f"{told[best][key]:.4f}",
                    _with(told["engine"], key),
                    _with(told["engine"], f"{key}_against_best", signed=True),
                    _closed(told["engine"], key),
                    f"{told['engine-unrailed'][key]:.4f}",
                    f"{told[CLAIRVOYANT][key]:.4f}",
                ]
            )
    return "### Track A in other physics (validation part)\n\n" + table(heads, rows)


# --- prediction and targets ---------------------------------------------------------------------------------------


def predicted(rows: Sequence[dict[str, Any]]) -> str:
    heads = ["Region", "minutes", "fell", "by", "AUC", "Brier skill", "calibration slope"]
    names = ("shipped", "elsewhere", "learned", "time since flip")
    told = [
        [
            row["region"] if name == names[0] else "",
            str(row["minutes"]) if name == names[0] else "",
            f"{100 * row['falls']:.0f} %" if name == names[0] else "",
            name,
            *(_number(row[name][key]) for key in ("auc", "brier_skill", "calibration_slope")),
        ]
        for row in rows
        for name in names
    ]
    return (
        '### Prediction: pools that are up, "down within so many minutes", the last 40 % of the time\n\n'
        "`shipped`: the age-hazard rule; `elsewhere`: the same, fitted on the other region alone; `learned`: what "
        "`spotguard train` fits.\n\n" + table(heads, told)
    )


def targets(
    storms: Sequence[Measured],
    prices: Sequence[Measured],
    calms: Sequence[Measured],
    rows: Sequence[dict[str, Any]],
) -> str:
    """What was asked, what came out."""
    engine = storms[0].told["policies"]["engine"]
    told = [
        [
            "A, J10, validation: share of the gap closed",
            "≥ 50 %",
            _closed(engine, "j10"),
            _met(engine["j10_gap_closed"] >= CLOSED),
        ]
    ]
    mark = storms[0].told["policies"]["age-hazard-hindsight"]
    told.append(["the same of what any causal policy could hope for", "reported", _closed(mark, "j10"), ""])
    for key in ("j100", "j1000"):
        best = storms[0].told["best_baseline"][key]
        told.append(
            [
                f"A, {key.upper()}, validation: against the best causal baseline ({best})",
                "≤ 0",
                _with(engine, f"{key}_against_best", signed=True),
                _met(engine[f"{key}_against_best"] <= 0),
            ]
        )
    told += [_price_target(name, prices) for name in ("engine", "engine-unrailed")]
    moves = [next(iter(one.told["by_bucket"].values())) for one in calms]
    most = max(found["engine"]["moves_per_30d"] for found in moves)
    told.append(
        ["C: moves a month in bucket 0, the worst file", "≤ 0.1", f"{most:.2f}", _met(most <= MOVES_IN_CALM)]
    )
    told.append(_calm_target(calms))
    told += [_predicted_target(rows, minutes, least) for minutes, least in ((15, 0.82), (60, 0.81))]
    return "### Targets\n\n" + table(["What", "target", "measured", ""], told)


def _price_target(name: str, prices: Sequence[Measured]) -> list[str]:
    regrets = [
        (one.told["policies"][name]["regret"], one.told["policies"]["cheaper-5"]["regret"]) for one in prices
    ]
    moves = [one.told["policies"][name]["moves_per_30d"] for one in prices]
    own, rival = (float(np.mean(found)) for found in zip(*regrets, strict=True))
    return [
        f"P, `{name}`: mean regret, moves a month",
        f"half of the 5 % rule's {100 * rival:.3f} %, ≤ 0.5",
        f"{100 * own:.3f} %, {float(np.mean(moves)):.2f}",
        _met(own <= rival / 2 and float(np.mean(moves)) <= MOVES),
    ]


def _calm_target(calms: Sequence[Measured]) -> list[str]:
    """J10 against the best baseline of each bucket and file."""
    worse = [
        found["engine"]["j10"] / min(found[name]["j10"] for name in BASELINES) - 1
        for one in calms
        for found in one.told["by_bucket"].values()
    ]
    bad = sum(share > ALIKE for share in worse)
    return [
        "C, J10: no worse than the best baseline in any bucket of any file",
        f"0 of {len(worse)}",
        f"{bad}, by {100 * max(0.0, *worse):.2f} % at most, on average {100 * float(np.mean(worse)):+.2f} %",
        _met(bad == 0),
    ]


def _predicted_target(rows: Sequence[dict[str, Any]], minutes: int, least: float) -> list[str]:
    found = [row for row in rows if row["minutes"] == minutes]
    met = all(
        row["shipped"]["auc"] >= least and SLOPE[0] <= row["shipped"]["calibration_slope"] <= SLOPE[1]
        for row in found
    )
    told = "; ".join(
        f"{row['region']} {row['shipped']['auc']:.2f}, slope {row['shipped']['calibration_slope']:.2f}"
        for row in found
    )
    return [f"prediction, {minutes} min: AUC, slope", f"≥ {least}, 0.9 to 1.1", told, _met(met)]


def _met(met: bool) -> str:  # noqa: FBT001 - a table cell
    return "met" if met else "missed"


def _with(figures: dict[str, Any], key: str, digits: int = 4, *, signed: bool = False) -> str:
    low, high = figures[f"{key}_interval"]
    form = f"{'+' if signed else ''}.{digits}f"
    return f"{figures[key]:{form}} [{low:{form}}, {high:{form}}]"


def _closed(figures: dict[str, Any], key: str) -> str:
    share = figures.get(f"{key}_gap_closed")
    if share is None:
        return ""
    low, high = figures[f"{key}_gap_closed_interval"]
    return f"{100 * share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
