"""How good probabilities are, out of time: AUC, Brier skill and calibration slope."""

from __future__ import annotations

from typing import Any

import numpy as np

from spotguard.engine.arrays import Flags, Floats

_STEPS = 25
_EDGE = 1e-6


def scores(probability: Floats, fell: Flags) -> dict[str, float | None]:
    """None where all examples end alike."""
    return {
        "auc": _rounded(auc(probability, fell)),
        "brier_skill": _rounded(brier_skill(probability, fell)),
        "calibration_slope": _rounded(calibration_slope(probability, fell)),
    }


def auc(score: Floats, fell: Flags) -> float | None:
    """Probability that one that fell scores above one that did not; ties count half (Mann–Whitney)."""
    falls = int(fell.sum())
    rest = len(fell) - falls
    if falls == 0 or rest == 0:
        return None
    values, which, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2  # the mean rank of equal scores
    ranks = middle[which][fell].sum() if len(values) else 0.0
    return float((ranks - falls * (falls + 1) / 2) / (falls * rest))


def brier_skill(probability: Floats, fell: Flags) -> float | None:
    """1 less the squared error over that of the mean told to everybody."""
    mean = fell.mean()
    if mean in (0.0, 1.0):
        return None
    return float(1 - ((probability - fell) ** 2).mean() / (mean * (1 - mean)))


def calibration_slope(probability: Floats, fell: Flags) -> float | None:
    """Slope of the logistic regression of what happened on the log odds that were told; 1 is calibrated."""
    if fell.all() or not fell.any():
        return None
    told = np.clip(probability, _EDGE, 1 - _EDGE)
    odds = np.log(told / (1 - told))
    if np.ptp(odds) < _EDGE:
        return None
    design = np.column_stack([np.ones(len(odds)), odds])
    weights = np.zeros(2)
    for _ in range(_STEPS):
        share = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        bend = (design * (share * (1 - share))[:, None]).T @ design + 1e-9 * np.eye(2)
        weights -= np.linalg.solve(bend, design.T @ (share - fell))
    return float(weights[1])


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 4)
