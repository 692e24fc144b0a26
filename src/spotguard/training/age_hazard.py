"""Fits the coefficients of the shipped age-hazard rule: `python -m spotguard.training.age_hazard DATA OUT`.

A logistic regression with a small ridge, solved by Newton steps in a fixed order, rounded: the same data give the same
bytes. Only the first part of each trace is looked at (`TRAIN_SHARE`); the rest is for validation.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spotguard.engine import features
from spotguard.engine.arrays import Flags, Floats
from spotguard.training import examples, traces

NAME = "age-hazard-v1"
TRAIN_SHARE = 0.6
RIDGE = 20.0  # in examples, on standardised features: they go together, and it keeps each one's sign sensible
STEPS = 30
ADVISOR_FILE = Path("advisor") / "snapshots_2021_2024.csv.gz"
BUCKET_MIDDLES = {
    0: 0.025,
    1: 0.075,
    2: 0.125,
    3: 0.175,
    4: 0.30,
}  # of < 5 %, 5–10, 10–15, 15–20, > 20 % a month
CALM_MONTHS = 1.0
FADE_FROM_HOURS = 168.0
FADE_HOURS = 72.0
CALM_AFTER_HOURS = 6.0
STORM_SHARE = 0.05


def fit(folder: Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """What the coefficients file says. `only`: names of the availability files that are looked at, all unless named."""
    paths = [path for path in traces.found(folder).used if not only or path.name in only]
    parts = [examples.of_trace(traces.read(path), last=TRAIN_SHARE) for path in paths]
    data = examples.joined(parts)
    counts = bucket_counts(folder / ADVISOR_FILE)
    table, usual, scale = standardised(data.table)
    fell, told = data.within(examples.STEP_SECONDS / 60)
    weights = logistic(table[told], fell[told])
    return {
        "name": NAME,
        "about": (
            "Hazard of a spot pool that was seen to fall: log odds of falling within one step = intercept + sum of "
            "coefficient x (feature - usual); an unknown feature counts as usual. Features: engine/features.py."
        ),
        "step_seconds": examples.STEP_SECONDS,
        "intercept": round(float(weights[0]), 4),
        "terms": {
            name: {"coefficient": round(float(weight / spread), 4), "usual": round(float(middle), 4)}
            for name, weight, middle, spread in zip(features.NAMES, weights[1:], usual, scale, strict=True)
        },
        "monthly": monthly(counts),
        "storm_share": STORM_SHARE,
        "calm_after_hours": CALM_AFTER_HOURS,
        "calm_months": CALM_MONTHS,
        "fade_from_hours": FADE_FROM_HOURS,
        "fade_hours": FADE_HOURS,
        "provenance": {
            "command": "python -m spotguard.training.age_hazard DATA OUT",
            "train_share": TRAIN_SHARE,
            "examples": int(told.sum()),
            "falls": int(fell[told].sum()),
            "ridge": RIDGE,
            "files": {path.name: _sha256(path) for path in [*paths, folder / ADVISOR_FILE]},
            "assumed": (
                "calm_months, storm_share, calm_after_hours, fade_from_hours, fade_hours are judgement: no public data "
                "tells how a storm ends for good. The advisor's buckets count as their middles."
            ),
        },
    }


def standardised(table: Floats) -> tuple[Floats, Floats, Floats]:
    """(values, means, spreads); unknown values become the mean."""
    usual = np.nanmean(table, axis=0)
    filled = np.where(np.isnan(table), usual, table)
    scale = np.maximum(filled.std(axis=0), 1e-9)
    return (filled - usual) / scale, usual, scale


def logistic(table: Floats, fell: Flags) -> Floats:
    """Intercept and weights of the ridge logistic regression."""
    design = np.column_stack([np.ones(len(table)), table])
    penalty = np.diag([0.0] + [RIDGE] * table.shape[1])
    weights: Floats = np.zeros(design.shape[1])
    for _ in range(STEPS):
        share = 1.0 / (1.0 + np.exp(-design @ weights))
        slope = design.T @ (share - fell) + penalty @ weights
        bend = (design * (share * (1 - share))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(bend, slope)
    return weights


def bucket_counts(path: Path) -> Counter[int]:
    """Of all Linux rows of the advisor's snapshots."""
    with gzip.open(path, "rt", newline="") as lines:
        rows = csv.DictReader(lines)
        return Counter(int(row["interruption_bucket"]) for row in rows if row["os"] == "Linux")


def monthly(counts: Counter[int]) -> dict[str, float]:
    """By bucket, and of a type whose bucket is not known: the mean over all rows."""
    mean = sum(BUCKET_MIDDLES[bucket] * count for bucket, count in counts.items()) / counts.total()
    return {**{str(bucket): share for bucket, share in BUCKET_MIDDLES.items()}, "unknown": round(mean, 4)}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def text_of(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=2) + "\n"


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(text_of(fit(Path(sys.argv[1]))))
