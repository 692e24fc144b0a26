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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import skops.io

from spotguard.domain.errors import InvalidInput
from spotguard.training.learned import Model

CARD, MODEL = "card.json", "model.skops"
MOST_BYTES = 64 << 20
ALLOWED = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)
"""Types of ours beyond those that skops trusts by itself."""
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
    return _unpacked(path)[0]


def load(path: Path) -> tuple[list[Model], dict[str, Any]]:
    """Models and card. `InvalidInput` for a file that is broken, was changed, or holds a type that is not allowed."""
    card, body = _unpacked(path)
    strange = sorted(set(skops.io.get_untrusted_types(data=body)) - set(ALLOWED))
    if strange:
        raise InvalidInput(f"{path.name} holds types that no model of ours has: {', '.join(strange)[:200]}")
    parts = skops.io.loads(body, trusted=list(ALLOWED))
    return [Model(**part) for part in parts], card


def _unpacked(path: Path) -> tuple[dict[str, Any], bytes]:
    try:
        with zipfile.ZipFile(path) as file:
            if any(info.file_size > MOST_BYTES for info in file.infolist()):
                raise InvalidInput(f"{path.name} is too large for a model of ours")
            card, body = json.loads(file.read(CARD)), file.read(MODEL)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise InvalidInput(f"{path.name} is not a model file: {error}") from error
    if not isinstance(card, dict) or hashlib.sha256(body).hexdigest() != card.get("model_sha256"):
        raise InvalidInput(f"{path.name} is corrupt: its model is not the one that its card speaks of")
    return card, body


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
