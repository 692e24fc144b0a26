"""What a learned model says: the probability that a pool falls within so many minutes; and the hazard made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from spotguard.engine.arrays import Floats
from spotguard.engine.hazard import AgeHazard

HORIZONS = (15, 60, 360)  # minutes
RATE_MINUTES = 60  # the horizon whose probability becomes a rate per hour
LEAST_SHARE = 1e-4  # a calibrated probability is never 0 or 1: nobody saw that much


@dataclass(frozen=True)
class Model:
    """One horizon. `calibration` maps the classifier's probability to the measured one."""

    minutes: int
    kind: str
    classifier: Any
    calibration: Any

    def probability(self, table: Floats) -> Floats:
        """Of rows of `engine.features.NAMES`; NaN where the model says none."""
        raw = self.classifier.predict_proba(table)[:, 1]
        calibrated: Floats = np.full(len(table), np.nan)
        told = np.isfinite(raw)  # calibration raises for anything else
        if told.any():
            calibrated[told] = np.clip(self.calibration.predict(raw[told]), LEAST_SHARE, 1 - LEAST_SHARE)
        return calibrated


@dataclass(frozen=True)
class LearnedHazard(AgeHazard):
    """The age-hazard rule with a learned weather.

    It learned from pools that were seen to fall. What is not known of the others (the climate, the doubt), and how a
    storm passes, stay the rule's.
    """

    hour: Model

    def weather(self, table: Floats) -> Floats:
        if not len(table):
            return np.empty(0)
        rates: Floats = -np.log1p(-self.hour.probability(table)) / (self.hour.minutes / 60)
        return rates


def hazard_of(name: str, models: Sequence[Model], rule: AgeHazard) -> LearnedHazard:
    """`rule`: whose climate stays."""
    hour = next(model for model in models if model.minutes == RATE_MINUTES)
    same = {field.name: getattr(rule, field.name) for field in fields(AgeHazard)}
    return LearnedHazard(**{**same, "name": name}, hour=hour)
