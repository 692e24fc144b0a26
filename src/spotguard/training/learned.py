"""Learned models of the probability that a pool falls within 15, 60 and 360 minutes, each calibrated on later days.

Two kinds are tried, a logistic regression and histogram gradient boosting; which one serves a horizon is decided on the
days of calibration, never on those of validation. Both are made calibrated by an isotonic regression.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spotguard.domain.errors import InvalidInput
from spotguard.models.learned import HORIZONS, Model
from spotguard.training.examples import Examples

KINDS = ("logistic", "boosted")


def fit(
    training: Examples, calibration: Examples, seed: int, on_step: Callable[[str], None] = lambda _what: None
) -> list[Model]:
    """One model for each horizon. `on_step` is told what comes next."""
    models = []
    for minutes in HORIZONS:
        tried = []
        for kind in KINDS:
            on_step(f"fitting {kind} for {minutes} minutes")
            tried.append(_fit(kind, minutes, training, calibration, seed))
        models.append(_best(tried))
    return models


def _fit(
    kind: str, minutes: int, training: Examples, calibration: Examples, seed: int
) -> tuple[float, Model]:
    """(log loss on the days of calibration before they are learned from, model)."""
    fell, told = training.within(minutes)
    later, known = calibration.within(minutes)
    if min(len(set(fell[told].tolist())), len(set(later[known].tolist()))) < len((True, False)):
        raise InvalidInput(f"nothing to learn from: within {minutes} minutes all pools fell, or none did")
    classifier = _classifier(kind, seed)
    classifier.fit(training.table[told], fell[told])
    raw = classifier.predict_proba(calibration.table[known])[:, 1]
    smooth = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0)
    smooth.fit(raw, later[known].astype(np.float64))
    return float(log_loss(later[known], raw)), Model(minutes, kind, classifier, smooth)


def _classifier(kind: str, seed: int) -> Any:
    if kind == "logistic":
        return make_pipeline(
            SimpleImputer(keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(C=0.01, max_iter=500),
        )
    boosted = HistGradientBoostingClassifier(
        max_iter=60,
        learning_rate=0.06,
        max_leaf_nodes=6,
        min_samples_leaf=400,
        l2_regularization=20.0,
        early_stopping=False,
        random_state=seed,
    )
    return make_pipeline(SimpleImputer(keep_empty_features=True), boosted)  # it cannot bin what nobody knows


def _best(tried: Sequence[tuple[float, Model]]) -> Model:
    return min(tried, key=lambda one: one[0])[1]
