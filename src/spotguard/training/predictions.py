"""How well falls are told in advance, by region and out of time: the shipped rule, the same rule fitted without the
region, a learned model, and the time since the last flip alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spotguard.engine.arrays import Flags, Floats
from spotguard.engine.hazard import AgeHazard, parse, risk
from spotguard.market import shipped
from spotguard.models.learned import Model
from spotguard.training import age_hazard, examples, learned, scores, traces
from spotguard.training.examples import Examples
from spotguard.training.train import FITTED

SEED = 0


def compared(folder: Path) -> list[dict[str, Any]]:
    """A row for each region and horizon: `region`, `minutes`, `falls`, scores by name; of the last 40 % of the time."""
    told = {path.name: traces.read(path) for path in traces.found(folder).used}
    begin, end = FITTED, age_hazard.TRAIN_SHARE
    models = learned.fit(
        examples.joined([examples.of_trace(trace, last=begin) for trace in told.values()]),
        examples.joined([examples.of_trace(trace, first=begin, last=end) for trace in told.values()]),
        SEED,
    )
    rows = []
    for name, trace in told.items():
        others = tuple(other for other in told if other != name)
        rules = {
            "shipped": shipped.age_hazard(),
            "elsewhere": parse(age_hazard.text_of(age_hazard.fit(folder, only=others))),
        }
        part = examples.of_trace(trace, first=end)
        rows += [_row(part, model, rules) for model in models]
    return rows


def _row(part: Examples, model: Model, rules: dict[str, AgeHazard]) -> dict[str, Any]:
    fell, known = part.within(model.minutes)
    table, fell = part.table[known], fell[known]
    told: dict[str, Any] = {"region": part.region, "minutes": model.minutes, "falls": float(fell.mean())}
    for name, rule in rules.items():
        told[name] = scores.scores(_of_rule(rule, table, model.minutes), fell)
    told["learned"] = scores.scores(model.probability(table), fell)
    told["time since flip"] = _of_age(table, fell)
    return told


def _of_rule(rule: AgeHazard, table: Floats, minutes: int) -> Floats:
    return risk(rule.weather(table), minutes / 60)


def _of_age(table: Floats, fell: Flags) -> dict[str, float | None]:
    """It ranks and says no probability."""
    return {"auc": scores.scores(-table[:, 0], fell)["auc"], "brier_skill": None, "calibration_slope": None}
