"""`spotguard train`: availability files to a model file with its card. The same data and seed give the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sklearn

from spotguard.domain.errors import InvalidInput
from spotguard.engine import features
from spotguard.engine.hazard import AgeHazard, risk
from spotguard.market import shipped
from spotguard.models import model_file
from spotguard.models.learned import Model
from spotguard.training import examples, learned, scores, traces
from spotguard.training.examples import Examples

FITTED, TRAINED = (
    0.45,
    0.60,
)  # shares of the time: until the first it learns, then it is calibrated, then validated
LEAST_EXAMPLES = 200


def train(
    folder: Path, seed: int, on_step: Callable[[str], None] = lambda _what: None
) -> tuple[bytes, dict[str, Any]]:
    """(file, card). `InvalidInput` when the folder has no availability files, or too little in them.

    `on_step` is told what comes next.
    """
    paths = traces.found(folder).used
    if not paths:
        raise InvalidInput(f"no availability files (columns {', '.join(traces.COLUMNS)}) in {folder}")
    told = []
    for path in paths:
        on_step(f"reading {path.name}")
        told.append(traces.read(path))
    on_step("looking at what preceded each fall")
    first = examples.joined([examples.of_trace(trace, last=FITTED) for trace in told])
    then = examples.joined([examples.of_trace(trace, first=FITTED, last=TRAINED) for trace in told])
    last = [examples.of_trace(trace, first=TRAINED) for trace in told]
    if min(len(first.table), len(then.table), *(len(part.table) for part in last)) < LEAST_EXAMPLES:
        raise InvalidInput(
            f"too little to learn from: a part of the time has fewer than {LEAST_EXAMPLES} looks"
        )
    models = learned.fit(first, then, seed, on_step)
    on_step("scoring on the days that it has not seen")
    card = _card(paths, seed, models, (first, then), last)
    body = model_file.packed(models, card)
    return body, {**card, "file_sha256": hashlib.sha256(body).hexdigest()}


def _card(
    paths: Sequence[Path],
    seed: int,
    models: Sequence[Model],
    used: tuple[Examples, Examples],
    validation: Sequence[Examples],
) -> dict[str, Any]:
    rule = shipped.age_hazard()
    results = {part.region: {str(m.minutes): _compared(m, rule, part) for m in models} for part in validation}
    return {
        "about": "Probability that a spot pool that is up falls within so many minutes, by model and by baselines.",
        "data": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths},
        "split": {"learned_until": FITTED, "calibrated_until": TRAINED, "validated_until": 1.0, "by": "time"},
        "examples": {"learned": len(used[0].table), "calibrated": len(used[1].table)},
        "features": list(features.NAMES),
        "seed": seed,
        "scikit_learn": sklearn.__version__,
        "kinds": {str(model.minutes): model.kind for model in models},
        "present_rule": rule.name,
        "validation": results,
        "beats_the_present_rule": _beats(results),
    }


def _compared(model: Model, rule: AgeHazard, part: Examples) -> dict[str, Any]:
    """The model, the present rule and the time since the last flip alone, on days that none of them has seen."""
    fell, told = part.within(model.minutes)
    table, fell = part.table[told], fell[told]
    return {
        "examples": len(fell),
        "falls": int(fell.sum()),
        "model": scores.scores(model.probability(table), fell),
        rule.name: scores.scores(risk(rule.weather(table), model.minutes / 60), fell),
        "time_since_flip": {"auc": scores.scores(-table[:, 0], fell)["auc"]},
    }


def _beats(results: dict[str, dict[str, dict[str, Any]]]) -> bool:
    """A higher Brier skill in every region and at every horizon."""
    rule = shipped.age_hazard().name
    pairs = [
        (one["model"]["brier_skill"], one[rule]["brier_skill"])
        for by in results.values()
        for one in by.values()
    ]
    return all(mine is not None and theirs is not None and mine > theirs for mine, theirs in pairs)
