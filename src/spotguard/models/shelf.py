"""The folder in which an installation's model files lie, each under its hash; a file with another one is never opened.

What reads them (skops, scikit-learn) is an extra and is loaded when the first model is, never before.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from spotguard.domain.errors import InvalidInput, NotFound, Refused
from spotguard.domain.models import STALE_DAYS
from spotguard.engine import features
from spotguard.engine.hazard import AgeHazard
from spotguard.models.learned import LearnedHazard, hazard_of

_HASH = re.compile(r"[0-9a-f]{64}")
_REMEMBERED = 4
_LONGEST_CARD = 256 << 10  # in characters of JSON: it becomes one row's column
EXTRA = "learned models need the extra 'training', which is not installed here (docs/models.md tells how)"


@dataclass(frozen=True)
class Offered:
    """A file that may be registered: it was opened, and answered with probabilities."""

    body: bytes
    sha256: str
    card: dict[str, Any]


@dataclass
class Shelf:
    """`stale_after`: from its registration on; an older model does not decide. `folder` None: there are no models."""

    folder: Path | None
    stale_after: timedelta = timedelta(days=STALE_DAYS)
    _known: dict[str, LearnedHazard] = field(default_factory=dict)

    def hazard(self, name: str, sha256: str, rule: AgeHazard) -> LearnedHazard:
        """The model under this hash, called `name`; what it did not learn it has from `rule`.

        `NotFound`: its file is not here; `Refused`: this machine cannot open it; `InvalidInput`: it is not the file
        that was registered, or no model of this release.
        """
        if (sha256, name) not in self._names():
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[sha256] = self._opened(name, sha256, rule)
        return self._known[sha256]

    def put(self, offered: Offered) -> Path:
        """Written whole or not at all; the same file twice is one."""
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self._path(offered.sha256)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            file.write(offered.body)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(target)
        return target

    def _names(self) -> set[tuple[str, str]]:
        return {(sha256, known.name) for sha256, known in self._known.items()}

    def _opened(self, name: str, sha256: str, rule: AgeHazard) -> LearnedHazard:
        path = self._path(sha256)
        try:
            body = path.read_bytes()
        except OSError as error:
            raise NotFound(f"the file of {name} is not in the model folder here: {error.strerror}") from error
        if hashlib.sha256(body).hexdigest() != sha256:
            raise InvalidInput(f"the file of {name} is not the one that was registered: its hash is another")
        models, card = _read(body, name)
        _require_fit(card, name)
        return hazard_of(name, models, rule)

    def _path(self, sha256: str) -> Path:
        if not _HASH.fullmatch(sha256):
            raise InvalidInput("not a SHA-256 in hex")
        return self._folder() / f"{sha256}.model"

    def _folder(self) -> Path:
        if self.folder is None:
            raise NotFound("this process was given no folder of models")
        return self.folder


def offered(path: Path) -> Offered:
    """`InvalidInput` for what is no model of this release, `Refused` where this machine cannot tell."""
    if path.stat().st_size > _most_bytes():
        raise InvalidInput(f"{path.name} is too large for a model of ours")
    body = path.read_bytes()
    _, card = _read(body, path.name)
    _require_fit(card, path.name)
    if len(str(card)) > _LONGEST_CARD:
        raise InvalidInput(f"{path.name} has too large a card")
    return Offered(body, hashlib.sha256(body).hexdigest(), card)


def _most_bytes() -> int:
    return int(_reader().MOST_BYTES)


def _read(body: bytes, name: str) -> tuple[list[Any], dict[str, Any]]:
    models, card = _reader().opened(body, name)
    return models, card


def _reader() -> Any:
    os.environ.setdefault(
        "OMP_NUM_THREADS", "1"
    )  # several threads for a few hundred pools only get in each other's way
    try:
        from spotguard.models import model_file  # noqa: PLC0415 -- an extra, and 100 MB: only where there is a model
    except ImportError as error:
        raise Refused(EXTRA) from error
    return model_file


def _require_fit(card: dict[str, Any], name: str) -> None:
    """It was made for the features of this release, by the library that is here."""
    if card.get("features") != list(features.NAMES):
        raise InvalidInput(f"{name} was made for other features than this release has: train it anew")
    made, here = str(card.get("scikit_learn")), str(_reader().LIBRARY)
    if made.split(".")[:2] != here.split(".")[:2]:
        raise Refused(f"{name} was made with scikit-learn {made[:20]}, here is {here}: train it anew")
