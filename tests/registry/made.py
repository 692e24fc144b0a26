"""Small model files that say what a story needs, made in a moment."""

from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.impute import SimpleImputer
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from spotguard.engine import features
from spotguard.models import model_file
from spotguard.models.learned import HORIZONS, Model

CARD = {
    "about": "a model of a story",
    "features": list(features.NAMES),
    "scikit_learn": sklearn.__version__,
    "present_rule": "age-hazard-v1",
    "validation": {},
}


def models(says: float = 0.02) -> list[Model]:
    """Whatever is asked, the probability is `says` within each horizon."""
    dice = np.random.default_rng(0)
    table = dice.normal(size=(40, len(features.NAMES)))
    classifier = make_pipeline(
        SimpleImputer(keep_empty_features=True), StandardScaler(), LogisticRegression()
    )
    classifier.fit(table, np.arange(40) % 2 == 0)
    flat = IsotonicRegression(out_of_bounds="clip", y_min=0.0, y_max=1.0).fit([0.0, 1.0], [says, says])
    return [Model(minutes, "logistic", classifier, flat) for minutes in HORIZONS]


def body(says: float = 0.02, made: list[Model] | None = None, **card: Any) -> bytes:
    return model_file.packed(models(says) if made is None else made, {**CARD, **card})


def file(folder: Path, name: str = "storms.model", says: float = 0.02, **card: Any) -> Path:
    path = folder / name
    path.write_bytes(body(says, **card))
    return path
