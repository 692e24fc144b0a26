"""A learned model as a file: a zip of `card.json` and `model.skops`. Never pickle.

The card holds the checksum of the model; nothing is read before it fits, and then only types of an allow-list. skops
names its parts by addresses in memory and stamps them with the hour: both are taken out, so that the same model gives
the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skops.io
from sklearn.isotonic import IsotonicRegression
from sklearn.pipeline import Pipeline

from spotguard.domain.errors import InvalidInput
from spotguard.engine import features
from spotguard.models.learned import HORIZONS, Model

LIBRARY = sklearn.__version__
CARD, MODEL = "card.json", "model.skops"
MOST_BYTES = 64 << 20
MOST_PARTS = 10_000
ALLOWED = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
"""Types of ours beyond those that skops trusts by itself."""
_REHEARSED = np.array([[0.0] * len(features.NAMES), [np.nan] * len(features.NAMES)])
_BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""All that reading bytes of a stranger's choice was seen or is documented to raise."""
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can hold
_ADDRESS = re.compile(rb'"__id__": (\d+)')


def packed(models: list[Model], card: Mapping[str, Any]) -> bytes:
    """The file. The card gets the model's checksum."""
    parts = [
        {"minutes": m.minutes, "kind": m.kind, "classifier": m.classifier, "calibration": m.calibration}
        for m in models
    ]
    body = _canonical(skops.io.dumps(parts))
    told = {**card, "model_sha256": hashlib.sha256(body).hexdigest()}
    return _zip({CARD: (json.dumps(told, indent=2) + "\n").encode(), MODEL: body})


def read_card(path: Path) -> dict[str, Any]:
    """The card of a file whose model is the one that it speaks of. `InvalidInput` says what is wrong."""
    return _unpacked(_bytes(path), path.name)[0]


def load(path: Path) -> tuple[list[Model], dict[str, Any]]:
    """Models and card. `InvalidInput` for a file that is broken, was changed, or holds a type that is not allowed."""
    return opened(_bytes(path), path.name)


def opened(file: bytes, name: str) -> tuple[list[Model], dict[str, Any]]:
    """The same, of a file that is read already. `name`: what its errors call it."""
    card, body = _unpacked(file, name)
    try:
        strange = sorted(set(skops.io.get_untrusted_types(data=body)) - set(ALLOWED))
        if strange:
            raise InvalidInput(f"{name} holds types that no model of ours has: {', '.join(strange)[:200]}")
        models = _models(skops.io.loads(body, trusted=list(ALLOWED)))
    except _BROKEN as error:
        raise InvalidInput(f"{name} is no model of ours: {_said(error)}") from error
    return models, card


def _models(parts: Any) -> list[Model]:
    """One of each horizon, of the kinds that are fitted here, that answer with probabilities."""
    models = [Model(**part) for part in parts]
    if tuple(model.minutes for model in models) != HORIZONS:
        raise ValueError(f"it has not one model for each of {HORIZONS} minutes")
    for model in models:
        if type(model.classifier) is not Pipeline or type(model.calibration) is not IsotonicRegression:
            raise ValueError("its parts are not a pipeline and an isotonic regression")
        if not np.isfinite(model.probability(_REHEARSED)).all():
            raise ValueError(f"it does not answer with a probability ({model.minutes} minutes)")
    return models


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > MOST_BYTES:
        raise InvalidInput(f"{path.name} is too large for a model of ours")
    return path.read_bytes()


def _unpacked(file: bytes, name: str) -> tuple[dict[str, Any], bytes]:
    try:
        _require_small(file, name)
        with zipfile.ZipFile(io.BytesIO(file)) as parts:
            card = json.loads(parts.read(CARD), parse_constant=_no_number)
            body = parts.read(MODEL)
        _require_small(body, name)
    except _BROKEN as error:
        raise InvalidInput(f"{name} is not a model file: {_said(error)}") from error
    if not isinstance(card, dict) or hashlib.sha256(body).hexdigest() != card.get("model_sha256"):
        raise InvalidInput(f"{name} is corrupt: its model is not the one that its card speaks of")
    return card, body


def _require_small(file: bytes, name: str) -> None:
    """By what its parts say that they unpack to: zipfile reads no more of one than that."""
    with zipfile.ZipFile(io.BytesIO(file)) as parts:
        sizes = [info.file_size for info in parts.infolist()]
    if len(file) > MOST_BYTES or sum(sizes) > MOST_BYTES or len(sizes) > MOST_PARTS:
        raise InvalidInput(f"{name} is too large for a model of ours")


def _no_number(word: str) -> float:
    raise ValueError(f"{word} in its card")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _canonical(body: bytes) -> bytes:
    """The same skops file with its addresses numbered in order, and without times."""
    with zipfile.ZipFile(io.BytesIO(body)) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    schema = parts["schema.json"]
    numbers: dict[bytes, bytes] = {}
    for address in _ADDRESS.findall(schema):
        numbers.setdefault(address, str(len(numbers) + 1).encode())
    known = re.compile(rb"\b(" + b"|".join(numbers) + rb")\b")

    def numbered(text: bytes) -> bytes:
        return known.sub(lambda found: numbers[found[1]], text)

    renamed = {numbered(name.encode()).decode(): data for name, data in parts.items()}
    return _zip({**renamed, "schema.json": numbered(schema)})


def _zip(parts: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(parts):
            file.writestr(zipfile.ZipInfo(name, _EPOCH), parts[name])
    return buffer.getvalue()
